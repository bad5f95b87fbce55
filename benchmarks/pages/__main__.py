"""How fast the pages are in a real browser on loopback, and the pictures of them for the documents.

    .venv/bin/python -m benchmarks.pages                            # paints, scrolling, sizes; some three minutes
    .venv/bin/python -m benchmarks.pages --screenshots docs/images  # every page in English and Korean instead

Starts an instance of its own over a demo factory, and the machine's own headless Chromium. Each load is that of a new
browser session: nothing is cached. The bare page beside them is one line of HTML from the same host in the same run.
"""

import argparse
import os
import tempfile
from pathlib import Path

from benchmarks.pages.measuring import measure
from benchmarks.pages.picturing import take_pictures
from tests.pages.chromium import missing_for_chromium
from tests.pages.pages_instance import start_pages_instance

ITEMS = 1_500


def main() -> int:
    """Measure and print, or take pictures; 1 where a budget was missed or a page went wrong."""
    parser = argparse.ArgumentParser(prog="benchmarks.pages", description=__doc__.split("\n")[0])
    parser.add_argument("--items", type=int, default=ITEMS, help="items of the demo factory (%(default)s)")
    parser.add_argument("--loads", type=int, default=9, help="loads of each page (%(default)s)")
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER", help="take pictures instead of measuring")
    options = parser.parse_args()
    missing = missing_for_chromium()
    if missing is not None:
        raise SystemExit(f"This needs {missing}.")
    with tempfile.TemporaryDirectory(prefix="pages-") as folder:
        pages = start_pages_instance(Path(folder), items=options.items)
        try:
            print(f"load before: {os.getloadavg()[0]:.1f}", flush=True)
            if options.screenshots is not None:
                return take_pictures(pages, options.screenshots, Path(folder))
            return measure(pages, loads=options.loads)
        finally:
            print(f"load after: {os.getloadavg()[0]:.1f}")
            pages.running.kill_everything()


if __name__ == "__main__":
    raise SystemExit(main())
