"""An application with one route that does nothing: what FastAPI itself costs."""

import os

from fastapi import FastAPI, Response
from pydantic import BaseModel

app = FastAPI()
_answer = Response(b"x" * int(os.environ["EMPTY_ROUTE_BYTES"]), media_type="application/json")


class Nothing(BaseModel):
    """A body as small as that of a pass."""

    until: str | None = None


@app.post("/empty")
async def empty(body: Nothing) -> Response:
    """Takes a body, and answers as many bytes as a snapshot has."""
    return _answer
