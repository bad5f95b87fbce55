"""Which tests run in one process when the suite runs in several, and which files begin."""

from pathlib import PurePosixPath

import pytest
from xdist.scheduler import LoadFileScheduling

ALONE = frozenset({"test_pages_source.py", "test_pages_catalogue.py"})  # of `tests/pages`; they want no browser
TOGETHER = "tests/pages"


class FilesOfAFolderTogether(LoadFileScheduling):  # type: ignore[misc]
    """A file's tests run in one process; those of all files with a browser, too."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(str(super()._split_scope(nodeid)))
        return TOGETHER if str(file.parent) == TOGETHER and file.name not in ALONE else str(file)


# Whose files take minutes, then whose files take tens of seconds: begun in this order, so that none of them is left for
# one process alone in the end.
BEGIN = (
    "tests/acceptance", TOGETHER, "tests/training", "tests/benchmarks", "tests/launcher", "tests/conformance",
    "tests/funchost", "tests/registry", "tests/cli", "tests/functions", "tests/prediction", "tests/erp",
    "tests/quality", "tests/audit", "tests/operations",
)  # fmt: skip


def begin_with_the_longest(items: list[pytest.Item]) -> None:
    """Sort the tests by folder, those of `BEGIN` first; within a folder their order stays."""
    rank = {folder: place for place, folder in enumerate(BEGIN)}
    items.sort(key=lambda item: rank.get(PurePosixPath(item.nodeid.partition("::")[0]).parent.as_posix(), len(BEGIN)))
