"""The power goes while a version is installed: what a row names is whole on the disk, the rest is as if not begun."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.registry.repair import Repair
from shared.settings import PROJECT_DIR
from tests.registry.power_cut import HOOK, cut
from tests.registry.registry_support import Instance

PROGRAM = """
import importlib, os, signal, sys
from pathlib import Path
from shared.database.engine import make_engine
from shared.database.models import ModelVersions
from shared.registry.installation import Installer
from shared.registry.lifecycle import Lifecycle
from shared.registry.signing import Keys
from shared.settings import Settings

data_dir, package, module, owner, name = sys.argv[1:]
holder = importlib.import_module(module)
holder = getattr(holder, owner) if owner else holder
original = getattr(holder, name)

def deadly(*arguments, **words):
    original(*arguments, **words)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(holder, name, deadly)
settings = Settings(data_dir=Path(data_dir))
engine, keys = make_engine(settings.database), Keys(settings.keys)
Installer(settings, engine, keys=keys).register_local(Path(package), actor="test", reason="a power cut")
Lifecycle(settings, ModelVersions(engine), keys=keys).activate("pilot", actor="test", reason="a power cut")
"""
MOMENTS = {
    "after the copy": ("shutil", "", "copytree"),
    "after the folder": ("shared.registry.store", "", "publish_folder"),
    "after the row": ("shared.database.models", "ModelVersions", "insert"),
    "after the activation": ("shared.database.models", "ModelVersions", "transition"),
}


def die(program: str, words: list[str], log: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOOK.format(log=str(log)) + program, *words], cwd=PROJECT_DIR,
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("moment", MOMENTS)
def test_what_a_row_names_survives_a_power_cut(moment: str, instance: Instance, package: Path, tmp_path: Path) -> None:
    instance.settings.models.mkdir(parents=True, exist_ok=True)
    log = tmp_path / "syncs"
    die(PROGRAM, [str(instance.settings.data_dir), str(package), *MOMENTS[moment]], log)
    lost = cut(instance.settings.models, log)
    known = instance.versions.find("pilot")
    assert (known is not None) == (moment in ("after the row", "after the activation"))
    if known is not None:
        assert lost == []
        assert instance.lifecycle.verify("pilot")["ok"]
    Repair(instance.settings, instance.engine, instance.alerts, keys=instance.keys).run()
    instance.installer.register_local(package, actor="test", reason="once more")
    assert instance.lifecycle.verify("pilot")["ok"]


FORGETFUL = """
import os, signal, sys
from pathlib import Path
folder = Path(sys.argv[1])
def sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
(folder / "kept").write_bytes(b"kept")
sync(folder / "kept")
(folder / "empty").write_bytes(b"never synced")
sync(folder)
(folder / "nameless").write_bytes(b"synced, but not its name")
sync(folder / "nameless")
(folder / "moved").mkdir()
(folder / "moved" / "file").write_bytes(b"below a name that is lost")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_disk_loses_what_was_not_synced(tmp_path: Path) -> None:
    """The simulation itself: a program that forgets to sync is found out."""
    folder = tmp_path / "disk"
    folder.mkdir()
    die(FORGETFUL, [str(folder)], tmp_path / "syncs")
    lost = cut(folder, tmp_path / "syncs")
    assert lost == ["empty: its content", "moved: its name", "nameless: its name"]
    assert (folder / "kept").read_bytes() == b"kept"
    assert (folder / "empty").read_bytes() == b""
