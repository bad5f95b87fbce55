"""Microsoft's own function runtime in an environment of its own: the suite loads the app in it where it can.

That runtime is made for Python 3.13 and brings a line of `azure-functions` that the product's environment may not
have. It is made where a Python 3.13 is found, never asked for where none is.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from launcher.places import PROJECT_DIR, venv_python
from launcher.programs import PIP, fingerprint, last_error, run
from shared.platform import remove_tree, write_atomically

VERSION = (3, 13)
REQUIREMENTS = ("requirements.txt", "requirements-microsoft.txt")
FOLDER = PROJECT_DIR / ".venv-microsoft"
_STAMP = "routing-ml.json"
_ASK_VERSION = "import sys; print(*sys.version_info[:2])"


def runtime_python() -> Path:
    """Return the interpreter that has the runtime, whether or not it exists."""
    return venv_python(FOLDER)


def find_python() -> Path | None:
    """Return a Python 3.13: the one that runs this, one on PATH, else one of pyenv's; None where there is none."""
    own = getattr(sys, "_base_executable", None) or sys.executable
    names = [own] if sys.version_info[:2] == VERSION else []
    names += [found] if (found := shutil.which("python3.13")) else []
    roots = [Path(root) for root in (os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv") if root]
    for root in roots:
        names += [str(folder / "bin" / "python") for folder in sorted(root.glob("versions/3.13*"), reverse=True)]
    return next((Path(name) for name in names if _is_wanted_version(name)), None)


def _is_wanted_version(name: str) -> bool:
    """Whether a program is that Python; a shim of pyenv's is not where its version is not chosen."""
    try:
        said = subprocess.run([name, "-c", _ASK_VERSION], capture_output=True, text=True, timeout=20, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return False
    return said.stdout.split() == [str(part) for part in VERSION]


def is_installed() -> bool:
    """Return whether the environment is whole and holds what the requirement files ask for."""
    try:
        return runtime_python().exists() and bool(json.loads((FOLDER / _STAMP).read_bytes()) == _wanted())
    except (OSError, ValueError):
        return False


def install(python: Path) -> str | None:
    """Make the environment anew; return what went wrong, None when nothing did. Nothing half-made stays."""
    remove_tree(FOLDER)
    try:
        made = run([python, "-m", "venv", FOLDER])
        if made.returncode == 0:
            files = [part for name in REQUIREMENTS for part in ("-r", str(PROJECT_DIR / name))]
            made = run([runtime_python(), *PIP, "install", "--no-compile", "--progress-bar", "off", *files])
        if made.returncode != 0:
            remove_tree(FOLDER)
            return last_error(made)
        write_atomically(FOLDER / _STAMP, json.dumps(_wanted()).encode())
    except BaseException:
        remove_tree(FOLDER)
        raise
    return None


def _wanted() -> dict[str, str]:
    return {name: fingerprint(PROJECT_DIR / name) for name in REQUIREMENTS}
