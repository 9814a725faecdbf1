"""Which names this server answers to: a page elsewhere cannot make its own name mean this server."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import Misdirected, respond

PROBES = ("/healthz", "/readyz")  # are asked by address, and say nothing


class AllowedHosts:
    """Middleware that refuses requests to other hosts; `*.example.org` stands for every name below it."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app = app
        self._names = {host.lower() for host in hosts if not host.startswith("*.")}
        self._endings = tuple(host[1:].lower() for host in hosts if host.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PROBES and not self._takes(_host(scope)):
            refusal = Misdirected("this server does not answer for the host that the request names")
            await respond(Request(scope), refusal)(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _takes(self, host: str) -> bool:
        return host in self._names or host.endswith(self._endings)


def _host(scope: Scope) -> str:
    """The host that a request names, without its port; of an IPv6 address, without its brackets."""
    try:
        return urlsplit(f"//{Headers(scope=scope).get('host', '')}").hostname or ""
    except ValueError:
        return ""
