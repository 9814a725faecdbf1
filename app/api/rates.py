"""What is left to a client, in the headers of each answer about sessions (draft-ietf-httpapi-ratelimit-headers-10)."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.sessions.rates import PAYER, WINDOW_SECONDS, Payer


class RateHeaders:
    """Knows who pays for a request, and tells them what is left, once it has been counted."""

    def __init__(self, app: ASGIApp, calls: int) -> None:
        self.app = app
        self.policy = f'"calls";q={calls};w={WINDOW_SECONDS}'.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/v1/sessions"):
            return await self.app(scope, receive, send)
        client = scope.get("client")
        payer = Payer(f"address:{_home(client[0])}" if client else "address:")

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start" and payer.counted:
                left = f'"calls";r={payer.left};t={payer.reset}'.encode()
                told = [(b"ratelimit-policy", self.policy), (b"ratelimit", left)]
                message = {**message, "headers": [*message["headers"], *told]}
            await send(message)

        token = PAYER.set(payer)
        try:
            await self.app(scope, receive, tell)
        finally:
            PAYER.reset(token)


@lru_cache(maxsize=1024)
def _home(host: str) -> str:
    """An address, or the network of an IPv6 one: a home has 2⁶⁴ of these."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else host
