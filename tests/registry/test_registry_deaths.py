"""A process killed while it packages, installs, registers or activates leaves what the next one can go on from.

Some of the moments are played here; `python -m benchmarks.activations deaths` plays all of them (`EVERY_DEATH=1`).
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shared.database.tables import VersionState
from shared.platform import remove_tree
from shared.registry.manifest import MANIFEST_NAME
from shared.registry.repair import Repair
from shared.registry.verify import verify_folder
from shared.settings import PROJECT_DIR
from tests.registry.registry_support import Instance

# The process builds a package, registers and activates it, and kills itself before or after the named call.
PROGRAM = """
import importlib, os, signal, sys
from pathlib import Path
from shared.database.engine import make_engine
from shared.database.models import ModelVersions
from shared.registry.build import build_package
from shared.registry.installation import Installer
from shared.registry.lifecycle import Lifecycle
from shared.registry.signing import Keys
from shared.registry.verify import verify_folder
from shared.settings import Settings

data_dir, source, out, moment, module, owner, name = sys.argv[1:]
settings = Settings(data_dir=Path(data_dir))
engine, keys = make_engine(settings.database), Keys(settings.keys)
model = verify_folder(Path(source), keys).model

def deadly(*arguments, **words):
    if moment == "after":
        original(*arguments, **words)
    os.kill(os.getpid(), signal.SIGKILL)

if moment != "never":
    holder = importlib.import_module(module)
    holder = getattr(holder, owner) if owner else holder
    original = getattr(holder, name)
    setattr(holder, name, deadly)
out, versions = Path(out), ModelVersions(engine)
if not out.exists():
    build_package(model, out, version="pilot", keys=keys)
Installer(settings, engine, keys=keys).register_local(out, actor="test", reason="a death")
if versions.active().version != "pilot":
    Lifecycle(settings, versions, keys=keys).activate("pilot", actor="test", reason="a death")
"""
STEPS = {
    "the model's files": ("shared.prediction.package", "", "save_model"),
    "its arrays": ("shared.prediction.package", "", "save_values"),
    "the golden answers": ("shared.prediction.golden", "", "write_golden"),
    "the signature": ("shared.registry.signing", "Keys", "sign"),
    "the manifest": ("shared.registry.build", "", "write_atomically"),
    "the package's folder": ("shared.registry.build", "", "publish_folder"),
    "the copy in quarantine": ("shutil", "", "copytree"),
    "the check of the copy": ("shared.registry.installation", "", "verify_folder"),
    "the installed folder": ("shared.registry.store", "", "publish_folder"),
    "the row": ("shared.database.models", "ModelVersions", "insert"),
    "the check before activation": ("shared.registry.lifecycle", "", "load_checked"),
    "the activation": ("shared.database.models", "ModelVersions", "transition"),
    "the retirement of the other": ("shared.database.models", "", "_move"),  # inside the transaction
}
EVERY_DEATH = [(moment, step) for step in STEPS for moment in ("before", "after")]
WORST_DEATHS = [
    ("before", "the package's folder"), ("after", "the installed folder"), ("after", "the row"),
    ("after", "the retirement of the other"), ("after", "the activation"),
]  # fmt: skip
DEATHS = EVERY_DEATH if os.environ.get("EVERY_DEATH") else WORST_DEATHS


def run(instance: Instance, source: Path, out: Path, moment: str, step: str) -> "subprocess.CompletedProcess[bytes]":
    words = [str(instance.settings.data_dir), str(source), str(out), moment, *STEPS[step]]
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], cwd=PROJECT_DIR,
        env={**os.environ, "PYTHONPATH": str(PROJECT_DIR)}, capture_output=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(("moment", "step"), DEATHS)
def test_a_killed_process_leaves_nothing_half_done(moment: str, step: str, instance: Instance, tmp_path: Path) -> None:
    instance.install("first")
    instance.lifecycle.activate("first", actor="test", reason="serves meanwhile")
    source, out = instance.store.folder("first"), tmp_path / "out" / "pilot"
    killed = run(instance, source, out, moment, step)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()[-2000:]

    for folder in (out, instance.store.folder("pilot")):
        assert not folder.exists() or (folder / MANIFEST_NAME).is_file(), "a folder is whole or not there"
        if folder.exists():
            verify_folder(folder, instance.keys)
    active = instance.versions.active()
    was_activated = (step, moment) == ("the activation", "after")
    assert active is not None
    assert active.version == ("pilot" if was_activated else "first")
    assert instance.serving.active().version == active.version

    Repair(instance.settings, instance.engine, instance.alerts, keys=instance.keys).run()
    known = instance.versions.find("pilot")
    assert (known is not None) == instance.store.has("pilot")
    again = run(instance, source, out, "never", step)
    assert again.returncode == 0, again.stderr.decode()[-2000:]
    assert instance.versions.get("pilot").state == VersionState.ACTIVE
    assert instance.lifecycle.verify("pilot")["ok"]
    assert sum(event.to_state == "pending" for event in instance.versions.events("pilot")) == 1
    remove_tree(instance.settings.quarantine)
