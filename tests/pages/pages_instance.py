"""A real instance for the pages: `manage.py up` over a small factory, and a key for each role."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import orjson

from shared.bootstrap import Services
from shared.erp.demo.generate import generate_demo
from shared.identity.callers import Role
from shared.registry.manifest import canonical_bytes, parse_manifest
from shared.settings import Settings
from tests.acceptance.acceptance_support import RunningInstance, consecutive_ports

ITEMS = 500
SEED = 42
NEVER = "0 0 0 1 1 *"


@dataclass(frozen=True)
class PagesInstance:
    """Where the pages are, and the keys to sign in with, by role."""

    running: RunningInstance
    keys: dict[str, str] = field(repr=False)

    @property
    def address(self) -> str:
        """Where it answers, without a slash at the end."""
        return self.running.address


def start_pages_instance(folder: Path, *, items: int = ITEMS) -> PagesInstance:
    """Make a factory in `folder`, start an instance of it that does nothing by itself, and make the keys."""
    ports = consecutive_ports()
    schedules = {f"ROUTING_{what}_SCHEDULE": NEVER for what in ("EXTRACT", "QUALITY", "TRAINING")}
    running = RunningInstance(data_dir=folder / "data", port=ports[0], storage_port=ports[1], environment=schedules)
    generate_demo(running.data_dir / "sources" / "demo", items=items, seed=SEED)
    try:
        running.up()
        keys = {str(role): make_key(running, f"The {role}", role) for role in Role}
    except BaseException:
        running.kill_everything()
        raise
    return PagesInstance(running, keys)


def make_key(running: RunningInstance, user: str, role: str) -> str:
    """Make a key of a user in a role and return its text."""
    answer = httpx.post(
        f"{running.address}/api/keys", json={"user": user, "role": role}, headers={"x-api-key": running.key}, timeout=30
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key"])


def add_version(instance: PagesInstance, version: str, folder: Path) -> None:
    """Install the active version under another name, too, without training: it becomes pending.

    `folder` is a new one, for the package.
    """
    running = instance.running
    active = running.get("models/active")["version"]
    settings = Settings(data_dir=running.data_dir, models_dir=running.data_dir / "models")
    services = Services(settings)
    try:
        shutil.copytree(settings.models / active, folder)
        manifest = folder / "manifest.json"
        document = {**orjson.loads(manifest.read_bytes()), "version": version}
        del document["signature"]
        manifest.write_bytes(services.keys.sign(parse_manifest(canonical_bytes(document))).to_bytes())
        services.registrations.register_local(folder, actor="test", reason="another version to look at")
    finally:
        services.engine.dispose()
