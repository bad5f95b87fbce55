"""The pages in a real browser: one instance for all of these tests, a new browser session for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from shared.azurite.service import missing_for_azurite
from tests.pages.chromium import PATIENCE_MS, missing_for_chromium, running_chromium
from tests.pages.opening import Opener
from tests.pages.pages_instance import PagesInstance, start_pages_instance
from tests.pages.watching import Watch

expect.set_options(timeout=PATIENCE_MS)
_STARTED: list[PagesInstance] = []


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PagesInstance]:
    """The instance that every test with a browser shares: they run one after another, in one process."""
    missing = missing_for_chromium() or missing_for_azurite()
    if missing is not None:
        pytest.skip(f"needs {missing}")
    instance = start_pages_instance(tmp_path_factory.mktemp("pages"))
    _STARTED.append(instance)
    yield instance
    instance.running.kill_everything()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End the instance after the last test of this folder: idle, it takes a twentieth of a core from those to come."""
    if nextitem is None or nextitem.path.parent != Path(__file__).parent:
        while _STARTED:
            _STARTED.pop().running.kill_everything()


@pytest.fixture(scope="module")
def chromium(pages: PagesInstance) -> Iterator[Browser]:  # after the instance: an event loop is in its way
    """One browser for a module; it must not stay open for others' tests, see `running_chromium`."""
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def watches() -> Iterator[list[Watch]]:
    """The watches over every page that a test opens: one that found something fails the test."""
    watching: list[Watch] = []
    yield watching
    assert [problem for watch in watching for problem in watch.problems()] == []


@pytest.fixture
def open_page(chromium: Browser, pages: PagesInstance, watches: list[Watch]) -> Iterator[Opener]:
    """Open pages in browser sessions of their own: `open_page("/ui/", language="ko", role="planner")`."""
    opener = Opener(chromium, pages, watches)
    yield opener
    opener.close()


@pytest.fixture
def page(open_page: Opener) -> Page:
    """The planner's page in English, nobody signed in."""
    return open_page()


@pytest.fixture
def watch(page: Page, watches: list[Watch]) -> Watch:
    """The watch over `page`."""
    return watches[0]
