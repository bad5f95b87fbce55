"""An instance of the demo factory in a folder: each step of making it is done once, by this run or one before."""

import json
import shutil
from pathlib import Path

from benchmarks.prediction import making
from launcher.environment import instance_environment


def make_instance(
    folder: Path, *, items: int, seed: int, factory: Path | None = None, package: Path | None = None
) -> tuple[dict[str, making.Made], dict[str, str]]:
    """Return what each step took, and the environment of the instance's processes.

    `factory` is the folder of a ready one and `package` of a ready model; otherwise they are made.
    """
    data_dir, source = folder / "data", factory or folder / "factory"
    data_dir.mkdir(parents=True, exist_ok=True)
    environment = {**instance_environment(data_dir), "ROUTING_SOURCE": str(source), "ROUTING_PROFILE": "demo"}
    made = _Kept(folder / "made.json", environment)
    if factory is None:
        made.step("generate", "--items", str(items), "--seed", str(seed))
    made.step("extract")
    words: list[str] = []
    if package is not None:
        words = ["--package", str(folder / "packages" / package.name)]
        if "install" not in made.steps:
            shutil.copytree(package, words[1])
    else:
        made.step("fit")
    made.step("install", *words)
    return made.steps, environment


class _Kept:
    """Steps done in this folder, by this run or one before, each once."""

    def __init__(self, file: Path, environment: dict[str, str]) -> None:
        self._file, self._environment = file, environment
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        self.steps = {name: making.Made(**each) for name, each in known.items()}

    def step(self, name: str, *words: str) -> None:
        if name not in self.steps:
            self.steps[name] = making.make(name, self._environment, *words)
            kept = {each: dict(made.__dict__) for each, made in self.steps.items()}
            self._file.write_text(json.dumps(kept), encoding="utf-8")
