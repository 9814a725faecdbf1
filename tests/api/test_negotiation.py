"""Accept, Accept-Encoding, If-Match and If-None-Match."""

import pytest

from app.api.negotiation import JSON, NPZ, choose, held, revisions, takes_gzip
from app.api.problems import NotAcceptable
from app.errors import InvalidInput


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/*", JSON),
        ("APPLICATION/JSON", JSON),
        ("application/json; charset=utf-8", JSON),
        (NPZ, NPZ),
        (f"{NPZ}, {JSON}", JSON),
        (f"{NPZ}, {JSON};q=0.9", NPZ),
        (f"{NPZ};q=0.1, */*;q=0.5", JSON),
        (f"*/*;q=0.1, {NPZ}", NPZ),
        (f"{JSON};q=0, */*", NPZ),
        (f"application/*;q=0, {NPZ}", NPZ),
        ("text/html, application/*;q=0.8", JSON),
        (f"{JSON};q=nonsense, {NPZ};q=0.1", NPZ),
    ],
)
def test_choose(accept: str | None, chosen: str) -> None:
    assert choose(accept, (JSON, NPZ)) == chosen


def test_only_so_many_are_looked_at() -> None:
    assert choose(f"{'a/b,' * 99}{NPZ}", (JSON, NPZ)) == NPZ
    with pytest.raises(NotAcceptable):
        choose(f"{'a/b,' * 100}{NPZ}", (JSON, NPZ))


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", ",", "json", "*/*;q=0"])
def test_nothing_to_choose(accept: str) -> None:
    with pytest.raises(NotAcceptable, match="application/json or application/x-npz"):
        choose(accept, (JSON, NPZ))


@pytest.mark.parametrize(
    ("accept", "takes"),
    [
        (None, False),
        ("", False),
        ("br", False),
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("gzip;q=0, *", False),
        ("GZIP", True),
    ],
)
def test_takes_gzip(accept: str | None, takes: bool) -> None:
    assert takes_gzip(accept) is takes


@pytest.mark.parametrize(
    ("if_match", "allowed"),
    [
        (None, None),
        ("*", None),
        ('"7"', {7}),
        ('W/"7"', {7}),
        ('"7-npz"', {7}),
        ('"7-npz-gzip"', {7}),
        ('"7", "8-gzip" ,"9"', {7, 8, 9}),
        ('"007"', {7}),
        ('"x"', set()),  # a tag that we never gave stands for no revision
        ('"x", "7-", "-7", "7"', {7}),
        ('"' + "9" * 19 + '"', set()),
    ],
)
def test_revisions(if_match: str | None, allowed: set[int] | None) -> None:
    assert revisions(if_match) == allowed


@pytest.mark.parametrize("if_match", ["", "7", '"7", 8', "w/7", '"7', '"7" "8"', ", "])
def test_no_revisions(if_match: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        revisions(if_match)
    assert caught.value.errors[0].pointer == "?If-Match"


TAGS = ['"1"', '"1-gzip"']


@pytest.mark.parametrize(
    ("if_none_match", "tag"),
    [
        (None, None),
        ('"1"', '"1"'),
        ('W/"1"', '"1"'),
        ('"0", "1-gzip"', '"1-gzip"'),
        ("*", '"1"'),
        ('"2"', None),
        ("", None),
    ],
)
def test_held(if_none_match: str | None, tag: str | None) -> None:
    assert held(if_none_match, TAGS) == tag
