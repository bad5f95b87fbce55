"""The pages' files: what is served, how it may be kept, and that nothing else of the disk is reached."""

import gzip
from pathlib import Path

import azure.functions as func
import orjson
import pytest

from functions import pages

SCRIPT = b"console.log('one');\n" * 200


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_bytes(b"<!doctype html><title>pages</title>")
    (folder / "assets" / "index-abc.js").write_bytes(SCRIPT)
    (tmp_path / "secret.txt").write_bytes(b"secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    monkeypatch.setattr(pages, "PAGES_DIR", folder)
    return folder


def ask(path: str, **headers: str) -> func.HttpResponse:
    request = func.HttpRequest(
        method="GET",
        url=f"http://127.0.0.1:7071/ui/{path}",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        route_params={"path": path},
        body=b"",
    )
    answer = pages.get_page.build().get_user_function()(request)
    assert isinstance(answer, func.HttpResponse)
    return answer


@pytest.mark.parametrize("path", ["", "operations", "some/where"])
def test_an_address_without_an_ending_is_one_of_the_pages(built: Path, path: str) -> None:
    answer = ask(path)
    assert (answer.status_code, answer.get_body()) == (200, (built / "index.html").read_bytes())
    assert answer.headers["cache-control"] == "no-cache"
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_a_file_named_by_its_content_is_kept_for_good_and_comes_compressed(built: Path) -> None:
    answer = ask("assets/index-abc.js", accept_encoding="br, gzip")
    assert gzip.decompress(answer.get_body()) == SCRIPT
    assert "immutable" in answer.headers["cache-control"]
    assert answer.mimetype == "text/javascript; charset=utf-8"
    again = ask("assets/index-abc.js", if_none_match=answer.headers["etag"])
    assert (again.status_code, again.get_body()) == (304, b"")


@pytest.mark.parametrize(
    "path", ["../secret.txt", "link.txt", "assets/../../secret.txt", "nothing.js", "/etc/passwd.txt"]
)
def test_nothing_but_the_built_files_is_reached(built: Path, path: str) -> None:
    answer = ask(path)
    assert answer.status_code == 404
    assert b"secret" not in answer.get_body().replace(path.encode(), b"")


def test_pages_that_were_not_built_say_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGES_DIR", tmp_path / "nowhere")
    answer = ask("")
    document = orjson.loads(answer.get_body())
    assert (answer.status_code, document["code"]) == (503, "pages-not-built")
    assert "manage.py up" in document["remedy"]


def test_pages_that_are_built_anew_are_served_anew(built: Path) -> None:
    assert ask("").get_body() == (built / "index.html").read_bytes()
    (built / "index.html").unlink()
    assert ask("").status_code == 503
    (built / "index.html").write_bytes(b"<!doctype html><title>other pages</title>")
    (built / "assets" / "index-def.js").write_bytes(SCRIPT)
    assert ask("").get_body() == (built / "index.html").read_bytes()
    assert ask("assets/index-def.js").get_body() == SCRIPT
