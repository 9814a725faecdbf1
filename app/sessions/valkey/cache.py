"""The sessions that a process has at hand, so that it need not read them whole each time."""

from collections import OrderedDict

from app.sessions.session import Session
from app.sessions.valkey.recorded import Recorded
from app.sessions.valkey.records import Kept


class Cached:
    """A session at a version, and its history.

    Attributes:
        room: the bytes that it has a place for.
        kept: the bytes of its stored answers, by day.
    """

    __slots__ = ("history", "kept", "room", "session")

    def __init__(self, session: Session, history: Recorded, room: int, kept: Kept) -> None:
        self.session, self.history, self.room, self.kept = session, history, room, kept

    @property
    def past(self) -> int:
        """The memory of what it has beside the session itself."""
        return self.history.nbytes + self.kept[1] + self.kept[2]


class Cache:
    """Sessions by id, as many as fit into so many bytes, but always the last one; the longest unused go first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._cached: OrderedDict[str, tuple[Cached, int]] = OrderedDict()
        self.nbytes = 0

    def get(self, session_id: str) -> Cached | None:
        """What is at hand of a session."""
        found = self._cached.get(session_id)
        if found is None:
            return None
        self._cached.move_to_end(session_id)
        return found[0]

    def put(self, cached: Cached) -> None:
        """Keep a session, which may have grown."""
        session_id = cached.session.id
        self.drop(session_id)
        size = cached.session.nbytes + cached.history.nbytes
        self._cached[session_id] = cached, size
        self.nbytes += size
        while self.nbytes > self._max_bytes and len(self._cached) > 1:
            self.drop(next(iter(self._cached)))

    def drop(self, session_id: str) -> None:
        """Keep a session no longer."""
        found = self._cached.pop(session_id, None)
        if found is not None:
            self.nbytes -= found[1]
