"""`gradstep`: serve on this machine."""

import signal
import socket
import sys
from contextlib import suppress
from typing import Annotated

import typer
import uvicorn
from pydantic import ValidationError

from app import __version__
from app.settings import Settings

_PATIENCE_SECONDS = 5
_STALLED_SECONDS = 30  # as long as a stream has patience
_UNSENT_BYTES = 128 * 1024


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let trainings end after the step that they are at, so that waiting for them is short."""
        from app.main import app

        app.state.sessions.stop()
        await super().shutdown(sockets)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 for a free one.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="How many processes; sessions are in memory, so just 1.", min=1)] = 1,
    access_log: Annotated[bool, typer.Option(help="Log each request, at a cost.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Serve Gradstep: its page, its API, and the documentation of it under /docs."""
    if workers > 1:
        raise typer.BadParameter(
            "sessions are in the memory of one process; more would not see them", param_hint="--workers"
        )
    _check_settings()
    # When it has stopped, uvicorn sends itself again the signal that stopped it, which would end this process by it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _listen(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}"
        typer.echo(f"Gradstep: {address}/ and its documentation: {address}/docs (Ctrl+C ends it)")
        server = _Server(
            uvicorn.Config("app.main:app", access_log=access_log, timeout_graceful_shutdown=_PATIENCE_SECONDS)
        )
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    if not server.started:
        raise typer.Exit(1)


def _check_settings() -> None:
    try:
        Settings()
    except ValidationError as error:
        for detail in error.errors():
            typer.echo(f"GRADSTEP_{str(detail['loc'][0]).upper()}: {detail['msg']}", err=True)
        raise typer.Exit(1) from None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        typer.echo(f"Cannot listen on {host}, port {port}: {error.strerror}. Another --port may be free.", err=True)
        raise typer.Exit(1) from None
    # What a client has not taken yet lies here, and would be megabytes for each, and for ever.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * _STALLED_SECONDS)
    return listener


def main() -> None:
    """The entry point of the `gradstep` command."""
    typer.run(serve)
