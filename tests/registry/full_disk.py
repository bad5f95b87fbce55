"""Takes a drop in, and activates it, on file systems that are really full; run by the test beside it.

    unshare --mount --map-root-user python -m tests.registry.full_disk DATA_DIR ROW_ID VERSION

Standard input holds storage's address. Small file systems in memory are laid over the instance's folders, which
nobody outside of this process sees. What was met at each step is told as one JSON document.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.database.engine import make_engine
from shared.database.models import ModelVersions
from shared.database.tables import Registration
from shared.database.work import WorkRows
from shared.registry.lifecycle import Lifecycle
from shared.registry.registrations import Registrations
from shared.registry.signing import Keys
from shared.settings import Settings
from shared.storage.clients import Storage
from shared.storage.doorbells import Doorbells
from shared.storage.packages import Packages


@contextmanager
def small_disk(folder: Path, limit: str) -> Iterator[None]:
    """Lay a file system with this limit over `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", limit, "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def attempt(work: Callable[[], object]) -> str:
    """Return what `work` raised, or nothing."""
    try:
        work()
    except Exception as fault:  # noqa: BLE001 - whatever it was is what the test looks at
        return f"{type(fault).__name__}: {fault}"
    return ""


def main(data_dir: Path, row_id: str, version: str) -> dict[str, dict[str, object]]:
    """Do every step and return what was met."""
    settings = Settings(data_dir=data_dir)
    engine, storage = make_engine(settings.database), Storage(sys.stdin.read().strip())
    work, keys = WorkRows(engine), Keys(settings.keys)
    registrations = Registrations(settings, engine, work, Doorbells(storage), Packages(storage), keys=keys)
    versions = ModelVersions(engine)
    told: dict[str, dict[str, object]] = {}

    def register(step: str) -> None:
        fault = attempt(lambda: registrations.register(row_id))
        row = work.get(Registration, row_id)
        folder = (settings.models / version).exists()
        known = versions.find(version) is not None
        told[step] = {"fault": fault, "state": row.state, "error": row.error, "folder": folder, "known": known}

    with small_disk(settings.quarantine, "nr_inodes=5"):  # room for bytes, none for another file
        register("quarantine")
    with small_disk(settings.models, "size=64k"):
        register("models")
    register("room again")
    database = data_dir / "full" / "routing.db"
    with small_disk(database.parent, "size=4m"):
        engine.dispose()
        shutil.copy(settings.data_dir / "routing.db", database)
        full = make_engine(f"sqlite:///{database}")
        there = ModelVersions(full)
        there.get(version)  # opened while there is room
        filler = database.with_name("filler")
        attempt(lambda: filler.write_bytes(bytes(8 * 1024 * 1024)))  # up to the last page
        lifecycle = Lifecycle(settings, there, keys=keys)
        for step in ("database", "database again"):
            fault = attempt(lambda: lifecycle.activate(version, actor="test", reason="a full disk"))
            told[step] = {"fault": fault, "state": there.get(version).state, "events": len(there.events(version))}
            filler.unlink(missing_ok=True)
        full.dispose()
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])) + "\n")
