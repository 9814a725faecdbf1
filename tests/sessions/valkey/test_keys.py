"""The names of the keys: those of a session lie together."""

import pytest

from app.errors import SessionNotFound
from app.sessions.valkey import keys


def test_the_keys_of_a_session_lie_on_one_node_of_a_cluster() -> None:
    names = [*keys.of_session("abc"), keys.reply("abc", "a {b} c"), keys.run("abc", "r"), keys.events("abc", "r")]
    for name in (*names, keys.runs("abc")):
        assert name.startswith("gradstep:{abc}")
    assert len(set(names)) == 7


def test_what_all_sessions_share_lies_together() -> None:
    for name in (keys.SECRET, keys.BYTES, keys.OWNERS, keys.TOTALS, keys.EXPIRY, keys.JOBS, keys.created("{ann}")):
        assert name.startswith("gradstep:{gradstep}:")


def test_an_id_that_no_session_can_have() -> None:
    for session_id in ("a}b", "", "a/b"):
        with pytest.raises(SessionNotFound):
            keys.run(session_id, "r")
