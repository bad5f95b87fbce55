"""Build the pages for the browser where their source is; one that was shipped with them built has no source.

They are no condition of a start: the API answers without them, and `/ui/` says how to get them.
"""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from launcher.places import PROJECT_DIR
from launcher.programs import last_error, run
from shared.platform import write_atomically

FRONTEND_DIR = PROJECT_DIR / "frontend"
BUILT_DIR = FRONTEND_DIR / "dist"
_BUILT_FROM = FRONTEND_DIR / ".built-from"  # fingerprint of the source that dist/ was built from
_INSTALLED_FROM = FRONTEND_DIR / "node_modules" / ".installed-from"  # fingerprint of the lock file
_LOCK = "package-lock.json"
_SOURCES = ("src", "public")
_SETTINGS = ("index.html", "package.json", _LOCK, "vite.config.ts", "tsconfig.json")


def pages_are_missing() -> bool:
    """Return whether there is a source that the built pages were not made from."""
    if not (FRONTEND_DIR / "package.json").is_file():
        return False
    return _text(_BUILT_FROM) != _source() or not (BUILT_DIR / "index.html").is_file()


def build_pages() -> str | None:
    """Install what they are built with where that changed, build them; return what kept it from that, or None."""
    npm = shutil.which("npm")
    if npm is None:
        return "The pages for the browser were not built: npm was not found. The API answers without them."
    source, lock = _source(), _fingerprint([FRONTEND_DIR / _LOCK])
    _BUILT_FROM.unlink(missing_ok=True)
    if _text(_INSTALLED_FROM) != lock:
        if problem := _npm(npm, "ci", "--no-progress", "--loglevel", "error"):
            return problem
        write_atomically(_INSTALLED_FROM, f"{lock}\n".encode())
    if problem := _npm(npm, "run", "build"):
        return problem
    write_atomically(_BUILT_FROM, f"{source}\n".encode())
    return None


def _npm(npm: str, *words: str) -> str | None:
    result = run([npm, *words], cwd=FRONTEND_DIR)
    if result.returncode == 0:
        return None
    return (
        f"The pages for the browser were not built: {last_error(result)}. The API answers without them; "
        "the next start tries again."
    )


def _source() -> str:
    """Return a fingerprint of everything that the pages are built from."""
    folders = (FRONTEND_DIR / name for name in _SOURCES)
    return _fingerprint(
        [FRONTEND_DIR / name for name in _SETTINGS] + [path for each in folders for path in each.rglob("*")]
    )


def _fingerprint(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in paths if path.is_file()):
        digest.update(f"{path.relative_to(FRONTEND_DIR).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _text(path: Path) -> str | None:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
