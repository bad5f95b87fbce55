"""The night shift in a real browser: from an alarm to the version that answers it, and back again."""

import sys
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect

from launcher.environment import STORAGE, with_recorded_storage
from shared.bootstrap import Services
from shared.quality.alarms import ALERT_KIND
from shared.settings import Settings
from tests.pages.pages_instance import PagesInstance
from tests.pages.watching import Watch

SHORTLY, TRAINED = 30_000, 240_000  # milliseconds
AS_BEFORE = {"alarms": {"retraining": "challenger"}, "training": {"refit_margin": 0.02}}


@pytest.fixture
def as_it_was(pages: PagesInstance) -> Iterator[str]:
    """The active version; afterwards it serves again, under the configuration as shipped, and no alert is left."""
    active = pages.running.get("models/active")["version"]
    yield active
    if pages.running.get("models/active")["version"] != active:
        pages.running.post(f"models/{active}/activate", {"reason": "the test is over"}, status=200)
    headers = {"x-api-key": pages.running.key}
    assert httpx.patch(f"{pages.address}/api/config", json=AS_BEFORE, headers=headers, timeout=30).status_code == 200
    for alert in (
        pages.running.get("alerts?state=open")["items"] + pages.running.get("alerts?state=acknowledged")["items"]
    ):
        pages.running.post(f"alerts/{alert['id']}/close", {"note": "the test is over"}, status=200)


def alarm(pages: PagesInstance, cycle_id: str) -> str:
    """Raise an alarm of a cycle and ask for its job, as the judge of cycles does; return the job's id."""
    environment = with_recorded_storage({"ROUTING_DATA_DIR": str(pages.running.data_dir)})
    services = Services(Settings(data_dir=pages.running.data_dir, ROUTING_STORAGE_CONNECTION=environment[STORAGE]))
    try:
        figure = pages.running.get(f"quality/cycles/{cycle_id}")["metrics"]["overall"]["mae"]
        message = f"The mean absolute error of an order's operation is {figure['value']:.1f} min."
        details = {"cycle_id": cycle_id, "metric": "mae", "value": figure["value"]}
        alert = services.alerts.raise_alert(ALERT_KIND, "mae", message, details=details)
        job = services.training_jobs.enqueue_for_alarm(message, cycle_id)
        services.alerts.add_details(alert.id, {"retraining": {"asked": True, "job_id": job.id}})
    finally:
        services.engine.dispose()
    return job.id


def configure(page: Page) -> None:
    """Let an alarm ask for a refit that is registered however it compares."""
    page.get_by_role("link", name="Configuration").click()
    page.get_by_label("retraining", exact=True).select_option("refit")
    margin = page.get_by_label("refit_margin", exact=True)
    margin.fill("2")
    expect(page.get_by_role("alert").filter(has_text="At most 1.")).to_be_visible()
    expect(page.get_by_role("button", name="Save")).to_be_disabled()
    margin.fill("1")
    expect(page.get_by_text("was challenger")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved, and in force from now on.")).to_be_visible()
    expect(page.get_by_text("training.refit_margin: 0.02 → 1")).to_be_visible()


def run_a_cycle(page: Page) -> str:
    """Start a cycle, wait for its end, and return its id."""
    page.get_by_role("link", name="Quality").click()
    page.get_by_role("button", name="Start a cycle").click()
    dialog = page.get_by_role("dialog", name="Start a cycle")
    dialog.get_by_label("Items in the sample").fill("40")
    dialog.get_by_label("Sampling").select_option("random")
    dialog.get_by_label("Seed").fill("7")
    dialog.get_by_role("button", name="Start").click()
    detail = page.get_by_role("region", name="Quality cycle", exact=True)
    expect(detail.get_by_text("Figures of the whole")).to_be_visible(timeout=SHORTLY)
    expect(detail.get_by_role("link", name=".csv")).to_be_visible()
    expect(page.get_by_role("img", name="Median error")).to_be_visible(timeout=SHORTLY)
    return str(detail.locator(".big").inner_text())


def give_reason(page: Page, button: str, reason: str) -> None:
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Reason").fill(reason)
    dialog.get_by_role("button", name=button).click()


def test_from_an_alarm_to_the_version_that_answers_it_and_back(
    open_page: Callable[..., Page], pages: PagesInstance, watches: list[Watch], as_it_was: str
) -> None:
    """Alarm, its cycle, its job, the pending version, verify, activate, roll back; and two operators at once."""
    began = time.monotonic()
    page = open_page("/ui/operations", role="operator")
    configure(page)
    cycle_id = run_a_cycle(page)
    job_id = alarm(pages, cycle_id)

    page.get_by_role("link", name="Overview").click()
    raised = page.get_by_role("region", name="Alerts nobody has closed").get_by_role("link", name="Quality alarm")
    raised.click(timeout=SHORTLY)
    alert = page.get_by_role("region", name="Alert", exact=True)
    expect(alert.get_by_text("What to do:")).to_be_visible()
    alert.get_by_role("button", name="Acknowledge").click()
    expect(alert.get_by_text("The operator")).to_be_visible()
    alert.get_by_role("link", name=cycle_id).click()
    cycle = page.get_by_role("region", name="Quality cycle", exact=True)
    cycle.get_by_role("link", name=job_id).click()

    job = page.get_by_role("region", name="Training job", exact=True)
    expect(job.get_by_role("log", name="Log of the job")).to_contain_text("attempt 1 begins", timeout=SHORTLY)
    waited = time.monotonic()
    link = job.get_by_role("link").filter(has_text="version_")
    expect(link).to_be_visible(timeout=TRAINED)
    waited = time.monotonic() - waited
    new = link.inner_text()
    link.click()

    version = page.get_by_role("region", name="Version", exact=True)
    expect(version.get_by_text(f"Beside the active version {as_it_was}")).to_be_visible()
    version.get_by_role("button", name="Verify").click()
    verified = version.get_by_role("region", name="Verification")
    expect(verified.get_by_text("passed").first).to_be_visible(timeout=SHORTLY)
    version.get_by_role("button", name="Activate").click()
    give_reason(page, "Activate", "it answers the alarm")
    expect(version.get_by_role("button", name="Roll back")).to_be_visible(timeout=SHORTLY)
    assert pages.running.get("models/active")["version"] == new

    version.get_by_role("button", name="Roll back").click()
    give_reason(page, "Roll back", "not tonight")
    expect(version.get_by_role("button", name="Activate")).to_be_visible(timeout=SHORTLY)
    assert pages.running.get("models/active")["version"] == as_it_was

    overtake(page, pages, watches[0], seen=as_it_was, new=new)
    seconds = time.monotonic() - began
    sys.stdout.write(f"operator's journey: {seconds:.1f} s, {waited:.1f} s of them waiting for the training\n")


def overtake(page: Page, pages: PagesInstance, watch: Watch, *, seen: str, new: str) -> None:
    """While one operator gives their reason, another rolls back: the first is told, and nothing is undone."""
    page.get_by_role("link", name="Overview").click()
    active = page.get_by_role("link", name=seen, exact=True)
    expect(active).to_be_visible(timeout=SHORTLY)
    page.get_by_role("button", name="Roll back").click()
    pages.running.post("models/rollback", {"reason": "the other operator was quicker"}, status=200)
    watch.foretell("/api/models/rollback", "409")
    give_reason(page, "Roll back", "too late")
    expect(page.get_by_role("dialog").get_by_text("Somebody or something else was quicker.")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("link", name=new, exact=True).first).to_be_visible(timeout=SHORTLY)
    assert pages.running.get("models/active")["version"] == new
