"""The steps before anything can be asked, each in a process of its own: generate, extract, fit and package, install.

    python -m benchmarks.prediction.making STEP --items 321000 --seed 42

The instance is the one of ROUTING_DATA_DIR, its factory the folder of ROUTING_SOURCE.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

VERSION = "measured"
SECOND_VERSION = "measured-again"  # the same model under another name, to swap to
Report = Callable[[float, str], None]


@dataclass(kw_only=True)
class Steps:
    """Seconds between one progress report and the next, by what was going on."""

    seconds: dict[str, float] = field(default_factory=dict)
    _name: str | None = None
    _since: float = 0.0

    def report(self, _percent: float, name: str) -> None:
        """Close the step under way and begin the next."""
        now = time.perf_counter()
        if self._name is not None:
            self.seconds[self._name] = self.seconds.get(self._name, 0.0) + now - self._since
        self._name, self._since = name, now


def package_folder() -> Path:
    """Return where the fitted package lies before it is installed."""
    return Path(os.environ["ROUTING_DATA_DIR"]).parent / "packages" / VERSION


def generate(options: argparse.Namespace) -> dict[str, Any]:
    """Write the demo factory."""
    from shared.erp.demo.generate import generate_demo

    generate_demo(Path(os.environ["ROUTING_SOURCE"]), items=options.items, seed=options.seed)
    return {}


def extract(_options: argparse.Namespace) -> dict[str, Any]:
    """Read the factory into a snapshot."""
    snapshot = _services().snapshots.take_now(reason="the speed benchmark")
    return {"rows": dict(snapshot.rows)}


def fit(_options: argparse.Namespace) -> dict[str, Any]:
    """Fit and package a model, without judging it."""
    from shared.training.direct import train_now

    services, steps = _services(), Steps()
    services.keys.ensure()
    train_now(
        services.snapshots.current(),
        services.configuration_store.current()[1],
        package_folder(),
        version=VERSION,
        keys=services.keys,
        evaluate=False,
        progress=steps.report,
    )
    steps.report(100, "done")
    size = sum(file.stat().st_size for file in package_folder().iterdir())
    return {"steps": steps.seconds, "package_bytes": size}


def install(options: argparse.Namespace) -> dict[str, Any]:
    """Verify, install and activate the package, and install it once more under another name."""
    from shared.registry.build import sign_folder
    from shared.registry.installation import Installer
    from shared.registry.manifest import parse_manifest, read_manifest_file

    services = _services()
    services.keys.ensure()
    first = options.package or package_folder()
    installer = Installer(services.settings, services.engine, keys=services.keys)
    if options.package:
        sign_folder(first, services.keys)
    version = installer.register_local(first, actor="benchmark", reason="speed benchmark").version
    second = _copy_under(first, SECOND_VERSION)
    manifest = parse_manifest(read_manifest_file(second)).model_copy(update={"version": SECOND_VERSION})
    (second / "manifest.json").write_bytes(services.keys.sign(manifest).to_bytes())
    installer.register_local(second, actor="benchmark", reason="speed benchmark")
    services.lifecycle.activate(version, actor="benchmark", reason="speed benchmark")
    return {"version": version}


def _copy_under(folder: Path, name: str) -> Path:
    import shutil

    copy = Path(os.environ["ROUTING_DATA_DIR"]).parent / "packages" / name
    return Path(shutil.copytree(folder, copy))


def _services() -> Any:
    from shared.bootstrap import current_services
    from shared.database.engine import migrate

    services = current_services()
    migrate(services.settings.database)
    return services


STEPS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "generate": generate, "extract": extract, "fit": fit, "install": install,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Made:
    """What one step took, in a process of its own, and what it told."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    told: dict[str, Any]


def make(step: str, environment: Mapping[str, str], *words: str) -> Made:
    """Run one step as a child process.

    Raises:
        SystemExit: it failed; its errors are told.
    """
    started = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks.prediction.making", step, *words]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{step} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    made = Made(**json.loads(done.stdout.splitlines()[-1]))
    return replace(made, seconds=time.perf_counter() - started)


def main() -> int:
    """Do one step and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--items", type=int, default=321_000)
    parser.add_argument("--seed", type=int, default=42)
    parser.add_argument("--package", type=Path)
    options = parser.parse_args()
    import resource

    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    started = time.perf_counter()
    told = STEPS[options.step](options)
    used = resource.getrusage(resource.RUSAGE_SELF)
    made = Made(
        seconds=time.perf_counter() - started, cpu_seconds=used.ru_utime + used.ru_stime,
        peak_mib=used.ru_maxrss / 1024, told=told,
    )  # fmt: skip
    print(json.dumps(made.__dict__))
    return 0


if __name__ == "__main__":
    sys.exit(main())
