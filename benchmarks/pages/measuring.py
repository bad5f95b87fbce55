"""First and largest paints, what scrolling a table blocks, and the size of what is loaded."""

import gzip
import re
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from tests.pages.chromium import running_chromium
from tests.pages.opening import Opener
from tests.pages.pages_instance import PagesInstance
from tests.pages.watching import Watch

BUILT = Path(__file__).resolve().parents[2] / "frontend" / "dist"
BARE = "bare-page-of-the-benchmark.html"
PAINT_BUDGET_MS, SIZE_BUDGET_BYTES = 500, 1024 * 1024
ROWS = 1_000
SETTLE_MS = 400  # a largest paint is the last one told
OBSERVE = """
window.seen = { paints: {}, largest: 0, long: [] };
const watch = (type, take) =>
  new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true });
watch("paint", (entry) => { seen.paints[entry.name] = entry.startTime; });
watch("largest-contentful-paint", (entry) => { seen.largest = entry.startTime; });
watch("longtask", (entry) => { seen.long.push(entry.duration); });
"""
# A wheel's step a frame; each frame's time is that from the one before.
SCROLL = """
async ([selector, rowPixels, rows]) => {
  const frame = document.querySelector(selector);
  const paint = () => new Promise(requestAnimationFrame);
  seen.long.length = 0;
  const frames = [];
  let before = await paint();
  for (let top = 0; top < rows * rowPixels; top += 100) {
    frame.scrollTop = top;
    const now = await paint();
    frames.push(now - before);
    before = now;
    // rows that were not loaded yet are waited for, as a hand at the wheel would
    const isShort = () => frame.scrollHeight < top + 100 && frame.scrollHeight < rows * rowPixels;
    while (isShort()) before = await paint();
  }
  await paint();
  return { frames, long: [...seen.long], height: frame.scrollHeight };
}
"""


def measure(pages: PagesInstance, *, loads: int) -> int:
    """Print everything that is measured; return 1 where a budget was missed or a page went wrong."""
    watches: list[Watch] = []
    with _bare_page(), running_chromium() as browser:
        opener = Opener(browser, pages, watches)
        missed = _paints(opener, pages, loads)
        missed |= _scrolling(opener)
        opener.close()
    missed |= _sizes()
    problems = [problem for watch in watches for problem in watch.problems()]
    print(f"console errors, requests to elsewhere: {len(problems)}", *problems, sep="\n")
    return int(missed or bool(problems))


@contextmanager
def _bare_page() -> Iterator[None]:
    """Lay a bare page among the built ones before the host reads them for the first time."""
    bare = BUILT / BARE
    bare.write_text(
        "<!doctype html><html lang=en><link rel=icon href=data:,><title>bare</title><p>A bare page.</p>", "utf-8"
    )
    try:
        yield
    finally:
        bare.unlink()


def _paints(opener: Opener, pages: PagesInstance, loads: int) -> bool:
    version = pages.running.get("models/active")["version"]
    wanted = {"bare": f"/ui/{BARE}", "planner": "/ui/", "operations": "/ui/operations"}
    told: dict[str, list[tuple[float, float]]] = {name: [] for name in wanted}
    for _ in range(loads):
        for name, path in wanted.items():  # in turn, so that a busy moment meets all
            page = opener.blank()
            page.add_init_script(OBSERVE)
            page.goto(path)
            if name != "bare":
                page.get_by_text(version).first.wait_for()
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(SETTLE_MS)
            seen = page.evaluate("seen")
            told[name].append((seen["paints"]["first-contentful-paint"], seen["largest"]))
            opener.close()
    print(f"\n| page, nothing cached, {loads} loads | first paint, median (worst) | largest paint, median (worst) |")
    print("|---|---:|---:|")
    missed = False
    for name, figures in told.items():
        columns = [[figure[at] for figure in figures] for at in (0, 1)]
        print(f"| {name} | " + " | ".join(f"{statistics.median(c):.0f} ms ({max(c):.0f})" for c in columns) + " |")
        missed |= statistics.median(columns[0]) > PAINT_BUDGET_MS
    return missed


def _scrolling(opener: Opener) -> bool:
    print(f"\n| {ROWS:,} rows scrolled through | frames | median frame | worst frame | tasks over 50 ms |")
    print("|---|---:|---:|---:|---:|")
    page = opener.blank()
    page.add_init_script(OBSERVE)
    page.goto(f"/ui/{BARE}")
    page.evaluate(
        """(rows) => {
            const row = (_, at) => `<tr><td>${at}</td><td>an item of many words</td><td>12.5</td></tr>`;
            document.body.innerHTML = `<div id=frame style="height:600px;overflow:auto"><table>${
                Array.from({ length: rows }, row).join("")}</table></div>`;
        }""",
        ROWS,
    )
    _scrolled(page, "a bare table of as many rows", "#frame", 20)
    page = opener.blank()
    page.add_init_script(OBSERVE)
    page.goto("/ui/")
    grid = page.locator('.grid[role="grid"]')
    grid.locator('[role="row"]').nth(2).wait_for()
    row = grid.locator('[role="row"]').nth(2).bounding_box()
    assert row is not None
    long = _scrolled(page, "the items of the factory (200 loaded at a time)", '.grid[role="grid"]', row["height"])
    return bool(long)


def _scrolled(page: Page, name: str, selector: str, row_pixels: float) -> list[float]:
    page.wait_for_timeout(SETTLE_MS)
    told: dict[str, Any] = page.evaluate(SCROLL, [selector, row_pixels, ROWS])
    frames: list[float] = told["frames"]
    long: list[float] = told["long"]
    print(
        f"| {name} | {len(frames)} | {statistics.median(frames):.0f} ms | {max(frames):.0f} ms | "
        f"{len(long)}{f' (longest {max(long):.0f} ms)' if long else ''} |"
    )
    return long


def _sizes() -> bool:
    """Print what the pages weigh as they are sent; what the first page loads is what its HTML names."""
    sent = {path: len(gzip.compress(path.read_bytes(), 9, mtime=0)) for path in BUILT.rglob("*") if path.is_file()}
    named = set(re.findall(r"assets/([\w.-]+)", (BUILT / "index.html").read_text("utf-8")))
    first = sum(size for path, size in sent.items() if path.name in named)
    total = sum(sent.values())
    print(
        f"\nsize, gzipped: {total / 1024:.0f} KiB in {len(sent)} files, of which the first page {first / 1024:.0f} KiB"
    )
    return total > SIZE_BUDGET_BYTES
