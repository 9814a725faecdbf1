"""Sessions that are made once, by several processes, however long ago it was."""

import asyncio

import pytest
from valkey import Valkey

from app.sessions.once import Changed, Once, Replayed
from app.sessions.service import Sessions
from app.sessions.session import Session
from app.sessions.store import Reply
from app.sessions.valkey import keys

from ..making import make_config
from .services import Services

DAY = 24 * 3600


async def answer(changed: Changed) -> Reply:
    return Reply("key", "print", 201, (), changed.session.id.encode())


async def create(sessions: Sessions) -> str:
    """The id of the session that is made, or was."""
    try:
        made: Session = await sessions.create(sessions.draft(make_config()), once=Once("key", answer))
    except Replayed as replayed:
        return replayed.reply.body.decode()
    return made.id


@pytest.mark.parametrize("state", ["there", "damaged", "expired"])
def test_a_key_that_is_used_again_after_a_day_makes_one_more(services: Services, state: str) -> None:
    async def check(services: Services) -> None:
        one, other = [await services.make(works=False, session_ttl=7 * DAY) for _ in range(2)]
        for sessions in (one, other):
            await sessions.store.ready()
        first = await create(one)
        assert await create(other) == first
        with Valkey.from_url(services.url) as client:
            client.delete(keys.reply(first, "key"))  # as it goes by itself after a day
            if state == "damaged":
                client.hincrby(keys.session(first), "version", 1)
                client.hdel(keys.session(first), "head")
        if state == "expired":
            services.clock.now += 7 * DAY  # and Valkey has it still
        second, same = await asyncio.gather(create(one), create(other))
        assert second == same == await create(one) == await create(other)
        assert (second == first) == (state == "expired")
        assert await one.store.load(second)

    services.run(check)
