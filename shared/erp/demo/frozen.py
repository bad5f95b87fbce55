"""The demo factory's frozen difficulty: what was measured when it was frozen, and the bands it has to stay in.

Every published accuracy figure was measured against a factory of this difficulty. Whoever changes the generator raises
its version, freezes the difficulty anew (`docs/DEMO.md` says how) and measures every published figure again.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from shared.erp.demo.check import measure_difficulty
from shared.erp.demo.generate import ITEMS, RESULTS, ROUTINGS, VERSION, parameters
from shared.erp.demo.truth import Truth, load_truth
from shared.erp.demo.world import LAST_DAY
from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.sources.location import FolderLocation
from shared.errors import Conflict
from shared.settings import PROJECT_DIR

FROZEN_FILE = PROJECT_DIR / "config" / "demo-difficulty.yaml"
SAMPLE = 1000  # items asked; the file states it for the figures it holds


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FrozenFactory(_Part):
    """One measured factory."""

    items: int
    seed: int
    sha256: dict[str, str]  # view to the hash of its CSV file
    figures: dict[str, float]


class FrozenDifficulty(_Part):
    """`config/demo-difficulty.yaml`."""

    generator_version: int
    parameters_sha256: str  # of the rates, of which a rare one may spoil nothing in a small factory
    sample: int
    tolerance: float  # how far a figure may lie from the frozen one: a processor's last bit decides between equals
    bands: dict[str, tuple[float, float]]  # figure to lowest and highest
    factories: tuple[FrozenFactory, ...]

    def factory(self, items: int, seed: int) -> FrozenFactory | None:
        """Return what was frozen for this count and seed."""
        return next((each for each in self.factories if (each.items, each.seed) == (items, seed)), None)


@dataclass(frozen=True)
class Finding:
    """One figure beside what it should be."""

    figure: str
    value: float
    frozen: float | None  # None where no factory of this count and seed was frozen
    low: float
    high: float
    ok: bool


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a check found."""

    items: int
    seed: int
    findings: tuple[Finding, ...]
    same_bytes: bool | None  # as frozen; None where no factory of this count and seed was frozen
    ok: bool


def load_frozen(file: Path = FROZEN_FILE) -> FrozenDifficulty:
    """Return the frozen difficulty."""
    return FrozenDifficulty.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))


def parameters_hash() -> str:
    """Return the SHA-256 of the generator's rates and constants."""
    return hashlib.sha256(json.dumps(parameters(), sort_keys=True).encode()).hexdigest()


def measure_folder(folder: Path, scratch: Path, *, sample: int = SAMPLE) -> dict[str, float]:
    """Return the difficulty of the factory in `folder`, rounded to four places; `scratch` holds the extract."""
    now = datetime.combine(LAST_DAY + timedelta(days=1), time(), UTC)
    snapshot = extract(load_profile("demo"), FolderLocation(folder), scratch, now=now)
    found = measure_difficulty(snapshot, load_truth(folder), sample=sample)
    return {name: round(value, 4) for name, value in found.items()}


def hashes_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each view's file."""
    hashes = {}
    for view in (ITEMS, ROUTINGS, RESULTS):
        with (folder / f"{view}.csv").open("rb") as file:
            hashes[view] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes


def check_folder(folder: Path, scratch: Path, frozen: FrozenDifficulty) -> Verdict:
    """Measure the factory in `folder` and compare it with the bands, and with what was frozen for its size.

    Raises:
        SourceError: the folder holds no demo factory with its truth.
        Conflict: another version of the generator made it.
    """
    truth: Truth = load_truth(folder)
    made_by, items, seed = (int(truth.document[name]) for name in ("generator_version", "items", "seed"))
    if not made_by == VERSION == frozen.generator_version:
        raise Conflict(
            f"Version {made_by} of the generator made this factory; it is version {VERSION} now,"
            f" and the difficulty of version {frozen.generator_version} is frozen.",
            remedy="Generate the factory again; freeze the difficulty of a new version.",
        )
    if parameters_hash() != frozen.parameters_sha256:
        raise Conflict(
            f"The generator's rates are not those of version {VERSION}.",
            remedy="Raise the version, freeze the difficulty anew, and measure every published figure again.",
        )
    known = frozen.factory(items, seed)
    figures = measure_folder(folder, scratch, sample=frozen.sample)
    findings = tuple(_finding(name, value, frozen, known) for name, value in figures.items())
    same_bytes = None if known is None else hashes_of(folder) == known.sha256
    return Verdict(
        items=items,
        seed=seed,
        findings=findings,
        same_bytes=same_bytes,
        ok=all(finding.ok for finding in findings) and same_bytes is not False,
    )


def _finding(name: str, value: float, frozen: FrozenDifficulty, known: FrozenFactory | None) -> Finding:
    low, high = frozen.bands[name]
    expected = None if known is None else known.figures[name]
    as_frozen = expected is None or abs(value - expected) <= frozen.tolerance
    return Finding(name, value, expected, low, high, ok=low <= value <= high and as_frozen)
