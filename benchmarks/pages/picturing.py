"""Pictures of every page in every language, from a demo instance, as small files."""

from functools import partial
from pathlib import Path

from playwright.sync_api import Page

from benchmarks.pages.small_png import with_palette
from tests.acceptance.acceptance_support import RunningInstance, eventually
from tests.pages.chromium import LANGUAGES, running_chromium
from tests.pages.opening import Opener
from tests.pages.pages_instance import PagesInstance
from tests.pages.views import VIEWS, furnish
from tests.pages.watching import Watch

MOST_BYTES = 150 * 1024
CYCLES = 4  # so that there is a trend


def take_pictures(pages: PagesInstance, folder: Path, work: Path) -> int:
    """Write `<page>.<language>.png` for every page; return 1 where one is too large or a page went wrong."""
    furnish(pages, work)
    _let_things_happen(pages)
    folder.mkdir(parents=True, exist_ok=True)
    watches: list[Watch] = []
    too_large = []
    with running_chromium() as browser:
        opener, blank = Opener(browser, pages, watches), browser.new_page()
        for language in LANGUAGES:
            for role in sorted({view.role for view in VIEWS}):
                page = opener(language=language, role=role)
                for view in (view for view in VIEWS if view.role == role):
                    view.show(page, pages)
                    file = folder / f"{view.name}.{language}.png"
                    _picture(page, file, blank)
                    print(f"{file}: {file.stat().st_size / 1024:.0f} KiB", flush=True)
                    too_large += [file] if file.stat().st_size > MOST_BYTES else []
                opener.close()
    problems = [problem for watch in watches for problem in watch.problems()]
    print(f"too large: {len(too_large)}; console errors, requests to elsewhere: {len(problems)}", *problems, sep="\n")
    return int(bool(too_large or problems))


def _let_things_happen(pages: PagesInstance) -> None:
    running = pages.running
    for seed in range(1, CYCLES):
        cycle = running.post("quality/cycles", {"sample_size": 200, "seed": seed})["id"]
        eventually(partial(_has_ended, running, f"quality/cycles/{cycle}"))
    job = running.post("training/jobs", {"kind": "refit"})["job_id"]
    eventually(partial(_has_ended, running, f"training/jobs/{job}"), 600)


def _has_ended(running: RunningInstance, path: str) -> bool:
    return running.get(path)["state"] not in ("queued", "running")


def _picture(page: Page, file: Path, blank: Page) -> None:
    """Take what the screen shows, with no pointer over anything."""
    page.mouse.move(0, 0)
    page.evaluate("document.fonts.ready.then(() => true)")
    file.write_bytes(with_palette(page.screenshot(animations="disabled"), blank))
