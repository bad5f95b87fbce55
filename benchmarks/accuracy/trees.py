"""LightGBM in the few forms that the opponents need, and how its settings are chosen: a small grid, an inner split."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.accuracy.plant import Plant
from shared.erp.canonical import Attribute
from shared.features.table import FeatureTable

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Every opponent tries the same three settings: few wide steps, many narrow ones, small trees.
GRID: tuple[dict[str, float], ...] = (
    {"n_estimators": 80, "learning_rate": 0.1, "num_leaves": 15, "min_child_samples": 5},
    {"n_estimators": 200, "learning_rate": 0.05, "num_leaves": 31, "min_child_samples": 10},
    {"n_estimators": 150, "learning_rate": 0.1, "num_leaves": 7, "min_child_samples": 5},
)
INNER_SHARE = 5  # every fifth drawing of the training items judges the settings


def lightgbm() -> Any:
    """Return the library, which only this benchmark needs (`requirements-benchmarks.txt`)."""
    return importlib.import_module("lightgbm")


@dataclass(frozen=True, kw_only=True)
class Grown:
    """A boosted model that remembers which classes it knows."""

    booster: Any  # None where there is one class only
    classes: Ints

    def probabilities(self, rows: Rows) -> Floats:
        """Return rows x classes."""
        if self.booster is None:
            return np.ones((len(rows), 1))
        found = np.asarray(self.booster.predict(rows), dtype=np.float64)
        return found if found.ndim > 1 else np.stack([1.0 - found, found], axis=1)


def grow_classes(rows: Rows, classes: Ints, categorical: Sequence[int], settings: dict[str, float]) -> Grown:
    """Fit a classifier; with two classes one set of trees, with more one set each."""
    known, target = np.unique(classes, return_inverse=True)
    if len(known) < 2:
        return Grown(booster=None, classes=known)
    objective = {"objective": "binary"} if len(known) == 2 else {"objective": "multiclass", "num_class": len(known)}
    return Grown(booster=_train(rows, target, categorical, {**settings, **objective}), classes=known)


def grow_quantile(
    rows: Rows, values: Floats, categorical: Sequence[int], settings: dict[str, float], level: float
) -> Any:
    """Fit a quantile regression."""
    return _train(rows, values, categorical, {**settings, "objective": "quantile", "alpha": level})


def _train(rows: Rows, target: Any, categorical: Sequence[int], settings: dict[str, Any]) -> Any:
    library = lightgbm()
    fixed = {
        "verbose": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": 1, "cat_smooth": 5,
        "min_data_per_group": 5,
    }  # fmt: skip
    rounds = int(settings["n_estimators"])
    given = {name: value for name, value in settings.items() if name != "n_estimators"}
    data = library.Dataset(rows, label=target, categorical_feature=list(categorical), free_raw_data=True)
    return library.train({**fixed, **given}, data, num_boost_round=rounds)


class ItemRows:
    """Items' features as the product's own trees read them, fitted on the training items only."""

    def __init__(self, plant: Plant) -> None:
        """Fit on the routed items of a plant."""
        routed = plant.items.filter(pl.col("item_code").is_in(plant.routed)).sort("item_code")
        self._attributes = plant.attributes
        self._table = FeatureTable.fit(plant.attributes, columns_of(plant.attributes, routed))
        self.categorical = np.flatnonzero(self._table.categorical).tolist()
        self.codes: list[str] = routed["item_code"].to_list()
        self.place_of = {code: place for place, code in enumerate(self.codes)}
        self.rows = self.of(routed)
        groups = routed["group"].rank("dense").to_numpy().astype(np.int64)
        drawn = np.random.default_rng(0).permutation(int(groups.max()) + 1)
        self.judging: Flags = drawn[groups] % INNER_SHARE == 0  # items that judge the settings

    def of(self, items: pl.DataFrame) -> Rows:
        """Return the features of any items."""
        return self._table.rows(columns_of(self._attributes, items))


def columns_of(attributes: Sequence[Attribute], items: pl.DataFrame) -> dict[str, list[Any]]:
    """Return the attributes as the product's encoders take them."""
    return {attribute.name: items[attribute.name].to_list() for attribute in attributes}


def log_loss(probabilities: Floats, known: Ints, classes: Ints) -> float:
    """Return the summed negative log probability of the true classes; an unknown one counts as one in a thousand."""
    place = np.searchsorted(known, classes)
    place = np.minimum(place, len(known) - 1)
    hit = known[place] == classes
    chance = np.where(hit, probabilities[np.arange(len(classes)), place], 1e-3)
    return float(-np.log(np.clip(chance, 1e-3, 1.0)).sum())
