"""The pages: the built front end as static files under `/ui/`, with nothing fetched from elsewhere.

The files are kept in memory and read anew once they were built anew; only files found below the folder are served, so
no address reaches anything else of the disk.
"""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import azure.functions as func

from functions.http import refuse
from shared.errors import NotFound, RoutingError
from shared.settings import PROJECT_DIR

blueprint = func.Blueprint()

PAGES_DIR = PROJECT_DIR / "frontend" / "dist"
_PREFIX = "ui"
_ENTRY = "index.html"
_HASHED = "assets/"  # their names change with their content, so a browser may keep them for good
_MOST_FILES, _MOST_BYTES = 500, 32 * 1024 * 1024
_WORTH_COMPRESSING_BYTES = 1024

# Everything comes from here; nobody may frame the pages, and no form goes elsewhere. Inline styles are what charts and
# dragged rows are placed with.
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
# A browser decides by these; what the system's own tables say differs from machine to machine.
_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}


class PagesNotBuilt(RoutingError):
    """The front end was not built on this installation."""

    code, title, status, exit_code = "pages-not-built", "The pages are not built", 503, 3


@dataclass(frozen=True, kw_only=True)
class PageFile:
    """One file of the front end."""

    body: bytes
    compressed: bytes | None
    media_type: str
    etag: str
    is_hashed: bool


@blueprint.function_name("get_page")
@blueprint.route(route=f"{_PREFIX}/{{*path}}", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
def get_page(req: func.HttpRequest) -> func.HttpResponse:
    """Answer a file of the front end; an address without an ending is one of its pages."""
    path = req.route_params.get("path") or ""
    if not path and not req.url.partition("?")[0].endswith("/"):
        return func.HttpResponse(status_code=308, headers={"location": f"/{_PREFIX}/"})
    try:
        files = page_files(PAGES_DIR)
    except FileNotFoundError:  # they are being built anew at this moment
        files = {}
    if not files:
        remedy = "Start with `python3 manage.py up`, which builds them where Node.js is."
        return refuse("get_page", req, PagesNotBuilt("The pages were not built on this machine.", remedy=remedy))
    name = path if "." in path.rpartition("/")[2] else _ENTRY
    found = files.get(name)
    if found is None:
        return refuse("get_page", req, NotFound(f"There is no page {path[:100]!r}.", remedy=f"Begin at /{_PREFIX}/."))
    return _answer(req, found)


def _answer(req: func.HttpRequest, found: PageFile) -> func.HttpResponse:
    headers = {
        **_HEADERS,
        "etag": found.etag,
        "vary": "accept-encoding",
        "cache-control": "public, max-age=31536000, immutable" if found.is_hashed else "no-cache",
    }
    if req.headers.get("if-none-match") == found.etag:
        return func.HttpResponse(status_code=304, headers=headers)
    body = found.body
    if found.compressed is not None and "gzip" in req.headers.get("accept-encoding", ""):
        body, headers["content-encoding"] = found.compressed, "gzip"
    return func.HttpResponse(body, headers=headers, mimetype=found.media_type)


def page_files(folder: Path) -> dict[str, PageFile]:
    """Return the files below `folder` by their path with slashes; none where the entry page is missing."""
    if not (folder / _ENTRY).is_file():
        return {}
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    states = [(path, state.st_size, state.st_mtime_ns) for path in found if (state := path.stat())]
    if len(states) > _MOST_FILES or sum(size for _, size, _ in states) > _MOST_BYTES:
        raise PagesNotBuilt("The folder of the pages holds more than the pages.", remedy=f"Empty {folder} and build.")
    return _read(folder, tuple(states))


@lru_cache(1)
def _read(folder: Path, states: tuple[tuple[Path, int, int], ...]) -> dict[str, PageFile]:
    return {path.relative_to(folder).as_posix(): _page_file(path, folder) for path, _, _ in states}


def _page_file(path: Path, folder: Path) -> PageFile:
    body = path.read_bytes()
    guessed = _MEDIA_TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    is_text = guessed.startswith("text/") or guessed in ("image/svg+xml", "application/json")
    compressed = gzip.compress(body, 9, mtime=0) if is_text and len(body) > _WORTH_COMPRESSING_BYTES else None
    return PageFile(
        body=body,
        compressed=compressed,
        media_type=f"{guessed}; charset=utf-8" if is_text else guessed,
        etag=f'"{hashlib.sha256(body).hexdigest()[:32]}"',
        is_hashed=path.relative_to(folder).as_posix().startswith(_HASHED),
    )
