"""Keys by an administrator's hand in the browser, and their trace on the auditor's page."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.pages.opening import Opener
from tests.pages.pages_instance import PagesInstance

USER = "Kim of the night shift"
KEY = re.compile(r"rml_[0-9a-f]+_\S+")


def asked_of(page: Page, button: Locator, dialog_name: str) -> Locator:
    """Press a button and return the dialog that it opens."""
    button.click()
    return page.get_by_role("dialog", name=dialog_name)


def shown_once(page: Page) -> str:
    """Return the key that a dialog shows, and close it."""
    dialog = page.get_by_role("dialog", name="The new key")
    field = dialog.get_by_role("textbox")
    expect(field).to_have_value(KEY)
    key = field.input_value()
    dialog.get_by_role("button", name="I have kept it").click()
    expect(dialog).to_have_count(0)
    return key


def role_of(page: Page, pages: PagesInstance, key: str) -> str | None:
    """Return the role that a key has, asked as a program would."""
    told = page.request.get(f"{pages.address}/api/session", headers={"x-api-key": key}).json()
    return None if told is None else str(told["role"])


def test_a_key_is_made_shown_once_rotated_and_revoked_and_the_auditor_sees_it(
    open_page: Opener, pages: PagesInstance
) -> None:
    page = open_page("/ui/operations/keys", role="administrator")
    programs = open_page("/ui/")  # nobody is signed in there, so only a key tells who asks

    dialog = asked_of(page, page.get_by_role("button", name="Make a key"), "Make a key")
    dialog.get_by_label("User").fill(USER)
    dialog.get_by_label("Role").select_option("operator")
    dialog.get_by_role("button", name="Make a key").click()
    first = shown_once(page)
    assert role_of(programs, pages, first) == "operator"
    assert first not in page.content()

    line = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=USER))
    dialog = asked_of(page, line.get_by_role("button", name="Rotate"), f"Rotate: {USER}")
    dialog.get_by_label("Hours that the old key stays right").fill("1")
    dialog.get_by_role("button", name="Rotate").click()
    second = shown_once(page)
    assert second != first
    assert role_of(programs, pages, second) == "operator"

    expect(line).to_have_count(2)
    dialog = asked_of(page, line.first.get_by_role("button", name="Revoke"), f"Revoke: {USER}")
    dialog.get_by_role("button", name="Revoke").click()
    expect(line.filter(has_text="revoked")).to_have_count(1)

    auditor = open_page("/ui/operations/audit", role="auditor")
    auditor.get_by_label("Action").fill("key.")
    table = auditor.get_by_role("table")
    expect(table).to_contain_text(USER)
    expect(table).to_contain_text("The administrator")
    assert first not in auditor.content()
    assert second not in auditor.content()


def test_who_may_not_manage_keys_or_read_the_audit_is_told_so(open_page: Opener) -> None:
    page = open_page("/ui/operations/keys", role="operator")
    expect(page.get_by_role("button", name="Make a key")).to_have_count(0)
    page = open_page("/ui/operations/audit", role="administrator")
    expect(page.get_by_text("Only an auditor reads the audit.")).to_be_visible()
