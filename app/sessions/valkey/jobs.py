"""The jobs of all processes: two streams with a consumer group, for what is long and for what is small.

Who takes a job has it for a lease, and renews this while at work. When it lapses (the process has died), another takes
the job over. A job names a run, and nothing else: that and the session say how far it is.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection
from typing import Any, NamedTuple

from valkey.exceptions import ResponseError

from app.errors import StoreAway
from app.sessions.valkey import keys
from app.sessions.valkey.client import Client, script

GROUP = "workers"
LONG, SMALL = "long", "small"
KINDS = (LONG, SMALL)
_BLOCK_SECONDS = 1.0  # less than the client waits for an answer
_AGAIN_SECONDS = 0.25
_OLD_SECONDS = 24 * 3600
_START, _ADD, _DUE, _RENEW, _DONE = (
    script(f"job_{name}", about_a_session=False) for name in ("start", "add", "due", "renew", "done")
)


class Job(NamedTuple):
    """A run to be seen through."""

    kind: str
    session_id: str
    run_id: str

    @property
    def text(self) -> str:
        """What goes into the stream."""
        return f"{self.kind} {self.session_id} {self.run_id}"


class Taken(NamedTuple):
    """A job that this process has, and the id of its place in the stream."""

    job: Job
    id: str


class Jobs:
    """Puts jobs in and takes them. Every method may raise StoreAway; `lease_seconds` is how long one is had for."""

    def __init__(self, client: Client, lease_seconds: float) -> None:
        self._client, self._lease = client, lease_seconds
        self._me = secrets.token_hex(8)
        self._looked_up_to: dict[str, Any] = dict.fromkeys(KINDS, "0")
        self._closing = False

    async def start(self, job: Job, most: int | None) -> bool:
        """Say that a job is going to be put in; false where this would wait behind so many others, or more.

        Should the process die before it does, another puts it in, and sees what has come of it.
        """
        [outcome] = await self._client.run(
            _START, [_stream(job.kind), _STARTING], self._starting(job), int(1000 * self._lease),
            "" if most is None else most, GROUP, again=True,
        )  # fmt: skip
        return bool(outcome == b"done")

    async def drop(self, job: Job) -> None:
        """It is not going to be put in."""
        await self._client.call("ZREM", _STARTING, self._starting(job))

    async def add(self, job: Job) -> None:
        """Put a job in. One that is put in twice is done once."""
        await self._client.run(_ADD, [_stream(job.kind), _STARTING], job.text, self._starting(job), again=True)

    async def done(self, taken: Taken) -> None:
        """A job is done."""
        await self._client.run(_DONE, [_stream(taken.job.kind)], GROUP, taken.id, "", again=True)

    async def give_back(self, taken: Taken) -> None:
        """Let another go on with a job at once."""
        await self._client.run(_DONE, [_stream(taken.job.kind)], GROUP, taken.id, taken.job.text, again=True)

    async def renew(self, all_taken: Collection[Taken]) -> None:
        """Have these for another lease."""
        for kind in KINDS:
            if ids := [taken.id for taken in all_taken if taken.job.kind == kind]:
                await self._client.run(_RENEW, [_stream(kind)], GROUP, self._me, *ids, again=True)

    async def revive(self) -> None:
        """Put those in whose process has died before it did."""
        await self._client.run(_DUE, [_STARTING, *map(_stream, KINDS)], *KINDS, again=True)

    async def take(self, kind: str, places: asyncio.Semaphore) -> AsyncIterator[Taken]:
        """Jobs as they come, each in one of the places, which who gets it gives back; until `close`.

        Those whose lease has lapsed come first.
        """
        look_at, clock = 0.0, asyncio.get_running_loop().time
        block = min(_BLOCK_SECONDS, self._lease / 3)
        while not self._closing:
            await places.acquire()
            taken = None
            try:
                while taken is None and not self._closing:
                    if clock() >= look_at:
                        taken, look_at = await self._lapsed(kind), clock() + block
                    taken = taken or await self._next(kind, block)
            except StoreAway:
                await asyncio.sleep(_AGAIN_SECONDS)
            except ResponseError:  # the store was emptied
                await self._make_group(kind)
            if taken is None:
                places.release()
            else:
                yield taken

    async def open(self) -> None:
        """Make what is not there yet, and clear away consumers that died long ago."""
        for kind in KINDS:
            await self._make_group(kind)
            for consumer in await self._client.call("XINFO", "CONSUMERS", _stream(kind), GROUP):
                found = dict(zip(consumer[::2], consumer[1::2], strict=True))
                if found[b"pending"] == 0 and found[b"idle"] > 1000 * _OLD_SECONDS:
                    await self._client.call("XGROUP", "DELCONSUMER", _stream(kind), GROUP, found[b"name"])

    def close(self) -> None:
        """Take no more."""
        self._closing = True

    def _starting(self, job: Job) -> str:
        """A job as one that this process is going to put in; another may be about to do so too."""
        return f"{job.text} {self._me}"

    async def _make_group(self, kind: str) -> None:
        try:
            await self._client.call("XGROUP", "CREATE", _stream(kind), GROUP, "0", "MKSTREAM")
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _lapsed(self, kind: str) -> Taken | None:
        """A job whose lease has lapsed."""
        lease = int(1000 * self._lease)
        self._looked_up_to[kind], found, *_ = await self._client.call(
            "XAUTOCLAIM", _stream(kind), GROUP, self._me, lease, self._looked_up_to[kind], "COUNT", 1
        )  # fmt: skip
        return _taken(found)

    async def _next(self, kind: str, seconds: float) -> Taken | None:
        """A job that nobody has had yet, as soon as there is one."""
        found = await self._client.call(
            "XREADGROUP", "GROUP", GROUP, self._me, "COUNT", 1, "BLOCK", int(1000 * seconds), "STREAMS", _stream(kind),
            ">",
        )  # fmt: skip
        return _taken(found[0][1]) if found else None


_STARTING = f"{keys.JOBS}:starting"


def _stream(kind: str) -> str:
    return f"{keys.JOBS}:{kind}"


def _taken(found: list[tuple[bytes, dict[bytes, bytes]]]) -> Taken | None:
    for identity, fields in found:
        kind, session_id, run_id = fields[b"job"].decode().split()[:3]
        return Taken(Job(kind, session_id, run_id), identity.decode())
    return None
