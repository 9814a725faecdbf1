"""Anything done in any order: whoever did it, whoever follows, and whoever comes anew has the same of it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, run_state_machine_as_test
from valkey import Valkey

from app.engine.network import Config
from app.sessions.service import Sessions
from app.sessions.valkey.store import ValkeyStore
from app.settings import Settings

from ..making import TTL, Clock, recount
from ..test_time_travel import SHORT, SIGMOIDS, SOFTMAX, TimeTravel
from .same import picture


class InValkey(TimeTravel):
    """The same, with the sessions in Valkey."""

    port: int

    @initialize(
        config=st.sampled_from([SIGMOIDS, SOFTMAX]),
        budget=st.sampled_from([2_000, 4_000, 10_000, 30_000, 1_000_000]),
        dtype=st.sampled_from(["float64", "float32"]),
    )
    def create(self, config: Config, budget: int, dtype: Any) -> None:
        with Valkey(port=self.port) as client:
            client.flushall()
        self.loop = asyncio.new_event_loop()
        self.values, self.clock = Settings(max_history=budget, inline_work=10**9), Clock()
        self.budget = budget
        self.store, self.follower = self.make_store(), self.make_store()
        self.sessions = Sessions(self.store, self.values, self.clock)
        self.rows, self.ids = {}, []
        draft = self.sessions.draft(config.model_copy(update={"dtype": dtype}))
        self.add(self.wait(self.sessions.create(draft)))

    def make_store(self) -> ValkeyStore:
        return ValkeyStore(f"valkey://127.0.0.1:{self.port}", self.values, self.clock)

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @invariant()
    def memory_is_counted(self) -> None:
        for session_id in self.ids:
            recount(self.wait(self.store.history(session_id)))

    @invariant()
    def all_have_the_same(self) -> None:
        self.wait(self.compare())

    async def compare(self) -> None:
        new = self.make_store()
        try:
            for session_id in self.ids:
                pictures = [
                    picture(await store.load(session_id), await store.history(session_id))
                    for store in (self.store, self.follower, new)
                ]
                assert pictures[0] == pictures[1] == pictures[2]
        finally:
            await new.close()

    def teardown(self) -> None:
        self.wait(self.sessions.delete(self.ids[0]))
        self.clock.now += TTL
        assert self.wait(self.store.count()) == 0
        with Valkey(port=self.port) as client:
            assert client.hgetall("gradstep:{gradstep}:bytes") == {}
            assert {int(total) for total in client.hgetall("gradstep:{gradstep}:totals").values()} == {0}
        self.sessions.close()
        for store in (self.store, self.follower):
            self.wait(store.close())
        self.loop.close()


@pytest.fixture
def try_all(valkey_server: Any) -> Callable[[settings], None]:
    machine = type("InThisValkey", (InValkey,), {"port": valkey_server.port})
    return lambda options: run_state_machine_as_test(machine, settings=options)


def test_every_process_has_the_same(try_all: Callable[[settings], None]) -> None:
    try_all(settings(SHORT, max_examples=12, stateful_step_count=15))


@pytest.mark.long
def test_every_process_has_the_same_for_long(try_all: Callable[[settings], None]) -> None:
    try_all(settings(SHORT, max_examples=300, stateful_step_count=40))
