"""Which form of an answer a client wants (RFC 9110, sections 12 and 13)."""

import re
from collections.abc import Sequence

from app.api.problems import NotAcceptable
from app.errors import FieldError, InvalidInput

JSON = "application/json"
NPZ = "application/x-npz"
NPY = "application/x-npy"
CSV = "text/csv"
MARKDOWN = "text/markdown"
EVENTS = "text/event-stream"
LINES = "application/jsonl"

_MOST_RANGES = 100  # are looked at: others have no business in a header


def _ranges(header: str) -> list[tuple[str, float]]:
    """The items of an Accept or Accept-Encoding header with their weights."""
    ranges = []
    for item in header.split(",", _MOST_RANGES)[:_MOST_RANGES]:
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        ranges.append((name, weight))
    return ranges


def choose(accept: str | None, offers: Sequence[str]) -> str:
    """The media type that a client likes best, the first of equals. Raises NotAcceptable where it takes none."""
    if not accept or accept == "*/*" or accept == offers[0]:
        return offers[0]
    ranges = _ranges(accept)

    def weight(offer: str) -> float:
        fits = [
            (len(name) if "*" not in name else name.count("*") * -1, q)
            for name, q in ranges
            if name in (offer, "*/*", offer.split("/")[0] + "/*")
        ]
        return max(fits)[1] if fits else 0.0

    best = max(offers, key=weight)
    if weight(best) <= 0:
        raise NotAcceptable(f"this can be had as {' or '.join(offers)}")
    return best


def takes_gzip(accept_encoding: str | None) -> bool:
    """Whether an answer may be compressed."""
    if accept_encoding is None:
        return False
    weights = dict(_ranges(accept_encoding))
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def prefers(prefer: str | None, preference: str) -> bool:
    """Whether a Prefer header (RFC 7240) names a preference."""
    given = (prefer or "").split(",")
    return any(item.split(";")[0].strip().lower() == preference for item in given)


_TAG = re.compile(r'(?:W/)?"([^"]*)"')
_REVISION = re.compile(r"([0-9]{1,18})(?:-[a-z0-9]+)*")


def revisions(if_match: str | None) -> frozenset[int] | None:
    """The revisions that an If-Match header allows, by the number in each tag; None where any will do.

    Raises:
        InvalidInput: it is no list of entity tags.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [_TAG.fullmatch(tag.strip()) for tag in if_match.split(",")]
    if not all(tags):
        raise InvalidInput([FieldError("?If-Match", 'takes an entity tag with a revision in it, such as "7"')])
    numbers = [_REVISION.fullmatch(tag[1]) for tag in tags if tag]
    return frozenset(int(number[1]) for number in numbers if number)


def held(if_none_match: str | None, tags: Sequence[str]) -> str | None:
    """The one of these entity tags that a client already has."""
    if if_none_match is None:
        return None
    given = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return next((tag for tag in tags if tag in given or "*" in given), None)
