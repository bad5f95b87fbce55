"""What every page has around it: language, links between the pages, who is signed in, and what they may do."""

import pytest
from playwright.sync_api import Page, expect

from tests.pages.opening import Opener
from tests.pages.pages_instance import PagesInstance
from tests.pages.watching import Watch

WORDS = {
    "en": {"/ui/": "Find items by code or text", "/ui/operations": "Active version"},
    "ko": {"/ui/": "코드나 텍스트로 품목 찾기", "/ui/operations": "활성 버전"},
}


def sign_in(page: Page, key: str) -> None:
    page.get_by_role("button", name="Sign in").click()
    dialog = page.get_by_role("dialog", name="Sign in")
    dialog.get_by_label("Key").fill(key)
    dialog.get_by_role("button", name="Sign in").click()


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("path", ["/ui/", "/ui/operations"])
def test_a_page_opens_in_the_browsers_language(
    open_page: Opener, pages: PagesInstance, path: str, language: str
) -> None:
    page = open_page(path, language=language)
    expect(page.get_by_text(WORDS[language][path], exact=True).first).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", language)
    version = pages.running.get("models/active")["version"]
    expect(page.locator("header")).to_contain_text(version)
    page.wait_for_load_state("networkidle")


def test_the_language_is_changed_at_once_and_kept(page: Page) -> None:
    page.get_by_label("Language").select_option("한국어")
    expect(page.get_by_text(WORDS["ko"]["/ui/"])).to_be_visible()
    page.reload()
    expect(page.get_by_text(WORDS["ko"]["/ui/"])).to_be_visible()


def test_one_page_leads_to_the_other_without_loading_anew(page: Page) -> None:
    page.evaluate("window.isTheSame = true")
    page.get_by_role("link", name="Operations").click()
    expect(page.get_by_role("heading", name="Active version")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Find items by code or text")).to_be_visible()
    assert page.evaluate("window.isTheSame")


def test_a_key_signs_in_shows_who_and_signs_out(page: Page, pages: PagesInstance) -> None:
    sign_in(page, pages.keys["planner"])
    header = page.locator("header")
    expect(header).to_contain_text("The planner")
    page.reload()
    expect(header).to_contain_text("The planner")
    page.get_by_role("button", name="Sign out").click()
    expect(header.get_by_role("button", name="Sign in")).to_be_visible()
    page.reload()
    expect(header.get_by_role("button", name="Sign in")).to_be_visible()


def test_the_keyboard_alone_signs_in(page: Page, pages: PagesInstance) -> None:
    page.get_by_role("button", name="Sign in").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_label("Key")).to_be_focused()
    page.keyboard.type(pages.keys["viewer"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Sign out")).to_be_focused()


def test_a_wrong_key_is_explained(page: Page, watch: Watch) -> None:
    watch.foretell("/api/session", "401")
    sign_in(page, "rml_0123456789ab_wrong")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("alert")).to_contain_text("This key does not let anybody in.")
    expect(dialog.get_by_role("alert")).to_contain_text("Ask an administrator for a key.")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


def test_a_planner_is_not_offered_activation_and_the_api_refuses_it(
    open_page: Opener, watches: list[Watch], pages: PagesInstance
) -> None:
    version = pages.running.get("models/active")["version"]
    page = open_page("/ui/operations", role="planner")
    expect(page.get_by_text(version).first).to_be_visible()
    expect(page.locator("header")).to_contain_text("The planner")
    expect(page.get_by_role("button", name="Roll back")).to_have_count(0)
    watches[0].foretell("/api/models/", "403")
    told = page.evaluate(
        """async (version) => {
            const headers = { "x-requested-with": "routing-ml", "content-type": "application/json" };
            const body = JSON.stringify({ reason: "because I can" });
            const answer = await fetch(`/api/models/${version}/activate`, { method: "POST", headers, body });
            return [answer.status, (await answer.json()).code];
        }""",
        version,
    )
    assert told == [403, "forbidden"]
    operator = open_page("/ui/operations", role="operator")
    expect(operator.get_by_role("button", name="Roll back")).to_be_visible()
