"""Changes and their answers: the same way for every call, whether it is to be done once or not."""

from collections.abc import Awaitable, Callable

from fastapi import Response

from app.api.contents import View
from app.api.once import answered, reply_of, response_of
from app.api.responses import changed_headers, snapshot_response
from app.api.routing import Call, SessionCall
from app.sessions.once import Changed
from app.sessions.operations import Operation


async def changed(
    call: SessionCall, operation: Operation, answer: Callable[[Changed], Awaitable[Response]]
) -> Response:
    """Do an operation to the session of a call, and answer it."""
    session = call.session
    return await answered(
        call.key,
        lambda once: call.sessions.change(session.id, operation, call.if_match, once, loaded=session),
        answer,
    )


async def snapshot_answer(call: SessionCall, outcome: Changed, view: View) -> Response:
    """The snapshot after a change."""
    return await snapshot_response(call, outcome.session, view, changed_headers(outcome.session))


async def kept(call: Call, response: Response, run: str | None = None) -> Response:
    """An answer that comes with no change of the session itself, kept for a repeat; by its id where a run answers.

    Where another process was faster, its answer. Raises KeyReused where that was to something else.
    """
    if call.key is None:
        return response
    reply = await call.sessions.store.keep(call.key.place, reply_of(call.key, response, run))
    call.key.check(reply)
    return response if run or reply.run else response_of(reply)
