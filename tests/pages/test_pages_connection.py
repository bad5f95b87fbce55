"""A page that stays open: over a restart of the host, a change of the model, and the end of its session."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.acceptance_support import eventually
from tests.pages.opening import Opener
from tests.pages.pages_instance import PagesInstance, add_version, make_key
from tests.pages.test_pages_frame import sign_in
from tests.pages.watching import Watch

BACK_MS = 120_000  # a host that starts and loads its model, on a busy machine
UNREACHABLE = "The service cannot be reached"


@pytest.fixture
def supervisor_asleep(pages: PagesInstance) -> Iterator[Callable[[], None]]:
    """Keep the instance's supervisor from starting a killed host again, until the returned function is called."""
    process = pages.running.process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)

    def awake() -> None:
        os.kill(process.pid, signal.SIGCONT)

    yield awake
    awake()
    assert eventually(lambda: is_ready(pages), BACK_MS / 1000)  # the next test finds it up


def is_ready(pages: PagesInstance) -> bool:
    try:
        return httpx.get(f"{pages.address}/api/health/ready", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def kill_host(pages: PagesInstance) -> None:
    note = json.loads((pages.running.data_dir / "run" / "host.json").read_bytes())
    os.kill(int(note["pid"]), signal.SIGKILL)


def test_a_page_finds_its_way_back_after_the_host_was_killed_and_shows_what_changed_meanwhile(
    page: Page, watch: Watch, pages: PagesInstance, supervisor_asleep: Callable[[], None], tmp_path: Path
) -> None:
    before = pages.running.get("models/active")["version"]
    add_version(pages, "changed-meanwhile", tmp_path / "package")
    badge = page.locator("header")
    expect(badge).to_contain_text(before)
    page.get_by_label("Find items by code or text").fill("seal")
    page.evaluate("window.isTheSame = true")
    watch.foretell("/api/", "ERR_")
    watch.foretell("/api/health", "503")  # while the new host loads the model
    kill_host(pages)
    expect(page.get_by_text(UNREACHABLE)).to_be_visible()
    done = pages.running.manage("models", "activate", "changed-meanwhile", "--reason", "while nobody could look")
    assert done.returncode == 0, done.stderr
    supervisor_asleep()
    expect(page.get_by_text(UNREACHABLE)).to_be_hidden(timeout=BACK_MS)
    expect(badge).to_contain_text("changed-meanwhile", timeout=BACK_MS)
    expect(page.get_by_label("Find items by code or text")).to_have_value("seal")
    assert page.evaluate("window.isTheSame"), "nothing was loaded anew"

    pages.running.post("models/rollback", {"reason": "the test is over"}, status=200)
    expect(badge).to_contain_text(before, timeout=BACK_MS)
    assert page.evaluate("window.isTheSame")


def ask_for_a_cycle(page: Page) -> None:
    page.get_by_role("button", name="Start a cycle").click()
    page.get_by_role("dialog").get_by_role("button", name="Start").click()


def test_a_change_is_refused_while_the_service_is_away_and_not_made_later(
    open_page: Opener, watches: list[Watch], pages: PagesInstance, supervisor_asleep: Callable[[], None]
) -> None:
    page = open_page("/ui/operations/quality", role="operator")
    expect(page.get_by_role("button", name="Start a cycle")).to_be_visible()
    cycles = pages.running.get("quality/cycles")["total"]
    watches[0].foretell("/api/", "ERR_")
    watches[0].foretell("/api/health", "503")
    kill_host(pages)
    ask_for_a_cycle(page)
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text(UNREACHABLE)
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.locator(".banner")).to_be_visible()
    supervisor_asleep()
    expect(page.locator(".banner")).to_be_hidden(timeout=BACK_MS)
    assert pages.running.get("quality/cycles")["total"] == cycles


def test_the_end_of_a_session_is_shown_and_explained(
    open_page: Opener, watches: list[Watch], pages: PagesInstance
) -> None:
    page = open_page("/ui/operations/quality")
    header = page.locator("header")
    sign_in(page, make_key(pages.running, "Somebody who leaves", "operator"))
    expect(header).to_contain_text("Somebody who leaves")
    administer = {"x-api-key": pages.running.key}
    made = httpx.get(f"{pages.address}/api/keys", params={"user": "Somebody who leaves"}, headers=administer)
    for row in made.json()["items"]:
        assert httpx.delete(f"{pages.address}/api/keys/{row['id']}", headers=administer).status_code == 200
    watches[0].foretell("/api/quality/cycles", "401")
    ask_for_a_cycle(page)
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("Sign in first")
    page.keyboard.press("Escape")
    expect(header.get_by_role("alert")).to_contain_text("your key counts no more")
    sign_in(page, pages.keys["planner"])
    expect(header).to_contain_text("The planner")
    expect(header.get_by_role("alert")).to_have_count(0)


def test_a_session_whose_time_is_over_says_so(page: Page, pages: PagesInstance) -> None:
    page.clock.install()
    page.reload()
    sign_in(page, pages.keys["planner"])
    header = page.locator("header")
    expect(header).to_contain_text("The planner")
    with page.expect_response("**/api/session"):
        page.clock.fast_forward("11:50:00")
    expect(header).to_contain_text("Signed in until")
    page.context.clear_cookies()  # as the browser does when the time is over
    with page.expect_response("**/api/session"):
        page.clock.fast_forward("15:00")
    expect(header.get_by_role("alert")).to_contain_text("time is over")
