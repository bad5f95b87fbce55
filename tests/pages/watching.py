"""What a page must never do: say an error, run into one, break its own policy, or ask another host."""

from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request, Response

_LOCAL = ("data:", "blob:", "about:")  # of the page itself


class Watch:
    """Everything that went wrong in a page since it was opened, but for what a test foretold."""

    def __init__(self, page: Page, address: str) -> None:
        """Watch `page`, which may ask `address` and nobody else."""
        self._address = address
        self._foretold: list[tuple[str, str]] = []
        self._found: list[str] = []
        self._failures: list[tuple[str, str, str]] = []  # what failed to load: its path, what the console said, all
        self.answers: list[tuple[str, str, int]] = []  # method, path, status of every answer of the API
        page.on("console", self._console)
        page.on("pageerror", lambda error: self._found.append(f"page error: {error}"))
        page.on("crash", lambda _page: self._found.append("the page crashed"))
        page.on("request", self._request)
        page.on("response", self._response)

    def foretell(self, path: str, answer: str) -> None:
        """Let requests whose path begins with `path` fail with `answer`, such as "401" or "ERR_CONNECTION_REFUSED".

        Chromium writes each of them to the console, whatever the page makes of it.
        """
        self._foretold.append((path, answer))

    def problems(self) -> list[str]:
        """Return what went wrong, but for what was foretold."""
        unexpected = [
            said
            for path, text, said in self._failures
            if not any(path.startswith(begin) and answer in text for begin, answer in self._foretold)
        ]
        return self._found + unexpected

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        where = message.location.get("url", "")
        said = f"console {message.type}: {message.text} ({where})"
        if message.text.startswith("Failed to load resource"):
            self._failures.append((urlsplit(where).path, message.text, said))
        else:
            self._found.append(said)

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self._address}/", *_LOCAL)):
            self._found.append(f"request to elsewhere: {request.url}")

    def _response(self, response: Response) -> None:
        path = urlsplit(response.url).path
        if path.startswith("/api/"):
            self.answers.append((response.request.method, path, response.status))
