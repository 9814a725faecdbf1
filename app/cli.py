"""`gradstep`: serve on this machine, and `gradstep key`: make a key to be called with."""

import signal
import socket
import sys
from contextlib import suppress
from importlib.util import find_spec
from typing import Annotated

import typer
import uvicorn
from pydantic import ValidationError
from uvicorn.supervisors import Multiprocess

from app import __version__
from app.api.keys import Keys, new_key
from app.logs import log_config
from app.protocol import Config
from app.settings import Settings

_PATIENCE_SECONDS = 3  # with connections, once what is under way has been given up: see `app.drain`
_STALLED_SECONDS = 30  # as long as a stream has patience
_UNSENT_BYTES = 128 * 1024

commands = typer.Typer(add_completion=False)


class _Processes(Multiprocess):
    """uvicorn's, which keep a dead one replaced; when they end, nobody is let in that none of them would hear."""

    def terminate_all(self) -> None:
        for listener in self.sockets:
            listener.close()
        super().terminate_all()


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@commands.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 for a free one.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="How many processes; for more than 1, set GRADSTEP_STORE.", min=1)] = 1,
    access_log: Annotated[bool, typer.Option(help="Log each request, at a cost.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Serve Gradstep: its page, its API, and the documentation of it under /docs."""
    if context.invoked_subcommand is not None:
        return
    settings = _settings()
    if workers > 1 and settings.store == "memory":
        raise typer.BadParameter(
            "sessions are in the memory of one process, and others would not see them; for more, set GRADSTEP_STORE to "
            "the URL of a Valkey server",
            param_hint="--workers",
        )
    # When it has stopped, uvicorn sends itself again the signal that stopped it, which would end this process by it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with _listen(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}"
        typer.echo(f"Gradstep: {address}/ and its documentation: {address}/docs (Ctrl+C ends it)")
        config = Config(
            settings, access_log=access_log, workers=workers, log_config=log_config(settings.log_format),
            timeout_graceful_shutdown=_PATIENCE_SECONDS,
        )  # fmt: skip
        if workers > 1:
            _Processes(config, [listener]).run()
            return
        server = uvicorn.Server(config)
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    if not server.started:
        raise typer.Exit(1)


@commands.command()
def key(name: Annotated[str, typer.Argument(help="Whose it is: the owner of the sessions that it makes.")]) -> None:
    """Make a key for GRADSTEP_API_KEYS. Without a server, and kept nowhere."""
    try:
        made, entry = new_key(name)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="NAME") from None
    typer.echo(f"The key, for {name} alone; it is not shown again:\n  {made}")
    typer.echo(f"The entry for the server's GRADSTEP_API_KEYS, a comma list:\n  {entry}")


def _settings() -> Settings:
    """The settings, or else an end that says what is wrong with them."""
    try:
        settings = Settings()
        Keys(settings.api_keys)
    except ValidationError as error:
        for detail in error.errors():
            typer.echo(f"GRADSTEP_{str(detail['loc'][0]).upper()}: {detail['msg']}", err=True)
        raise typer.Exit(1) from None
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    extras = [
        ("METRICS", settings.metrics, "prometheus_client", "metrics"),
        ("STORE", settings.store != "memory", "valkey", "valkey"),
    ]
    for name, wanted, library, extra in extras:
        if wanted and find_spec(library) is None:
            typer.echo(f"GRADSTEP_{name}: needs what `pip install gradstep[{extra}]` brings", err=True)
            raise typer.Exit(1)
    return settings


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
    commands()
