"""The machine's own Chromium, driven by Playwright: which one, how it is started, and what it may not do."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, ViewportSize, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHOSEN = os.environ.get("ROUTING_CHROMIUM", "")  # read here: tests do not see the settings of their shell
# It fetches nothing of its own, and draws without a graphics card; as root it cannot make its sandbox.
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SCREEN: ViewportSize = {"width": 1366, "height": 768}  # what the pages are made for
LANGUAGES = {"en": "en-US", "ko": "ko-KR"}
PATIENCE_MS = 30_000  # how long an element is waited for, on a busy machine


def chromium_path() -> str | None:
    """Return the Chromium that ROUTING_CHROMIUM names, else the one on PATH, None where there is none."""
    return next((found for name in ([CHOSEN] if CHOSEN else NAMES) if (found := shutil.which(name))), None)


def missing_for_chromium() -> str | None:
    """Return what keeps the pages from being opened here, or None."""
    if chromium_path():
        return None
    return f"ROUTING_CHROMIUM={CHOSEN}, which cannot be run" if CHOSEN else "Chromium (apt install chromium)"


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Start a headless Chromium with a new, empty profile; it ends with the block.

    While it runs, this thread counts as inside an event loop: `asyncio.run` fails in it.
    """
    with sync_playwright() as playwright:
        flags = [*FLAGS, *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
        browser = playwright.chromium.launch(executable_path=chromium_path(), headless=True, args=flags)
        try:
            yield browser
        finally:
            browser.close()


def new_context(browser: Browser, address: str, language: str) -> BrowserContext:
    """Return a new, empty browser session: no cookie, nothing kept, in a language of the pages."""
    context = browser.new_context(
        base_url=address, locale=LANGUAGES[language], timezone_id="Asia/Seoul", viewport=SCREEN
    )
    context.set_default_timeout(PATIENCE_MS)
    return context
