"""The errors that Gradstep raises on purpose, each one kind of problem that a client can be told.

GradstepError
 ├─ NotFound
 ├─ SessionNotFound
 ├─ SessionExpired
 ├─ RevisionGone
 ├─ InvalidInput
 │   └─ LimitExceeded
 ├─ WrongPhase
 ├─ Busy
 ├─ RevisionMismatch
 └─ Full

They know nothing of HTTP: `app.api.problems` gives each its status. `slug` names the kind for ever, `title`
says it in words, `detail` says what happened this time, and `extra` holds the members that go with it.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple


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


class FieldError(NamedTuple):
    """What is wrong at one place of a request: a JSON pointer into its body, and what to do about it."""

    pointer: str
    detail: str


class InvalidInput(GradstepError):
    """A request that is well-formed but makes no sense; `errors` says where and why."""

    slug = "invalid-input"
    title = "Invalid input"

    def __init__(self, errors: Sequence[FieldError], **extra: Any) -> None:
        super().__init__("; ".join(f"{pointer}: {detail}" for pointer, detail in errors[:3]), **extra)
        self.errors = errors


class LimitExceeded(InvalidInput):
    """A request that would cost more than this server allows; `limit` and `estimate` say how much."""

    slug = "limit-exceeded"
    title = "Limit exceeded"

    def __init__(self, pointer: str, what: str, *, limit: int, estimate: int, setting: str) -> None:
        detail = f"{what} comes to {estimate:,}; this server takes at most {limit:,} ({setting})"
        super().__init__([FieldError(pointer, detail)], limit=limit, estimate=estimate, setting=setting)


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


class RevisionMismatch(GradstepError):
    """The session has moved on from the revision that `If-Match` names."""

    slug = "revision-mismatch"
    title = "Session has moved on"


class Full(GradstepError):
    """No room for this now: too many sessions, bytes or queued work. Try again in `retry_after` seconds."""

    slug = "server-full"
    title = "Server full"

    def __init__(self, detail: str, *, retry_after: int, **extra: Any) -> None:
        super().__init__(detail, **extra)
        self.retry_after = retry_after
