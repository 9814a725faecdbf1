"""Replicas that do as they are told: what the proxy sends where, and what it makes of the answers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple


class Request(NamedTuple):
    """What has reached a replica."""

    method: str
    path: str
    headers: Message


class Fake:
    """A replica. `seen` are the requests that have reached it, but for those for its health; `answer` answers them.

    An `answer` gives the status, or None to close the connection without one.
    """

    def __init__(self) -> None:
        self.ready = True
        self.seen: list[Request] = []
        self.answer: Callable[[], int | None] = lambda: 200
        self.port = 0

    @property
    def paths(self) -> list[str]:
        """The paths of what has reached it."""
        return [request.path for request in self.seen]


@contextmanager
def fake() -> Iterator[Fake]:
    """A replica in a thread of its own."""
    replica = Fake()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path == "/readyz":
                self.reply(200 if replica.ready else 503)
                return
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            replica.seen.append(Request(self.command, self.path, self.headers))
            status = replica.answer()
            if status is None:
                self.close_connection = True
            else:
                self.reply(status)

        do_POST = do_GET

        def reply(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        replica.port = server.server_address[1]
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield replica
        finally:
            server.shutdown()
            thread.join()
