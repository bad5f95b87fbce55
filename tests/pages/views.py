"""Every page and part of a page, and how to get there in any language: for what looks at all of them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from shared.bootstrap import Services
from shared.settings import Settings
from tests.acceptance.acceptance_support import eventually
from tests.pages.pages_instance import PagesInstance, add_version

SHOWN_ITEMS = 6
PENDING = "waits-for-a-word"


@dataclass(frozen=True)
class View:
    """One thing to look at: its address, whose it is, and what has to be done to see it."""

    name: str
    path: str
    role: str = "administrator"
    reach: Callable[[Page, PagesInstance], None] = lambda _page, _pages: None

    def show(self, page: Page, pages: PagesInstance) -> None:
        """Bring an opened page, signed in with `role`, to show it whole."""
        page.goto(self.path)
        page.locator("main :is(h1, h2, [role=tab])").first.wait_for()
        page.wait_for_load_state("networkidle")
        self.reach(page, pages)
        page.wait_for_load_state("networkidle")


def furnish(pages: PagesInstance, folder: Path) -> None:
    """Give an instance what its pages show: an alert, a version that waits, and a quality cycle that ended."""
    running = pages.running
    add_version(pages, PENDING, folder / "package")
    services = Services(Settings(data_dir=running.data_dir, models_dir=running.data_dir / "models"))
    try:
        services.alerts.raise_alert("poison-message", "extracts", "A message of extracts could not be handled: no JSON")
    finally:
        services.engine.dispose()
    cycle = running.post("quality/cycles", {"sample_size": 60})["id"]
    eventually(lambda: running.get(f"quality/cycles/{cycle}")["state"] not in ("queued", "running"))


def ask_for_routings(page: Page, pages: PagesInstance) -> None:
    """Paste some items' codes on the planner's page, where its list is empty, and wait for the first routing."""
    paste, routing = page.locator('[role="tab"][id$="-paste"]'), page.locator("table.routing tbody tr").first
    paste.or_(routing).first.wait_for()
    if routing.is_visible():
        return
    items = pages.running.get(f"items?limit={SHOWN_ITEMS}")["items"]
    paste.click()
    page.locator("textarea").fill("\n".join(item["item_code"] for item in items))
    page.locator('form button[type="submit"]').click()
    routing.wait_for()


def _way(name: str) -> Callable[[Page, PagesInstance], None]:
    return lambda page, _pages: page.locator(f'[role="tab"][id$="-{name}"]').click()


def _routing(view: int) -> Callable[[Page, PagesInstance], None]:
    def reach(page: Page, pages: PagesInstance) -> None:
        ask_for_routings(page, pages)
        page.locator('.routing-panel [role="tab"]').nth(view).click()

    return reach


def _first_of(area: str, path: str, key: str) -> Callable[[Page, PagesInstance], None]:
    """Choose the newest row of a list."""

    def reach(page: Page, pages: PagesInstance) -> None:
        items = pages.running.get(path)["items"]
        if items:
            page.goto(f"/ui/operations/{area}?id={items[0][key]}")

    return reach


def sign_in_dialog(page: Page, _pages: PagesInstance) -> None:
    """Open the dialog that asks for a key."""
    page.locator("header .who button").click()


VIEWS = (
    View("planner-find", "/ui/", "planner"),
    View("planner-paste", "/ui/", "planner", _way("paste")),
    View("planner-new-item", "/ui/", "planner", _way("new")),
    View("planner-routing", "/ui/", "planner", _routing(0)),
    View("planner-compare", "/ui/", "planner", _routing(1)),
    View("planner-evidence", "/ui/", "planner", _routing(2)),
    View("operations", "/ui/operations"),
    View("operations-alerts", "/ui/operations/alerts", reach=_first_of("alerts", "alerts?limit=1", "id")),
    View("operations-quality", "/ui/operations/quality", reach=_first_of("quality", "quality/cycles?limit=1", "id")),
    View("operations-jobs", "/ui/operations/jobs", reach=_first_of("jobs", "training/jobs?limit=1", "id")),
    View("operations-versions", "/ui/operations/versions", reach=_first_of("versions", "models?limit=1", "version")),
    View("operations-data", "/ui/operations/data"),
    View("operations-configuration", "/ui/operations/configuration"),
    View("operations-log", "/ui/operations/log"),
    View("operations-keys", "/ui/operations/keys"),
    View("operations-audit", "/ui/operations/audit", "auditor"),
)

# Buttons that open a dialog, in English, by the view they are on.
DIALOGS = {
    "operations": ("Roll back",),
    "operations-alerts": ("Close the alert",),
    "operations-quality": ("Start a cycle",),
    "operations-jobs": ("Start a training job",),
    "operations-versions": ("Activate", "Reject"),
    "operations-data": ("Extract now",),
    "operations-keys": ("Make a key", "Rotate", "Revoke"),
}


def open_dialog(page: Page, button: str) -> None:
    """Press a button and wait for the dialog that it opens."""
    page.get_by_role("main").get_by_role("button", name=re.compile(f"^{button}")).first.click()
    page.get_by_role("dialog").wait_for()


def close_dialog(page: Page) -> None:
    """Leave the dialog by the keyboard."""
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
