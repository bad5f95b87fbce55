"""The planner's page, as a planner works with it all day, in a real browser against a real instance."""

import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import BrowserContext, Page, Request, expect
from playwright.sync_api import TimeoutError as BrowserTimeout

from tests.pages.pages_instance import PagesInstance
from tests.pages.watching import Watch

DESCRIBING = ("PART_TYPE", "ITEM_NM", "ITEM_MATERIAL", "OUTDIAMETER", "INDIAMETER", "OUTTHICKNESS")
CELLS = ("operation_code", "resource_code", "setup_minutes", "run_minutes_per_unit", "wait_minutes")


def told(what: str) -> None:
    """Say a figure; `pytest -s` shows it."""
    print(f"\n{what}")  # noqa: T201


def sent_items(request: Request) -> list[dict[str, Any]]:
    """Return the routings that the page sent to be written."""
    items: list[dict[str, Any]] = json.loads(request.post_data or "")["items"]
    return items


def some_items(pages: PagesInstance, count: int) -> list[dict[str, Any]]:
    """Return items of the factory that have an outer diameter."""
    items = pages.running.get(f"items?limit={count * 3}")["items"]
    return [item for item in items if item["OUTDIAMETER"] is not None][:count]


def routing_on(page: Page) -> list[list[str]]:
    """Return the routing table as it is shown: a row for each operation."""
    told: list[list[str]] = page.locator("table.routing tbody tr").evaluate_all(
        """(rows, columns) => rows.map((row) =>
            columns.map((column) => row.querySelector(`[data-column="${column}"]`).value))""",
        list(CELLS),
    )
    return told


def listed(page: Page) -> Any:
    """Return the rows of the list of work."""
    return page.get_by_role("listbox", name="Items").get_by_role("option")


def cell(page: Page, row: int, column: str) -> Any:
    """Return a cell of the routing table; rows count from 0."""
    return page.locator(f'table.routing [data-column="{column}"]').nth(row)


def paste(page: Page, text: str) -> None:
    """Paste into the list, and ask."""
    add = page.get_by_role("button", name="+ Add items")
    if add.is_enabled():
        add.click()
    page.get_by_role("tab", name="Paste").click()
    page.get_by_role("textbox", name="Item codes or rows").fill(text)
    page.locator("form").get_by_role("button", name="Propose").click()


def set_minutes(page: Page, row: int, column: str, text: str) -> None:
    """Type over a time as a person does, and go on with Enter."""
    cell(page, row, column).click()
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def close_at_once(page: Page) -> None:
    """Close the tab as a person does, staying and closing again where the browser warns that work is not kept yet."""
    page.on("dialog", lambda warning: warning.dismiss())
    for _ in range(10):
        with suppress(BrowserTimeout), page.expect_event("close", timeout=2_000):
            page.close(run_before_unload=True)
        if page.is_closed():
            return
    raise AssertionError("the page still holds work that is not kept")


def drag(page: Page, what: Any, onto: Any) -> None:
    """Drag with the mouse, in steps as a hand does."""
    start, end = what.bounding_box(), onto.bounding_box()
    page.mouse.move(start["x"] + 5, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(end["x"] + 5, end["y"] + 5, steps=6)
    page.mouse.up()


def test_a_new_item_by_attributes_becomes_an_accepted_routing_and_a_file_that_opens_again_identically(
    open_page: Callable[..., Page], pages: PagesInstance, tmp_path: Path
) -> None:
    page = open_page("/ui/", role="planner")
    item = some_items(pages, 1)[0]
    began = time.monotonic()

    page.get_by_role("tab", name="New item").click()
    for attribute in DESCRIBING:
        if item[attribute] is not None:
            page.locator(".attribute-fields").get_by_label(re.compile(f"^{attribute}")).fill(str(item[attribute]))
    page.get_by_role("button", name="Propose 1 routing").click()
    expect(page.get_by_role("radiogroup", name="Candidates").get_by_role("radio").first).to_be_checked()

    proposed = routing_on(page)
    set_minutes(page, 0, "setup_minutes", "12.5")
    cell(page, 0, "operation_code").focus()
    page.keyboard.press("Alt+ArrowDown")
    page.keyboard.press("Insert")
    expect(cell(page, 2, "operation_code")).to_be_focused()
    page.keyboard.type("ZZ99")
    page.keyboard.press("Enter")
    expect(page.locator("table.routing")).to_contain_text("code unknown")
    edited = routing_on(page)
    assert [row[0] for row in edited[:3]] == [proposed[1][0], proposed[0][0], "ZZ99"]
    assert edited[1][2] == "12.5"

    page.get_by_label("Reason").fill("the new lathe")
    page.get_by_role("button", name="Accept as edited").click()
    expect(page.get_by_text("Stored: edited.")).to_be_visible()

    page.locator(".right .menu summary").click()
    with page.expect_download() as downloading, page.expect_request("**/exports/xlsx") as asking:
        page.get_by_role("button", name="Excel", exact=True).click()
    file = tmp_path / downloading.value.suggested_filename
    downloading.value.save_as(file)
    (sent,) = sent_items(asking.value)

    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Clear").click()
    page.locator('input[type="file"]').set_input_files(file)
    expect(listed(page)).to_contain_text("from a file")
    expect(page.locator("h1")).to_have_text(sent["item_code"])
    expect(cell(page, 1, "setup_minutes")).to_have_value("12.5")
    assert routing_on(page) == edited
    told(f"new item → candidates → edits → accepted → XLSX → opened again: {time.monotonic() - began:.1f} s")

    with page.expect_request("**/exports/json") as asking:
        page.locator(".right .menu summary").click()
        page.get_by_role("button", name="JSON", exact=True).click()
    (opened,) = sent_items(asking.value)
    assert opened == sent  # to the last digit, also of what is shown rounded


def test_work_survives_a_closed_tab_and_is_shared_between_tabs(page: Page, pages: PagesInstance) -> None:
    codes = [item["item_code"] for item in some_items(pages, 2)]
    paste(page, "\n".join(codes))
    expect(page.locator("h1")).to_have_text(codes[0])
    expect(cell(page, 0, "setup_minutes")).to_be_visible()  # it was answered
    before = routing_on(page)
    set_minutes(page, 0, "setup_minutes", "77")
    close_at_once(page)

    context: BrowserContext = page.context
    again, beside = context.new_page(), context.new_page()
    again.goto("/ui/")
    expect(cell(again, 0, "setup_minutes")).to_have_value("77")
    beside.goto("/ui/")
    expect(cell(beside, 0, "setup_minutes")).to_have_value("77")

    again.get_by_role("button", name="Undo").click()
    expect(cell(again, 0, "setup_minutes")).to_have_value(before[0][2])
    assert routing_on(again) == before
    expect(cell(beside, 0, "setup_minutes")).to_have_value(before[0][2])
    listed(beside).nth(1).click()
    cell(beside, 0, "operation_code").focus()
    beside.keyboard.press("Alt+Delete")
    expect(listed(again).nth(1)).to_contain_text("edited")
    expect(again.locator("h1")).to_have_text(codes[0])  # each tab looks where it looks


def test_fifty_pasted_rows_are_asked_and_stepped_through(
    open_page: Callable[..., Page], watches: list[Watch], pages: PagesInstance
) -> None:
    page = open_page("/ui/", role="planner")
    rows = [f"{item['item_code']}\t{item['OUTDIAMETER']}\t5" for item in some_items(pages, 52)]
    heading = "품번\tOutdiameter (mm)\t수량\r\n"
    page.get_by_role("tab", name="Paste").click()
    box = page.get_by_role("textbox", name="Item codes or rows")
    box.fill(heading + "\r\n".join(rows))
    expect(page.get_by_text("2 items are beyond the limit of 50")).to_be_visible()
    page.get_by_role("button", name="Propose 50 routings").click()
    expect(page.get_by_text("50 of 50 undecided")).to_be_visible(timeout=30_000)
    assert watches[0].answers.count(("POST", "/api/predictions", 200)) == 10
    expect(page.get_by_label("Pieces")).to_have_value("5")

    for _ in range(2):
        page.keyboard.press("Control+Enter")
        expect(page.get_by_text("Stored: accepted.")).to_be_visible()
        page.keyboard.press("Enter")  # the next one is where the keyboard is
        expect(page.get_by_text("Stored: accepted.")).to_be_hidden()
    expect(page.get_by_text("48 of 50 undecided")).to_be_visible()
    expect(listed(page).nth(2)).to_have_attribute("aria-selected", "true")


def test_a_service_that_is_away_is_waited_for(page: Page, watch: Watch, pages: PagesInstance) -> None:
    watch.foretell("/api/", "ERR_INTERNET_DISCONNECTED")
    (item,) = some_items(pages, 1)
    expect(page.get_by_role("row").nth(5)).to_be_visible()
    page.context.set_offline(True)
    paste(page, item["item_code"])
    expect(page.get_by_text("Waiting for the service")).to_be_visible()
    page.context.set_offline(False)
    expect(cell(page, 0, "operation_code")).to_be_visible()
    expect(page.get_by_text("Waiting for the service")).to_be_hidden()


def test_all_found_items_scroll_with_few_rows_drawn(page: Page, pages: PagesInstance) -> None:
    grid = page.get_by_role("grid", name="Found items")
    expect(grid.get_by_role("row").nth(5)).to_be_visible()
    page.evaluate(
        """() => {
            window.longest = 0;
            const watching = (list) => list.getEntries().forEach((each) => {
                window.longest = Math.max(window.longest, each.duration);
            });
            new PerformanceObserver(watching).observe({ type: "longtask" });
        }"""
    )
    grid.focus()
    total = pages.running.get("items?limit=1")["total"]
    assert total > 400  # three pages of the list, of 200 each
    last = grid.locator('[role="row"]').last
    for _ in range(600):  # each press goes to the end of what is loaded, and more is loaded there
        page.keyboard.press("End")
        page.wait_for_timeout(100)
        if last.get_attribute("aria-rowindex") == str(total + 1):
            break
    expect(last).to_have_attribute("aria-rowindex", str(total + 1))
    assert grid.get_by_role("row").count() < 80
    told(
        f"{total:,} found items scrolled to the end, longest task of the page {page.evaluate('window.longest'):.0f} ms"
    )
    page.keyboard.press("Enter")
    expect(cell(page, 0, "operation_code")).to_be_visible()


def test_rows_are_dragged_candidates_compared_and_one_item_a_sheet_printed(page: Page, pages: PagesInstance) -> None:
    (item,) = some_items(pages, 1)
    paste(page, item["item_code"])
    expect(cell(page, 1, "operation_code")).to_be_visible()
    before = routing_on(page)
    drag(page, cell(page, 0, "handle"), cell(page, 1, "handle"))
    assert [row[0] for row in routing_on(page)[:2]] == [before[1][0], before[0][0]]
    page.locator("h1").click()
    page.keyboard.press("Control+z")
    assert routing_on(page) == before

    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio").nth(1)).to_be_checked()
    page.keyboard.press("ArrowLeft")
    assert routing_on(page) == before
    cell(page, 0, "evidence").click()
    expect(page.locator(".operation-evidence")).to_contain_text("Results used")
    page.get_by_role("tab", name="Compare").click()
    expect(page.locator("table.compare thead th")).to_have_count(1 + page.get_by_role("radio").count())
    page.get_by_role("tab", name="Evidence").click()
    page.get_by_role("table", name="Near items").get_by_role("button").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("OUTDIAMETER")
    page.keyboard.press("Escape")

    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    expect(page.locator(".sheet")).to_have_count(1)
    expect(page.locator(".sheet")).to_contain_text(before[0][0])
    expect(page.locator(".right")).to_be_hidden()
    expect(page.locator("header")).to_be_hidden()
