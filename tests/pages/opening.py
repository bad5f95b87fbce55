"""Opening pages in browser sessions of their own, each under watch."""

from playwright.sync_api import Browser, BrowserContext, Page

from tests.pages.chromium import new_context
from tests.pages.pages_instance import PagesInstance
from tests.pages.watching import Watch


class Opener:
    """Opens pages of an instance; calling it opens one: `opener("/ui/", language="ko", role="planner")`."""

    def __init__(self, browser: Browser, pages: PagesInstance, watches: list[Watch]) -> None:
        """Open in `browser`; the watch over each page is appended to `watches`."""
        self._browser, self._pages, self._watches = browser, pages, watches
        self._contexts: list[BrowserContext] = []

    def __call__(self, path: str = "/ui/", *, language: str = "en", role: str | None = None) -> Page:
        """Open `path` in a new browser session, signed in with the key of `role` where one is given."""
        page = self.blank(language=language, role=role)
        page.goto(path)
        return page

    def blank(self, *, language: str = "en", role: str | None = None) -> Page:
        """Return a page in a new browser session that has not been anywhere yet."""
        context = new_context(self._browser, self._pages.address, language)
        self._contexts.append(context)
        page = context.new_page()
        self._watches.append(Watch(page, self._pages.address))
        if role is not None:  # as the dialog does, without the dialog
            answer = page.request.post(f"{self._pages.address}/api/session", data={"key": self._pages.keys[role]})
            assert answer.status == 201, answer.text()
        return page

    def close(self) -> None:
        """End every session."""
        for context in self._contexts:
            context.close()
        self._contexts.clear()
