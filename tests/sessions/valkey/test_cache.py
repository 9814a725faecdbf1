"""What a process has at hand."""

from app.sessions.valkey.cache import Cache, Cached
from app.sessions.valkey.recorded import Recorded

from ..making import make_session, revision_of


def cached(session_id: str) -> Cached:
    session = make_session(session_id)
    return Cached(session, Recorded(revision_of(session), 10**6), 0, (0, 20, 3))


def test_as_many_as_fit_and_the_longest_unused_go_first() -> None:
    one, two, three = map(cached, "abc")
    size = one.session.nbytes + one.history.nbytes
    assert one.past == one.history.nbytes + 23
    cache = Cache(2 * size)
    cache.put(one)
    cache.put(two)
    assert cache.get("a") is one
    cache.put(three)
    assert cache.get("b") is None
    assert cache.nbytes == 2 * size
    cache.put(one)
    cache.drop("c")
    cache.drop("c")
    assert (cache.get("a"), cache.get("c"), cache.nbytes) == (one, None, size)


def test_the_last_stays_however_large() -> None:
    cache, one, two = Cache(1), cached("a"), cached("b")
    cache.put(one)
    assert cache.get("a") is one
    cache.put(two)
    assert (cache.get("a"), cache.get("b")) == (None, two)
