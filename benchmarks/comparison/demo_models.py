"""Models of one recipe fitted on disjoint halves of the demo factory, each asked all items as if unknown."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.comparison.universe import Answers, Universe
from shared.configuration import default_configuration
from shared.erp.demo.generate import generate_demo
from shared.erp.extract import extract
from shared.erp.profiles.model import load_profile
from shared.erp.snapshot import Snapshot
from shared.erp.sources.location import FolderLocation
from shared.prediction.fit import fit_model
from shared.quality.actuals import ItemActuals, collect_actuals, family_attributes
from shared.quality.evaluate import Evaluation, evaluate
from shared.quality.observations import OrderObservation
from shared.quality.population import eligible_items
from shared.training.questions import drawings_of

READ_AT = datetime(2026, 7, 1, tzinfo=UTC)  # the generated factory's calendar ends the day before
PARTS = 2


def demo_universe(*, items: int, seed: int, deals: int, tell: Callable[[str], None]) -> Universe:
    """Fit two models on disjoint halves of the drawings, dealt anew `deals` times, and ask each for every item.

    An item that a model never saw is asked by its attributes, one of its own half is withheld: unknown either way.
    """
    with TemporaryDirectory() as scratch:
        generate_demo(Path(scratch, "factory"), items=items, seed=seed)
        snapshot = extract(
            load_profile("demo"), FolderLocation(Path(scratch, "factory")), Path(scratch, "snapshots"), now=READ_AT
        )
        codes = eligible_items(snapshot, family_attributes(snapshot))["item_code"].to_list()
        actuals = collect_actuals(snapshot, codes)
        of_item = drawings_of(snapshot, codes)
        everything = drawings_of(snapshot, snapshot.items()["item_code"].unique().sort().to_list())
        drawings: dict[str, list[str]] = {}
        for code in codes:
            drawings.setdefault(of_item[code], []).append(code)
        models = []
        for deal in range(deals):
            rng = np.random.default_rng([seed, deal])
            for part, left_out in enumerate(_parts(rng, everything)):
                tell(f"fitting half {part + 1} of deal {deal + 1} of {deals}")
                models.append(_fitted(snapshot, left_out, actuals))
    return Universe(drawings=drawings, models=tuple(models))


def _parts(rng: np.random.Generator, drawings: dict[str, str]) -> list[tuple[str, ...]]:
    """Return, for each part of the items, the items that are not in it."""
    names = sorted(set(drawings.values()))
    part = dict(zip(names, rng.permutation(len(names)) % PARTS, strict=True))
    return [tuple(sorted(code for code, name in drawings.items() if part[name] != own)) for own in range(PARTS)]


def _fitted(snapshot: Snapshot, left_out: tuple[str, ...], actuals: dict[str, ItemActuals]) -> Answers:
    model = fit_model(snapshot, default_configuration(), exclude_items=left_out)
    return answers_of(evaluate(model, actuals, dict.fromkeys(actuals, 1.0)))


def answers_of(evaluated: Evaluation) -> Answers:
    """Arrange an evaluation by item."""
    orders: dict[str, list[OrderObservation]] = {}
    for row in evaluated.orders:
        orders.setdefault(row.item_code, []).append(row)
    return Answers(orders, {row.item_code: row for row in evaluated.routings})
