"""Every page, part of a page and dialog: for everybody, on a small screen, and on paper."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.pages.accessibility import violations
from tests.pages.chromium import SCREEN
from tests.pages.opening import Opener
from tests.pages.pages_instance import PagesInstance
from tests.pages.views import (
    DIALOGS,
    SHOWN_ITEMS,
    VIEWS,
    View,
    ask_for_routings,
    close_dialog,
    furnish,
    open_dialog,
    sign_in_dialog,
)  # fmt: skip

PARTS = {
    "planner": [view for view in VIEWS if view.role == "planner"],
    "administrator": [view for view in VIEWS if view.role == "administrator"],
    "auditor": [view for view in VIEWS if view.role == "auditor"],
}


@pytest.fixture(scope="module", autouse=True)
def _furnished(pages: PagesInstance, tmp_path_factory: pytest.TempPathFactory) -> None:
    furnish(pages, tmp_path_factory.mktemp("furniture"))


def faults(page: Page, name: str) -> list[str]:
    """What keeps somebody from using what is shown, or makes it wider than the screen."""
    found = [f"{name}: {each}" for each in violations(page)]
    width = page.evaluate("document.documentElement.scrollWidth")
    return found + ([f"{name}: {width} pixels wide"] if width > SCREEN["width"] else [])


def faults_of(view: View, page: Page, pages: PagesInstance) -> list[str]:
    view.show(page, pages)
    found = faults(page, view.name)
    for button in DIALOGS.get(view.name, ()):
        open_dialog(page, button)
        found += faults(page, f"{view.name}, {button}")
        close_dialog(page)
    return found


def test_the_check_finds_what_is_wrong(page: Page) -> None:
    page.evaluate(
        'document.body.innerHTML = \'<input><p style="color:#aaa">pale</p><div style="width:2000px">wide</div>\''
    )
    found = faults(page, "broken")
    rules = {each.split(": ")[1] for each in found}
    assert {"label", "color-contrast", "2000 pixels wide"} <= {re.sub(r"^\d{4} ", "2000 ", rule) for rule in rules}


@pytest.mark.parametrize("role", PARTS)
def test_what_a_role_sees_is_for_everybody_and_fits_a_small_screen(
    open_page: Opener, pages: PagesInstance, role: str
) -> None:
    page = open_page(role=role)
    found = [fault for view in PARTS[role] for fault in faults_of(view, page, pages)]
    assert found == []


def test_signing_in_is_for_everybody(page: Page, pages: PagesInstance) -> None:
    page.get_by_label("Language").select_option("한국어")
    sign_in_dialog(page, pages)
    assert faults(page, "sign-in") == []


def test_a_list_of_work_prints_an_item_a_sheet(open_page: Opener, pages: PagesInstance, tmp_path: Path) -> None:
    page = open_page("/ui/", role="planner")
    ask_for_routings(page, pages)
    expect(page.get_by_role("listbox").get_by_role("option")).to_have_count(SHOWN_ITEMS)
    page.wait_for_load_state("networkidle")
    page.locator(".left .menu summary").click()
    page.locator(".left .menu").get_by_role("button", name="Print").click()
    expect(page.locator("section.sheet")).to_have_count(SHOWN_ITEMS)
    printed = tmp_path / "sheets.pdf"
    page.pdf(path=printed, format="A4", landscape=True)
    sheets = len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))
    assert sheets == SHOWN_ITEMS
