"""`gradstep`: serve on this machine."""

from typing import Annotated

import typer
import uvicorn


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.", min=0, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(help="How many processes; sessions are in memory, so just 1.", min=1)] = 1,
    access_log: Annotated[bool, typer.Option(help="Log each request, at a cost.")] = False,
) -> None:
    """Serve Gradstep."""
    if workers > 1:
        raise typer.BadParameter(
            "sessions are in the memory of one process; more would not see them", param_hint="--workers"
        )
    typer.echo(f"Gradstep: http://{host}:{port}/ and its documentation: http://{host}:{port}/docs")
    uvicorn.run("app.main:app", host=host, port=port, access_log=access_log)


def main() -> None:
    """The entry point of the `gradstep` command."""
    typer.run(serve)
