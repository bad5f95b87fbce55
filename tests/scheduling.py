"""Which tests run in one process when the suite runs in several."""

from pathlib import PurePosixPath

from xdist.scheduler import LoadFileScheduling

ALONE = frozenset({"test_pages_source.py", "test_pages_catalogue.py"})  # of `tests/pages`; they want no browser
TOGETHER = "tests/pages"


class FilesOfAFolderTogether(LoadFileScheduling):  # type: ignore[misc]
    """A file's tests run in one process; those of all files with a browser, too."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePosixPath(str(super()._split_scope(nodeid)))
        return TOGETHER if str(file.parent) == TOGETHER and file.name not in ALONE else str(file)
