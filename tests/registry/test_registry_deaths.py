"""A process killed at any step of registering or activating leaves a state that the next start can go on from."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.database.tables import VersionState
from shared.registry.manifest import MANIFEST_NAME
from shared.registry.repair import Repair
from shared.settings import PROJECT_DIR
from tests.registry.registry_support import Instance

# The process registers and activates a package, and kills itself before or after the named call.
PROGRAM = """
import importlib, os, signal, sys
from pathlib import Path
from shared.database.engine import make_engine
from shared.database.models import ModelVersions
from shared.registry.installation import Installer
from shared.registry.lifecycle import Lifecycle
from shared.registry.signing import Keys
from shared.settings import Settings

data_dir, folder, moment, module, owner, name = sys.argv[1:]
holder = importlib.import_module(module)
holder = getattr(holder, owner) if owner else holder
original = getattr(holder, name)

def deadly(*arguments, **words):
    if moment == "after":
        original(*arguments, **words)
    os.kill(os.getpid(), signal.SIGKILL)

setattr(holder, name, deadly)
settings = Settings(data_dir=Path(data_dir))
engine, keys = make_engine(settings.database), Keys(settings.keys)
versions = ModelVersions(engine)
Installer(settings, engine, keys=keys).register_local(Path(folder), actor="test", reason="a death")
Lifecycle(settings, versions, keys=keys).activate("pilot", actor="test", reason="a death")
"""
FOLDER = ("shared.registry.store", "", "publish_folder")
ROW = ("shared.database.models", "ModelVersions", "insert")
SWITCH = ("shared.database.models", "ModelVersions", "transition")
DEATHS = [(moment, step) for step in (FOLDER, ROW, SWITCH) for moment in ("before", "after")]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(("moment", "step"), DEATHS, ids=lambda part: part if isinstance(part, str) else part[2])
def test_a_killed_process_leaves_nothing_half_done(
    moment: str, step: tuple[str, str, str], instance: Instance, package: Path
) -> None:
    instance.install("first")
    instance.lifecycle.activate("first", actor="test", reason="serves meanwhile")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(instance.settings.data_dir), str(package), moment, *step],
        cwd=PROJECT_DIR, env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]

    folder = instance.store.folder("pilot")
    assert not folder.exists() or (folder / MANIFEST_NAME).is_file(), "a folder is whole or not there"
    active = instance.versions.active()
    was_activated = step[2] == "transition" and moment == "after"
    assert active is not None
    assert active.version == ("pilot" if was_activated else "first")

    Repair(instance.settings, instance.engine, instance.alerts, keys=instance.keys).run()
    known = instance.versions.find("pilot")
    assert (known is not None) == folder.exists()
    row = instance.installer.register_local(package, actor="test", reason="once more")
    assert row.state == (VersionState.ACTIVE if was_activated else VersionState.PENDING)
    assert instance.lifecycle.verify("pilot")["ok"]
    assert sum(event.to_state == "pending" for event in instance.versions.events("pilot")) == 1
    shutil.rmtree(instance.settings.quarantine)
