"""The errors that Gradstep raises on purpose, each one kind of problem that a client can be told.

GradstepError
 ├─ NotFound
 ├─ SessionNotFound
 ├─ SessionExpired
 ├─ RevisionGone
 ├─ SessionCorrupt
 ├─ Unauthorized
 ├─ InvalidInput
 │   └─ LimitExceeded
 ├─ WrongPhase
 ├─ Busy
 ├─ RequestUnderWay
 ├─ RevisionMismatch
 └─ Unavailable
     ├─ Full
     │   └─ QuotaExceeded
     ├─ StoreAway
     ├─ Stopping
     ├─ TooManyRequests
     └─ TrainingFailed

They know nothing of HTTP: `app.api.problems` gives each its status. `slug` names the kind for ever, `title`
says it in words, `detail` says what happened this time, and `extra` holds the members that go with it.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails


class GradstepError(Exception):
    """A refusal with a reason. Nothing has been changed where one is raised."""

    slug: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extra = extra


class NotFound(GradstepError):
    """Nothing has this name."""

    slug = "not-found"
    title = "Not found"


class SessionNotFound(GradstepError):
    """No session has this id, or had it within the last day."""

    slug = "session-not-found"
    title = "No such session"


class SessionExpired(GradstepError):
    """The session was left alone for too long and is gone; `expired_at` says since when."""

    slug = "session-expired"
    title = "Session expired"


class RevisionGone(GradstepError):
    """The state of this revision is no longer kept."""

    slug = "revision-gone"
    title = "Revision no longer kept"


class SessionCorrupt(GradstepError):
    """What is stored of the session cannot be read: it was damaged, or written by another version. Others are well."""

    slug = "session-corrupt"
    title = "Session damaged"


class Unauthorized(GradstepError):
    """This server wants an API key, as `Authorization: Bearer KEY`, and got none that it knows."""

    slug = "unauthorized"
    title = "API key needed"


class FieldError(NamedTuple):
    """What is wrong at one place of a request, and what to do about it.

    The place is a JSON pointer into the body, or `?name` for a query parameter or a header.
    """

    pointer: str
    detail: str


class InvalidInput(GradstepError):
    """A request that is well-formed but makes no sense; `errors` says where and why."""

    slug = "invalid-input"
    title = "Invalid input"

    def __init__(self, errors: Sequence[FieldError], **extra: Any) -> None:
        told = (f"{pointer}: {detail}" if pointer else detail for pointer, detail in errors[:3])
        super().__init__("; ".join(told), **extra)
        self.errors = errors


class LimitExceeded(InvalidInput):
    """A request that would cost more than this server allows; `limit` and `estimate` say how much."""

    slug = "limit-exceeded"
    title = "Limit exceeded"

    def __init__(self, pointer: str, what: str, *, limit: int, estimate: int, setting: str | None = None) -> None:
        estimate = min(estimate, 2**53)  # beyond, JSON's readers lose digits, and its writers refuse
        detail = f"{what} comes to {estimate:,}; this server takes at most {limit:,}"
        named = {"setting": setting} if setting else {}  # without one, the limit is the same everywhere
        detail += f" ({setting})" if setting else ""
        super().__init__([FieldError(pointer, detail)], limit=limit, estimate=estimate, **named)


class WrongPhase(GradstepError):
    """An operation that the session is not ready for; `call_first` names the one that makes it so."""

    slug = "wrong-phase"
    title = "Wrong phase"

    def __init__(self, detail: str, call_first: str | None = None) -> None:
        super().__init__(detail, **({"call_first": call_first} if call_first else {}))


class Busy(GradstepError):
    """Work on this session is under way outside the event loop; changes wait until it has ended."""

    slug = "training-under-way"
    title = "Training under way"


class RequestUnderWay(GradstepError):
    """A request with the same `Idempotency-Key` is still at work: ask again when it has ended."""

    slug = "request-under-way"
    title = "Same request under way"


class RevisionMismatch(GradstepError):
    """The session has moved on from the revision that `If-Match` names."""

    slug = "revision-mismatch"
    title = "Session has moved on"


class Unavailable(GradstepError):
    """Not now; it may go well in `retry_after` seconds."""

    def __init__(self, detail: str, *, retry_after: int, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.retry_after = retry_after


class Full(Unavailable):
    """No room for this now: too many sessions, bytes or queued work."""

    slug = "server-full"
    title = "Server full"


class QuotaExceeded(Full):
    """The sessions of one owner would be more, or hold more, than each owner may have; `limit`, `estimate` say so."""

    slug = "quota-exceeded"
    title = "Quota exceeded"


class TooManyRequests(Unavailable):
    """More work was asked for than each owner may have done in a minute; `limit` says how much."""

    slug = "too-many-requests"
    title = "Too many requests"


class StoreAway(Unavailable):
    """The store of the sessions cannot be reached. A change may have been done: repeat it with an `Idempotency-Key`."""

    slug = "store-away"
    title = "Store cannot be reached"


class Stopping(Unavailable):
    """The server is being stopped, and this was not done yet. Ask again: another will answer, or this one anew."""

    slug = "server-stopping"
    title = "Server stopping"


class TrainingFailed(Unavailable):
    """A training ended before its time, by a fault of the server: the process that was at it is gone."""

    slug = "training-failed"
    title = "Training failed"


MAX_FIELD_ERRORS = 20


def field_errors(error: ValidationError, value: Any, pointer: str = "") -> list[FieldError]:
    """What pydantic found wrong with a JSON value, the first 20 places, without repeating what was sent.

    `pointer` is where the value lies in the body.
    """
    details = [detail for detail in error.errors(include_url=False) if not _follows(detail)]
    return [FieldError(pointer + _pointer(detail, value), _describe(detail)) for detail in details[:MAX_FIELD_ERRORS]]


def _follows(detail: ErrorDetails) -> bool:
    """Whether an error only follows from another: a list counts as too short when an item of it is wrong."""
    return detail["type"] == "too_short" and detail["ctx"]["actual_length"] < len(detail["input"])


def _pointer(detail: ErrorDetails, value: Any) -> str:
    """A JSON pointer to the place; pydantic's location also names the members of unions, which are no places."""
    pointer = ""
    for position, key in enumerate(detail["loc"], 1):
        inside = (isinstance(value, dict) and key in value) or (
            isinstance(value, list) and isinstance(key, int) and key < len(value)
        )
        if inside:
            value = value[key]
        elif position < len(detail["loc"]) or detail["type"] != "missing":
            continue
        pointer += pointer_to(str(key))
    return pointer


def pointer_to(key: str) -> str:
    """A JSON pointer to a member of an object."""
    return "/" + key.replace("~", "~0").replace("/", "~1")


_TAKES = {
    "missing": "is needed",
    "extra_forbidden": "no field has this name here",
    "dict_type": "takes an object",
    "model_type": "takes an object",
    "model_attributes_type": "takes a name, or an object with a type",
    "list_type": "takes a list",
    "tuple_type": "takes a list",
    "int_type": "takes a whole number",
    "float_type": "takes a number",
    "string_type": "takes a string",
    "bool_type": "takes true or false",
    "finite_number": "takes a finite number",
}


def _describe(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind in ("missing", "extra_forbidden"):
        return _TAKES[kind]
    if kind == "union_tag_invalid":
        return f"got an unknown name; takes one of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"got {_got(detail['input'])}; takes a name, or an object with a type"
    if kind in _TAKES:
        return f"got {_got(detail['input'])}; {_TAKES[kind]}"
    _, should, rest = detail["msg"].partition(" after validation")[0].partition(" should ")
    return f"got {_got(detail['input'])}; it should {rest}" if should else detail["msg"]


def _got(value: Any) -> str:
    """A value in words: its kind and size, never itself unless it is a short number."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return text if len(text := repr(value)) <= 24 else "a long number"
    if isinstance(value, str):
        return f"a string of {len(value)} characters"
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    return "an object"
