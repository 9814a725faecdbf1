"""The runs of sessions, as all processes see them.

A run is a hash (what it is, how far it is, its last checkpoint) and a stream of its entries, which the process that is
at it writes. Every reader has a run of its own that follows these: a mirror. It goes on for as long as somebody has it.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from weakref import WeakSet, WeakValueDictionary, ref

import orjson

from app.engine.plan import Ending
from app.errors import NotFound, Stopping, StoreAway
from app.sessions.lane import RETRY_AFTER_SECONDS
from app.sessions.runs import FORGOTTEN, KEPT_OF_SESSION, Run
from app.sessions.sweeping import SweepRun
from app.sessions.trainings import failed
from app.sessions.valkey import keys, told
from app.sessions.valkey.client import Client, script
from app.sessions.valkey.listener import Listener, break_off

_AGAIN_SECONDS = 0.25
_AT_ONCE = 100  # pieces that are read in one go
_UNDER_WAY_SECONDS = 24 * 3600  # that a run is kept which nobody tells of any more
_BEGIN, _TAKE, _TOLD, _END, _READ, _LIST = (
    script(f"run_{name}", about_a_session=False) for name in ("begin", "take", "told", "end", "read", "list")
)

log = logging.getLogger("gradstep")


class Lost(Exception):
    """Another process is at the run now."""


class Held(NamedTuple):
    """A run that this process has taken, and may tell of. `fields` are what was known of it."""

    run: Run
    about: dict[str, Any]
    fields: Mapping[str, bytes]
    token: str
    takes: int
    entries: int


class SharedRuns:
    """Runs in Valkey. `ttl` is the seconds that one is kept after its end; `clock` gives seconds since 1970."""

    def __init__(self, client: Client, listener: Listener, ttl: int, clock: Callable[[], float]) -> None:
        self._client, self.listener, self._ttl, self._clock = client, listener, ttl, clock
        self._mirrors: WeakValueDictionary[tuple[str, str], Run] = WeakValueDictionary()
        self._held: WeakSet[Run] = WeakSet()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False

    # What every process may ask for

    async def of(self, session_id: str) -> list[Run]:
        found = await self._client.run(_LIST, [keys.runs(session_id)], keys.run(session_id, ""), again=True)
        values = iter(found)
        return [_run_of(about, status) for about, status in zip(values, values, strict=True)]

    async def find(self, session_id: str, run_id: str) -> Run:
        about, status = await self._client.call("HMGET", keys.run(session_id, run_id), "about", "status")
        if about is None:
            raise NotFound(FORGOTTEN)
        run = _run_of(about, status)
        await self._read_items(run)
        return run

    async def follow(self, session_id: str, run_id: str) -> Run:
        run = self._mirrors.get((session_id, run_id))
        if run is None:
            [about] = await self._client.call("HMGET", keys.run(session_id, run_id), "about")
            if about is None:
                raise NotFound(FORGOTTEN)
            run = told.new_run(orjson.loads(about))
            await self._read_on(run)
            self.mirror(run)
        return run

    async def end(self, run: Run, ending: Ending) -> None:
        if not run.is_over:
            key = keys.run(run.session_id, run.id)
            await self._client.run(_END, [key], told.pack_ending(ending), again=True)

    def end_soon(self, run: Run, ending: Ending) -> None:
        async def end() -> None:
            while True:
                with suppress(StoreAway):
                    return await self.end(run, ending)
                await asyncio.sleep(_AGAIN_SECONDS)

        self._start(end())

    async def forget(self, session_id: str) -> None:
        for run in await self.of(session_id):
            await self.end(run, Ending("cancelled"))
            if run.is_over:
                await self._drop(run)
        await self._client.call("DEL", keys.runs(session_id))

    def all(self) -> list[Run]:
        return [*self._held]

    # What the process does that begins a run, or is at it

    async def begin(self, run: Run, about: dict[str, Any]) -> None:
        """Put in a new run."""
        key, listed = keys.run(run.session_id, run.id), keys.runs(run.session_id)
        [count] = await self._client.run(
            _BEGIN,
            [key, listed],
            run.id,
            orjson.dumps(about),
            told.status_of(run),
            1000 * _UNDER_WAY_SECONDS,
            again=True,
        )
        if count > KEPT_OF_SESSION:
            over = [other for other in await self.of(run.session_id) if other.is_over]
            for other in over[: count - KEPT_OF_SESSION]:
                await self._client.call("LREM", listed, 1, other.id)
                await self._drop(other)

    async def take(self, session_id: str, run_id: str, token: str) -> Held | None:
        """Take a run over, with the entries that it has; None where there is nothing to be done for it."""
        outcome, *found = await self._client.run(_TAKE, [keys.run(session_id, run_id)], token, again=True)
        if outcome != b"taken":
            return None
        values = iter(found[0])
        fields = {name.decode(): value for name, value in zip(values, values, strict=True)}
        about = orjson.loads(fields["about"])
        run = told.new_run(about)
        await self._read_on(run)
        self._held.add(run)
        return Held(run, about, fields, token, int(fields["takes"]), int(fields["entries"]))

    async def tell(
        self,
        held: Held,
        fields: Mapping[str, bytes],
        first: int = 0,
        count: int = 0,
        piece: bytes = b"",
        *,
        over: bool = False,
    ) -> None:
        """Put in what is new of a run; raises Lost where another process is at it."""
        run = held.run
        seconds = self._ttl if over else _UNDER_WAY_SECONDS
        [outcome] = await self._client.run(
            _TOLD, [keys.run(run.session_id, run.id), keys.events(run.session_id, run.id)], held.token, first, count,
            piece, 1000 * seconds, int(over), *(part for field in fields.items() for part in field), again=True,
        )  # fmt: skip
        if outcome != b"done":
            raise Lost

    async def watch(self, run: Run) -> None:
        """Let a run that this process is at end as soon as somebody asks it to."""
        key, new, seen = keys.run(run.session_id, run.id), asyncio.Event(), None
        self.listener.listen(f"{key}:ending", new.set)
        try:
            while True:
                new.clear()
                with suppress(StoreAway):
                    ending = await self._client.call("HGET", key, "ending")
                    if ending is not None and ending != seen:
                        run.end_early(told.unpack_ending(ending))
                        seen = ending
                await new.wait()
        finally:
            self.listener.leave(f"{key}:ending", new.set)

    # Mirrors

    def mirror(self, run: Run) -> None:
        """Let a run go on as it does elsewhere."""
        if self._stopping:
            _stop(run, self._clock())
        if not run.is_over:
            self._mirrors[run.session_id, run.id] = run
            new = asyncio.Event()
            weak, channel = ref(run, lambda _: new.set()), f"{keys.run(run.session_id, run.id)}:told"
            self._start(self._go_on(weak, new, channel))

    def stop(self) -> None:
        """Let readers go, whose runs go on elsewhere."""
        self._stopping = True
        for run in [*self._mirrors.values()]:
            _stop(run, self._clock())

    async def close(self) -> None:
        """Follow nothing any more."""
        self.stop()
        await break_off(*self._tasks)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _go_on(self, weak: "ref[Run]", new: asyncio.Event, channel: str) -> None:
        self.listener.listen(channel, new.set)
        try:
            while (run := weak()) is not None and not run.is_over:
                new.clear()
                try:
                    with suppress(StoreAway):
                        await self._read_on(run)
                except NotFound as error:
                    run.fail(error, None, self._clock())
                except Exception as error:
                    log.error("a fault while following the run %s", run.id, exc_info=error)
                    run.fail(failed("what is stored of the run cannot be read"), None, self._clock())
                waits = not run.is_over
                del run
                if waits:
                    await new.wait()
        finally:
            self.listener.leave(channel, new.set)

    async def _read_on(self, run: Run) -> None:
        """Bring a run up to where it is: an event has the count of entries with it as its id.

        Raises NotFound where the run was forgotten.
        """
        where = [keys.run(run.session_id, run.id), keys.events(run.session_id, run.id)]
        while True:
            status, events = await self._client.run(_READ, where, run.count, _AT_ONCE, again=True)
            if status is None:
                raise NotFound(FORGOTTEN)
            for _, (_, value) in events:
                piece = told.unpack_piece(value)
                run.add(piece.curve, piece.parts)
            if len(events) < _AT_ONCE:
                await self._read_items(run)
                if not run.is_over:  # a server that stops has let its readers go
                    told.bring_up(run, status)
                break

    async def _read_items(self, run: Run) -> None:
        """See how the items of a sweep went."""
        if isinstance(run, SweepRun):
            names = [told.item_name(index) for index in range(len(run.items))]
            found = await self._client.call("HMGET", keys.run(run.session_id, run.id), *names)
            for item, value in zip(run.items, found, strict=True):
                if value is not None:
                    told.read_item(item, value)

    async def _drop(self, run: Run) -> None:
        await self._client.call("DEL", keys.run(run.session_id, run.id), keys.events(run.session_id, run.id))


def _run_of(about: bytes, status: bytes) -> Run:
    """A run as far as it is, without its entries."""
    run = told.new_run(orjson.loads(about))
    told.bring_up(run, status)
    return run


def _stop(run: Run, now: float) -> None:
    if run.is_over:
        return
    detail = "this server is stopping; the run goes on, and can be followed again from the last event on"
    run.fail(Stopping(detail, retry_after=RETRY_AFTER_SECONDS), None, now)
