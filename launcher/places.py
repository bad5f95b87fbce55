"""Where things lie: the project, its virtual environment, and what an instance keeps in its data directory."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parent.parent
VENV_DIR = PROJECT_DIR / ".venv"
NODE_MODULES = PROJECT_DIR / "node_modules"
DEFAULT_DATA_DIR = PROJECT_DIR / "data"
DEFAULT_PORT = 7071
DEFAULT_STORAGE_PORT = 10000


def venv_python(folder: Path = VENV_DIR) -> Path:
    """Return a virtual environment's interpreter, the product's own if none is named, whether or not it exists."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


@dataclass(frozen=True, kw_only=True)
class Place:
    """An instance's data directory and what lies in it."""

    data_dir: Path

    @classmethod
    def chosen(cls, option: str | None) -> "Place":
        """Return the place named on the command line, else by ROUTING_DATA_DIR, else `data/`."""
        named = option or os.environ.get("ROUTING_DATA_DIR") or ""
        return cls(data_dir=Path(named).expanduser().absolute() if named else DEFAULT_DATA_DIR)

    @property
    def run(self) -> Path:
        """Locks and notes of running processes."""
        return self.data_dir / "run"

    @property
    def lock(self) -> Path:
        """Held by the one supervisor of this data directory."""
        return self.run / "instance.lock"

    @property
    def instance_note(self) -> Path:
        """Process, address and ports of the running, or last, instance."""
        return self.run / "instance.json"

    @property
    def first_light_mark(self) -> Path:
        """There while the first model is being made, so that a killed start goes on with it."""
        return self.run / "first-light.started"

    @property
    def keys(self) -> Path:
        """Every secret of the instance."""
        return self.data_dir / "keys"

    @property
    def storage_account(self) -> Path:
        """Name and key of the instance's own storage account (0600)."""
        return self.keys / "storage.json"

    @property
    def administrator_key(self) -> Path:
        """The administrator's key (0600)."""
        return self.keys / "administrator.key"

    @property
    def logs(self) -> Path:
        """Log files of what the supervisor starts."""
        return self.data_dir / "logs"

    @property
    def azurite(self) -> Path:
        """The local storage service's data."""
        return self.data_dir / "azurite"

    @property
    def host_state(self) -> Path:
        """The embedded host's own state."""
        return self.data_dir / "funchost"
