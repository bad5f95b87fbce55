"""Which Functions host serves an instance: Core Tools where they are whole, else the embedded host; and why."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from launcher.places import PROJECT_DIR, Place, venv_python
from launcher.problems import SetupProblem

BUNDLE = "Microsoft.Azure.Functions.ExtensionBundle"
BUNDLE_PATH_SETTING = "AzureFunctionsJobHost__extensionBundle__downloadPath"
CORE_TOOLS_READY_SECONDS = 30.0
EMBEDDED_READY_SECONDS = 60.0
OFFLINE_SINCE = (4, 8)


@dataclass(frozen=True, kw_only=True)
class HostChoice:
    """A host that can be started: its command, what its environment needs beside the instance's, and why it."""

    name: str
    why: str
    command: tuple[str, ...]
    ready_seconds: float
    environment: dict[str, str] = field(default_factory=dict)


def host_choices(wanted: str, place: Place, port: int, address: str) -> list[HostChoice]:
    """Return the hosts to try, best first. Raises SetupProblem when Core Tools are wanted and not whole."""
    if wanted == "embedded":
        return [_embedded(place, port, address, "as asked")]
    missing = missing_for_core_tools()
    if wanted == "core-tools":
        if missing is not None:
            raise SetupProblem(
                f"Azure Functions Core Tools cannot serve: {missing}.",
                "Install them with `npm install --global azure-functions-core-tools@4` and `func bundles download`, "
                "or start with --host embedded.",
            )
        return [_core_tools(port, "as asked")]
    if missing is not None:
        return [_embedded(place, port, address, missing)]
    why_not = f"Core Tools were not ready in {CORE_TOOLS_READY_SECONDS:.0f} seconds"
    return [
        _core_tools(port, "func and its extension bundle are here"),
        _embedded(place, port, address, why_not),
    ]


def missing_for_core_tools() -> str | None:
    """Return what Azure Functions Core Tools lack to start without a download; None when they are whole."""
    if shutil.which("func") is None:
        return "func is not on PATH"
    if not any(list(folder.glob("4.*")) for folder in _bundle_folders() if folder.is_dir()):
        return "func is here and its extension bundle is not (func bundles download)"
    return None


def _bundle_folders() -> list[Path]:
    named = os.environ.get(BUNDLE_PATH_SETTING)
    standard = Path.home() / ".azure-functions-core-tools" / "Functions" / "ExtensionBundles" / BUNDLE
    return [*([Path(named), Path(named) / BUNDLE] if named else []), standard]


def _embedded(place: Place, port: int, address: str, why: str) -> HostChoice:
    words = ["-m", "funchost", "--app-dir", PROJECT_DIR, "--port", port, "--state-dir", place.host_state]
    return HostChoice(
        name="embedded host (funchost)",
        why=why,
        command=tuple(str(word) for word in (venv_python(), *words, "--host", address)),
        ready_seconds=EMBEDDED_READY_SECONDS,
        environment={"FUNCHOST_LOG_FILE": str(place.logs / "host.log")},  # which it keeps bounded while it runs
    )


def _core_tools(port: int, why: str) -> HostChoice:
    offline = ("--offline",) if _core_tools_version() >= OFFLINE_SINCE else ()
    return HostChoice(
        name="Azure Functions Core Tools (func)",
        why=why,
        command=("func", "start", "--port", str(port), "--enableAuth", *offline),
        ready_seconds=CORE_TOOLS_READY_SECONDS,
        environment={
            "languageWorkers__python__defaultExecutablePath": str(venv_python()),
            "FUNCTIONS_CORE_TOOLS_TELEMETRY_OPTOUT": "1",
        },
    )


def _core_tools_version() -> tuple[int, ...]:
    func = shutil.which("func")
    if func is None:
        return (0,)
    try:
        answer = subprocess.run([func, "--version"], capture_output=True, text=True, timeout=20, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return (0,)
    match = re.match(r"(\d+)\.(\d+)", answer.stdout.strip())
    return tuple(int(part) for part in match.groups()) if match else (0,)
