"""A real instance for the pages: `manage.py up` over a small factory, and a key for each role."""

from dataclasses import dataclass, field
from pathlib import Path

import httpx

from shared.erp.demo.generate import generate_demo
from shared.identity.callers import Role
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
