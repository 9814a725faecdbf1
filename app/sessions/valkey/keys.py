"""The names of the keys. What is in braces decides on which node of a cluster a key lies: a session's lie together.

gradstep:{S}            a hash: a session, its history with it
gradstep:{S}:log        which fields the last changes have set or deleted
gradstep:{S}:held       until when which process keeps the session from expiring
gradstep:{S}:ended      whose the session was, and when it expired: it outlives the session by a day
gradstep:{S}:reply:K    what was answered to a request that is to be done once
gradstep:{S}:run:R      a run, and its events; `gradstep:{S}:runs` lists the ids
gradstep:{gradstep}:…   what all sessions share: their places, sizes, owners, and the jobs
"""

import re

from app.errors import SessionNotFound

_SHARED = "gradstep:{gradstep}:"
_ID = re.compile(r"[\w-]{1,64}", re.ASCII)

SECRET = f"{_SHARED}secret"
BYTES = f"{_SHARED}bytes"  # a hash: the bytes that each session has a place for
OWNERS = f"{_SHARED}owners"  # a hash: whose each session is
TOTALS = f"{_SHARED}totals"  # a hash: bytes and places in all and by owner
EXPIRY = f"{_SHARED}expiry"  # a sorted set: when to look whether each session is still there
JOBS = f"{_SHARED}jobs"


def session(session_id: str) -> str:
    """The session itself. Raises SessionNotFound for an id that no session can have."""
    if not _ID.fullmatch(session_id):
        raise SessionNotFound("no session has this id")
    return f"gradstep:{{{session_id}}}"


def of_session(session_id: str) -> list[str]:
    """The session, and what goes with it: ended, log, held. Raises SessionNotFound."""
    key = session(session_id)
    return [key, f"{key}:ended", f"{key}:log", f"{key}:held"]


def reply(session_id: str, key: str) -> str:
    """A stored answer. Raises SessionNotFound."""
    return f"{session(session_id)}:reply:{key}"


def run(session_id: str, run_id: str) -> str:
    """A run of a session. Raises SessionNotFound."""
    return f"{session(session_id)}:run:{run_id}"


def events(session_id: str, run_id: str) -> str:
    """The stream of a run's events. Raises SessionNotFound."""
    return f"{run(session_id, run_id)}:events"


def runs(session_id: str) -> str:
    """The ids of a session's runs. Raises SessionNotFound."""
    return f"{session(session_id)}:runs"


def created(owner: str) -> str:
    """A sorted set: an owner's sessions by when they were made."""
    return f"{_SHARED}created:{owner}"
