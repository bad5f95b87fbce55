"""Build the pages for the browser where their source is; one that was shipped with them built has no source.

They are no condition of a start: the API answers without them, and `/ui/` says how to get them.
"""

import hashlib
import json
import shutil

from launcher.places import PROJECT_DIR
from launcher.programs import last_error, run
from shared.platform import write_atomically

FRONTEND_DIR = PROJECT_DIR / "frontend"
BUILT_DIR = FRONTEND_DIR / "dist"
_STAMP = FRONTEND_DIR / "node_modules" / ".routing-ml-built.json"
_SOURCES = ("src", "public")
_SETTINGS = ("index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json")


def pages_are_missing() -> bool:
    """Return whether there is a source that the built pages were not made from."""
    if not (FRONTEND_DIR / "package.json").is_file():
        return False
    try:
        built_from = json.loads(_STAMP.read_bytes())["source"]
    except (OSError, ValueError, KeyError):
        built_from = None
    return built_from != _source() or not (BUILT_DIR / "index.html").is_file()


def build_pages() -> str | None:
    """Install what they are built with, build them, and return what kept it from that, or None."""
    npm = shutil.which("npm")
    if npm is None:
        return "The pages for the browser were not built: npm was not found. The API answers without them."
    source = _source()
    for command in (["ci", "--no-progress", "--loglevel", "error"], ["run", "build"]):
        result = run([npm, *command], cwd=FRONTEND_DIR)
        if result.returncode != 0:
            _STAMP.unlink(missing_ok=True)
            return (
                f"The pages for the browser were not built: {last_error(result)}. The API answers without them; "
                "the next start tries again."
            )
    write_atomically(_STAMP, json.dumps({"source": source}).encode() + b"\n")
    return None


def _source() -> str:
    """Return a fingerprint of everything that the pages are built from."""
    digest = hashlib.sha256()
    folders = (FRONTEND_DIR / name for name in _SOURCES)
    files = [FRONTEND_DIR / name for name in _SETTINGS] + [path for each in folders for path in each.rglob("*")]
    for path in sorted(path for path in files if path.is_file()):
        digest.update(f"{path.relative_to(FRONTEND_DIR).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()
