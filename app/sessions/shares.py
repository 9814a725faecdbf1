"""What each owner of a key holds of a store, against what each may have."""

from collections import Counter

from app.errors import QuotaExceeded
from app.settings import Settings

RETRY_AFTER_SECONDS = 60


class Shares:
    """Counts the sessions of each owner, and their bytes; those of nobody, where no keys are needed, it leaves out."""

    def __init__(self, settings: Settings) -> None:
        self._max_sessions, self._max_bytes = settings.owner_sessions, settings.owner_bytes
        self._owners: dict[str, str] = {}
        self._held: dict[str, int] = {}
        self._sessions: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()

    def check_count(self, owner: str) -> None:
        """Raise QuotaExceeded where an owner may have no session more."""
        count = self._sessions[owner] + 1
        if owner and 0 < self._max_sessions < count:
            raise _exceeded("owner_sessions", "sessions", self._max_sessions, count)

    def missing(self, session_id: str, nbytes: int, owner: str) -> int:
        """How many bytes there are too few for a session, which is the owner's, to hold so many."""
        if not owner or not self._max_bytes:
            return 0
        return self._bytes[owner] - self._held.get(session_id, 0) + nbytes - self._max_bytes

    def check_bytes(self, session_id: str, nbytes: int, owner: str) -> None:
        """Raise QuotaExceeded where there are too few."""
        missing = self.missing(session_id, nbytes, owner)
        if missing > 0:
            raise _exceeded("owner_bytes", "bytes held by the sessions", self._max_bytes, self._max_bytes + missing)

    def hold(self, session_id: str, nbytes: int | None, owner: str) -> None:
        """Count the bytes of a session; None for one that is gone. `owner` tells whose it is, if it is new."""
        whose = self._owners.get(session_id, owner)
        if not whose:
            return
        if session_id not in self._owners:
            self._owners[session_id] = whose
            self._sessions[whose] += 1
        self._bytes[whose] += (nbytes or 0) - self._held.pop(session_id, 0)
        if nbytes is not None:
            self._held[session_id] = nbytes
            return
        del self._owners[session_id]
        self._sessions[whose] -= 1
        if not self._sessions[whose]:
            del self._sessions[whose], self._bytes[whose]


def _exceeded(setting: str, what: str, limit: int, estimate: int) -> QuotaExceeded:
    return QuotaExceeded(
        f"there is no room: {estimate:,} {what} of one key would be more than the limit of {limit:,}",
        retry_after=RETRY_AFTER_SECONDS, limit=limit, estimate=estimate, setting=f"GRADSTEP_{setting.upper()}",
    )  # fmt: skip
