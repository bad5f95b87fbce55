"""Apps that are not ours run whole: a shop with a Blueprint and outputs, and an ASGI application."""

import importlib.metadata
import json
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import httpx
import pytest

from tests.conformance.account import Account
from tests.conformance.hosts import MASTER, PROJECT, Host, eventually
from tests.conformance.workshop import Workshop

HERE = Path(__file__).resolve().parent
PAGE = PROJECT / "docs" / "FUNCTIONS_HOST.md"
MASTER_HEADER = {"x-functions-key": MASTER}


def _shop(workshop: Workshop, account: Account, folder: Path) -> Host:
    app_dir = folder / "shop"
    shutil.copytree(HERE / "sample_app", app_dir)
    host: Host = workshop.start(app_dir, settings={"SHOP": f"s{account.tag}"})
    return host


def _go_through(host: Host, account: Account) -> None:
    """What a stranger who has read the shop's source expects of it."""
    shop = f"s{account.tag}"
    shown = host.get("/shop/orders/ann/7")
    assert shown.json() == {"customer": "ann", "number": "7"}
    assert shown.headers["x-shop"] == "open"
    assert host.get("/shop/orders/ann").json() == {"customer": "ann"}
    assert [host.get(f"/shop/orders/{path}").status_code for path in ("ann/0", "ann/x", "4nn")] == [404] * 3
    assert host.get("/orders/ann").status_code == 404
    order = json.dumps({"parts": ["cup", "egg"]})
    assert host.post("/shop/orders/ann", content=order).status_code == 401
    taken = host.post("/shop/orders/ann", content=order, headers=MASTER_HEADER)
    assert taken.status_code == 202
    assert re.fullmatch(r"[0-9a-f-]{36}", taken.text)
    assert host.get("/shop/stock/cup").status_code == 401
    assert host.get("/shop/stock/cup", headers=MASTER_HEADER).text == "cup: plenty"
    assert eventually(lambda: account.waiting(f"{shop}-bills", full=True), seconds=30) == [
        f"{shop}-slips/ann/cup.json: cup"
    ]
    assert eventually(lambda: account.waiting(f"{shop}-complaints", full=True), seconds=15) == ["sorry, ann"]
    note = account.blobs.get_blob_client(f"{shop}-notes", "ann.json").download_blob().readall()
    assert note == order.encode()
    slips = account.blobs.get_container_client(f"{shop}-slips")
    assert [blob.name for blob in slips.list_blobs()] == ["ann/cup.json"]
    assert "in time" in eventually(lambda: account.waiting(f"{shop}-stocktakings", full=True))
    names = {row["name"] for row in host.admin("GET", "functions").json()}
    assert names == {"show", "take", "stock", "take_stock", "pack", "bill", "complain"}


@pytest.mark.azurite
def test_a_shop_that_is_not_ours_runs_whole(workshop: Workshop, account: Account, tmp_path: Path) -> None:
    host = _shop(workshop, account, tmp_path)
    _go_through(host, account)
    assert host.stop() == 0


@pytest.mark.azurite
def test_an_asgi_application_answers_whatever_the_path(workshop: Workshop, tmp_path: Path) -> None:
    app_dir = tmp_path / "desk"
    shutil.copytree(HERE / "sample_asgi_app", app_dir)
    host = workshop.start(app_dir)
    answer = host.post("/any/where?x=1", content="hello")
    assert (answer.status_code, answer.headers["x-desk"]) == (200, "open")
    seen = answer.json()
    assert (seen["method"], seen["path"], seen["query"], seen["body"]) == ("POST", "/any/where", "x=1", "hello")
    assert seen["opened"] is True
    assert host.get("/nowhere").status_code == 404
    assert host.stop() == 0


# ------------------------------------------------------------------------------------- lifted out of the project


def _packages_of_the_page() -> list[str]:
    """The packages that the page names as all that is needed."""
    text = PAGE.read_text(encoding="utf-8")
    row = re.search(r"^ +pip install ((?:[a-z0-9-]+ ?)+)$", text, re.MULTILINE)
    assert row is not None
    return row[1].split()


def _with_what_they_need(names: list[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = re.split(r"[^A-Za-z0-9._-]", waiting.pop(), maxsplit=1)[0].lower().replace("_", "-")
        if name in found:
            continue
        try:
            needed = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform or Python
        found.add(name)
        waiting += [text for text in needed if "extra ==" not in text]
    return found


def _own_interpreter(folder: Path) -> Path:
    """A Python that has the page's packages and what they need, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    scheme = {"base": str(folder), "platbase": str(folder)}
    target = Path(sysconfig.get_path("purelib", "venv", vars=scheme))
    for name in _with_what_they_need(_packages_of_the_page()):
        for file in importlib.metadata.files(name) or []:
            if file.parts[0] == ".." or file.suffix == ".pyc":
                continue
            place = target / file
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(Path(str(file.locate())))
    return Path(sysconfig.get_path("scripts", "venv", vars=scheme)) / "python"


@pytest.mark.azurite
@pytest.mark.embedded("only this project's host can be lifted out of it")
def test_two_folders_and_the_page_s_packages_are_all_it_takes(account: Account, tmp_path: Path) -> None:
    library = tmp_path / "library"
    for name in ("funchost", "schedules"):
        shutil.copytree(PROJECT / name, library / name, ignore=shutil.ignore_patterns("__pycache__"))
    app_dir = tmp_path / "shop"
    shutil.copytree(HERE / "sample_app", app_dir)
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(library),
        "PYTHONNOUSERSITE": "1",
        "AzureWebJobsStorage": account.connection_string,
        "AzureFunctionsWebHost__hostid": account.host_id,
        "FUNCHOST_MASTER_KEY": MASTER,
        "FUNCHOST_BLOB_SCAN_SECONDS": "0.3",
        "SHOP": f"s{account.tag}",
        "RECORD": str(tmp_path / "record.jsonl"),
    }
    command = [str(_own_interpreter(tmp_path / "python")), "-m", "funchost", "--app-dir", ".", "--port", "0"]
    log = (tmp_path / "host.log").open("wb")
    with log, subprocess.Popen(command, cwd=app_dir, env=environment, stdout=log, stderr=log) as process:
        try:
            url = eventually(lambda: _address(tmp_path / "host.log"), seconds=30)
            assert url, (tmp_path / "host.log").read_text()
            answer = httpx.post(
                f"{url}/shop/orders/bob", content=json.dumps({"parts": ["pan"]}), headers=MASTER_HEADER, timeout=15
            )
            assert answer.status_code == 202
            bills = eventually(lambda: account.waiting(f"s{account.tag}-bills", full=True), seconds=30)
            assert bills == [f"s{account.tag}-slips/bob/pan.json: pan"]
        finally:
            process.terminate()
            assert process.wait(20) == 0


def _address(log: Path) -> str:
    for line in log.read_text().splitlines():
        if '"host.ready"' in line:
            return str(json.loads(line)["url"])
    return ""
