"""What should not happen in a browser: errors and warnings on the console, refused requests, requests to elsewhere."""

from collections.abc import Callable

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

ABORTED = "net::ERR_ABORTED"  # by the page itself, or because it was left


class Watch:
    """Notes the faults in the browser contexts that it is told to watch, one line each."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.expected: list[str] = []  # parts of the URLs that may be refused
        self.faults: list[str] = []

    def over(self, context: BrowserContext) -> None:
        """Watch the pages of a context, until `off` is called."""
        for event, note in self._notes().items():
            context.on(event, note)  # type: ignore[call-overload]

    def off(self, context: BrowserContext) -> None:
        for event, note in self._notes().items():
            context.remove_listener(event, note)

    def _notes(self) -> dict[str, Callable[..., None]]:
        return {
            "console": self._console,
            "weberror": self._error,
            "request": self._request,
            "response": self._response,
            "requestfailed": self._failed,
        }

    def _is_expected(self, url: str) -> bool:
        return any(part in url for part in self.expected)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not self._is_expected(message.location["url"]):
            self.faults.append(f"console {message.type}: {message.text}")

    def _error(self, error: WebError) -> None:
        self.faults.append(f"uncaught: {error.error}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.server}/", "data:", f"blob:{self.server}/")):
            self.faults.append(f"a request to elsewhere: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400 and not self._is_expected(response.url):
            self.faults.append(f"{response.request.method} {response.url}: {response.status}")

    def _failed(self, request: Request) -> None:
        if request.failure != ABORTED and not self._is_expected(request.url):
            self.faults.append(f"{request.method} {request.url}: {request.failure}")
