"""A few threads, and a short queue before them."""

import asyncio
from threading import Event, get_ident

import pytest

from app.errors import Full
from app.sessions.lane import RETRY_AFTER_SECONDS, Lane

from .making import run


def test_work_is_done_in_another_thread() -> None:
    async def check() -> None:
        lane = Lane(1, 1)
        assert await lane.run(get_ident) != get_ident()
        lane.close()

    run(check())


def test_the_queue_is_short() -> None:
    async def check() -> None:
        lane, go = Lane(1, 2), Event()
        waiting = [asyncio.create_task(lane.run(go.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        for refused in (lane.check_room, lambda: None):
            with pytest.raises(Full) as caught:
                await lane.run(refused)
            assert caught.value.retry_after == RETRY_AFTER_SECONDS
        go.set()
        assert await asyncio.gather(*waiting) == [True] * 3
        lane.check_room()
        lane.close()

    run(check())


def test_work_that_fails_leaves_its_place() -> None:
    async def check() -> None:
        lane = Lane(1, 0)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await lane.run(lambda: 1 // 0)
        assert await lane.run(lambda: 1) == 1
        lane.close()

    run(check())


def test_closing_tells_the_work_and_waits_for_it() -> None:
    async def check() -> None:
        lane = Lane(1, 5)
        working = asyncio.create_task(lane.run(lane.closing.wait))
        await asyncio.sleep(0.01)
        dropped = asyncio.create_task(lane.run(lambda: 1))
        await asyncio.sleep(0)
        lane.close()
        assert await working is True
        with pytest.raises(asyncio.CancelledError):
            await dropped

    run(check())
