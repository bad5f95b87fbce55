"""Have the items changed? Those ordered in the last weeks beside those that the model learned from.

A diagnosis beside the alarm, never one by itself: errors may grow because the work changed or because the items did,
and this tells the two apart. Compared are items with orders reported in the last `RECENT_DAYS` and items, known to the
model, whose last order lies in the year before: both by their orders, since a catalogue is full of items that nobody
makes any more. Of sisters (one drawing) one counts, so that items are nearly independent of each other.

Per attribute, over ten classes (deciles of the earlier items, or their ten commonest values) and "missing":

- the population stability index, sum (p - q) ln(p / q) with half a count added to every class (Siddiqi, Credit Risk
  Scorecards, 2006): below 0.1 nothing, from 0.25 much;
- a chi-squared test that both samples have one distribution, corrected by Holm for the number of attributes;
- for categories, the share of recent items with a value that the model has never seen.

And of both samples how similar the nearest item is that is no sister: below the model's own limit it abstains.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import chdtrc

from shared.database.alerts import Alerts
from shared.erp.canonical import Attribute, AttributeKind
from shared.prediction.memory import sister_keys
from shared.prediction.model import RoutingModel
from shared.quality.intervals import holm
from shared.quality.judging import Judgement
from shared.quality.measured import MeasuredCycle
from shared.quality.population import Population

RECENT_DAYS, EARLIER_DAYS = 28, 365
MOST_RECENT, MOST_EARLIER = 500, 1_000
MOST_SEARCHED = 100  # of each sample: looking for near items takes longest
LEAST_ITEMS = 30  # below this nothing can be said
CLASSES = 10
SIGNIFICANCE = 0.05
NOTABLE, MUCH = 0.1, 0.25
_NEAR = 12  # looked at to find one that is no sister
_NAMED = 3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Samples:
    """Attributes of both samples, one row an item and one item a drawing."""

    recent: pl.DataFrame
    earlier: pl.DataFrame
    drawn: int  # recent items drawn, sisters included
    unknown: int  # of them, items that the model's data lacks
    recent_in_all: int


class DriftDiagnosis:
    """Adds the diagnosis to a cycle's metrics and to the alerts that the cycle raised; a hook of the cycles."""

    def __init__(self, alerts: Alerts) -> None:
        """Write to `alerts`."""
        self._alerts = alerts

    def __call__(self, measured: MeasuredCycle, judgement: Judgement) -> dict[str, Any]:
        """Return `{"drift": ...}`."""
        drift = diagnose(measured.served.model, measured.population, seed=measured.row.seed)
        asked = measured.evaluation.asked
        drift["abstained"] = {
            "items": len(measured.evaluation.abstained),
            "n": asked,
            "share": len(measured.evaluation.abstained) / asked if asked else None,
        }
        told = {"message": drift["message"], "attributes": [entry["attribute"] for entry in drift["shifted"]]}
        for alert_id in judgement.alert_ids:
            self._alerts.add_details(alert_id, {"drift": told})
        return {"drift": drift}


def diagnose(model: RoutingModel, population: Population, *, seed: int) -> dict[str, Any]:
    """Compare the items ordered lately with earlier ones; the figures, each with its n, and a sentence."""
    samples = _samples(model, population, seed)
    n = {"recent": samples.recent.height, "earlier": samples.earlier.height}
    counted = {
        "n": n,
        "recent_items": samples.recent_in_all,
        "unknown": {"items": samples.unknown, "n": samples.drawn},
        "recent_days": RECENT_DAYS,
    }
    if min(n.values()) < LEAST_ITEMS:
        few = (
            f"Too little to tell whether the items have changed: {n['recent']} ordered in the last {RECENT_DAYS} days, "
            f"{n['earlier']} in the year before; {LEAST_ITEMS} of each are needed."
        )
        return counted | {"message": few, "attributes": [], "shifted": [], "similarity": None}
    attributes = _corrected([_attribute(one, samples, model) for one in model.attributes if _is_compared(one)])
    similarity = _similarity(model, samples)
    shifted = sorted(
        (entry for entry in attributes if entry["p_corrected"] < SIGNIFICANCE and entry["psi"] >= NOTABLE),
        key=lambda entry: (-entry["psi"], entry["attribute"]),
    )
    return counted | {
        "message": _sentence(shifted, similarity, n),
        "attributes": attributes,
        "shifted": shifted,
        "similarity": similarity,
    }


def _is_compared(attribute: Attribute) -> bool:
    """Days move on by themselves, and codes name things: neither tells of a change."""
    return attribute.kind not in (AttributeKind.DATE, AttributeKind.CODE)


def _samples(model: RoutingModel, population: Population, seed: int) -> _Samples:
    items = model.knowledge.items
    newest = population.days["newest_at"].max()
    if not isinstance(newest, date):
        return _Samples(items.frame.head(0), items.frame.head(0), 0, 0, 0)
    since = newest - timedelta(days=RECENT_DAYS)
    ordered = population.days.filter(pl.col("newest_at") > since - timedelta(days=EARLIER_DAYS)).select(
        "item_code", (pl.col("newest_at") > since).alias("recent")
    )
    recent = ordered.filter("recent")["item_code"]
    chosen = recent.sample(min(MOST_RECENT, len(recent)), seed=seed)
    frame = population.snapshot.query("items", lambda rows: rows.filter(pl.col("item_code").is_in(chosen.implode())))
    known = {code: place for code in _drawn(ordered, seed) if (place := items.place_of(code)) >= 0}
    return _Samples(
        recent=_one_a_drawing(frame, model.attributes),
        earlier=_one_a_drawing(items.frame[sorted(known.values())], model.attributes),
        drawn=len(chosen),
        unknown=sum(items.place_of(code) < 0 for code in chosen.to_list()),
        recent_in_all=len(recent),
    )


def _drawn(ordered: pl.DataFrame, seed: int) -> list[str]:
    earlier = ordered.filter(~pl.col("recent"))["item_code"]
    return earlier.sample(min(MOST_EARLIER, len(earlier)), seed=seed).to_list()


def _one_a_drawing(frame: pl.DataFrame, attributes: Sequence[Attribute]) -> pl.DataFrame:
    names = [attribute.name for attribute in attributes]
    arranged = frame.select("item_code", *names).sort("item_code")
    return arranged.with_columns(sister_keys(arranged, attributes).alias("__drawing")).unique(
        "__drawing", keep="first", maintain_order=True
    )


def _attribute(attribute: Attribute, samples: _Samples, model: RoutingModel) -> dict[str, Any]:
    recent, earlier = samples.recent[attribute.name], samples.earlier[attribute.name]
    unseen: int | None = None
    if attribute.kind is AttributeKind.NUMERIC:
        counts = _by_decile(recent, earlier)
    elif attribute.kind is AttributeKind.CATEGORICAL:
        counts = _by_value(recent, earlier)
        unseen = _unseen(recent, earlier, model.knowledge.items.frame[attribute.name])
    else:  # free text is told apart by how much of it there is
        counts = _by_decile(_lengths(recent), _lengths(earlier))
    psi, p = stability(counts[0], counts[1])
    return {
        "attribute": attribute.name,
        "kind": attribute.kind.value,
        "psi": round(psi, 4),
        "p": p,
        "missing": {"recent": recent.null_count() / len(recent), "earlier": earlier.null_count() / len(earlier)},
        "unseen": None if unseen is None else unseen / len(recent),
        "n": {"recent": len(recent), "earlier": len(earlier)},
    }


def _lengths(texts: pl.Series) -> pl.Series:
    return texts.cast(pl.String).str.len_chars().cast(pl.Float64)


def _by_decile(recent: pl.Series, earlier: pl.Series) -> tuple[Floats, Floats]:
    known = earlier.drop_nulls().cast(pl.Float64).to_numpy()
    edges = np.unique(np.quantile(known, np.linspace(0, 1, CLASSES + 1)[1:-1])) if len(known) else np.zeros(0)

    def count(column: pl.Series) -> Floats:
        values = column.drop_nulls().cast(pl.Float64).to_numpy()
        classes = np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1)
        return np.append(classes, column.null_count()).astype(np.float64)

    return count(recent), count(earlier)


def _by_value(recent: pl.Series, earlier: pl.Series) -> tuple[Floats, Floats]:
    common = earlier.drop_nulls().cast(pl.String).value_counts(sort=True, name="n")
    named = common.sort(["n", common.columns[0]], descending=[True, False]).head(CLASSES)[common.columns[0]]

    def count(column: pl.Series) -> Floats:
        texts = column.cast(pl.String)
        of_each = dict(texts.drop_nulls().value_counts(name="n").iter_rows())
        found = [of_each.get(value, 0) for value in named.to_list()]
        missing = texts.null_count()
        return np.array([*found, len(texts) - missing - sum(found), missing], dtype=np.float64)

    return count(recent), count(earlier)


def _unseen(recent: pl.Series, earlier: pl.Series, known: pl.Series) -> int:
    """How many recent items have a value that no item of the model's data has; most values the earlier ones have."""
    texts = recent.drop_nulls().cast(pl.String)
    asked = sorted(set(texts.unique().to_list()) - set(earlier.drop_nulls().cast(pl.String).unique().to_list()))
    if not asked:
        return 0
    met = known.filter(known.is_in(pl.Series(asked, dtype=known.dtype).implode())).unique().to_list()
    return int(texts.is_in(sorted(set(asked) - set(met))).sum())


def stability(recent: Floats, earlier: Floats) -> tuple[float, float]:
    """Return the population stability index of two histograms over the same classes, and the chi-squared test's p."""
    seen = (recent + earlier) > 0
    recent, earlier = recent[seen], earlier[seen]
    if len(recent) < 2 or not recent.sum() or not earlier.sum():
        return 0.0, 1.0
    p = (recent + 0.5) / (recent.sum() + 0.5 * len(recent))
    q = (earlier + 0.5) / (earlier.sum() + 0.5 * len(earlier))
    both = recent + earlier
    chi_squared = 0.0
    for counts in (recent, earlier):
        expected = both * counts.sum() / both.sum()
        chi_squared += float(((counts - expected) ** 2 / expected).sum())
    return float(((p - q) * np.log(p / q)).sum()), float(chdtrc(len(both) - 1, chi_squared))


def _corrected(attributes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add Holm's corrected p-values."""
    corrected = holm([entry["p"] for entry in attributes])
    return [entry | {"p_corrected": chance} for entry, chance in zip(attributes, corrected, strict=True)]


def _similarity(model: RoutingModel, samples: _Samples) -> dict[str, Any]:
    """How similar the nearest item is that is no sister, of both samples, and how many lie below the model's limit."""
    views = np.zeros(1, dtype=np.int64)
    least = float(model.knowledge.candidates.least_similarity(views, model.settings.minimum_similarity)[0])
    found: dict[str, Any] = {"limit": least}
    for name, frame in (("recent", samples.recent), ("earlier", samples.earlier)):
        nearest = _nearest(model, frame.gather_every(max(1, frame.height // MOST_SEARCHED)).head(MOST_SEARCHED))
        found[name] = {
            "median": float(np.median(nearest)),
            "low_tenth": float(np.quantile(nearest, 0.1)),
            "below_limit": float((nearest < least).mean()),
            "n": len(nearest),
        }
    return found


def _nearest(model: RoutingModel, frame: pl.DataFrame) -> Floats:
    columns: Mapping[str, Any] = {a.name: frame[a.name].to_list() for a in model.attributes}
    vectors = model.knowledge.encoder.transform(columns)
    found = model.index.search_many(vectors, _NEAR)
    items = model.knowledge.items
    codes = model.index.item_codes
    flat = np.unique(found.places)
    rows = items.frame[[items.place_of(codes[place]) for place in flat.tolist()]]
    keys = sister_keys(rows, model.attributes).to_list()
    drawing = dict(zip(flat.tolist(), keys, strict=True))
    nearest = np.zeros(frame.height)
    for place, own in enumerate(frame["__drawing"].to_list()):
        mine = slice(found.bounds[place], found.bounds[place + 1])
        others = [
            similarity
            for other, similarity in zip(found.places[mine].tolist(), found.similarities[mine].tolist(), strict=True)
            if drawing[other] != own
        ]
        nearest[place] = others[0] if others else 0.0
    return nearest


def _sentence(shifted: Sequence[Mapping[str, Any]], similarity: Mapping[str, Any], n: Mapping[str, int]) -> str:
    basis = f"{n['recent']} items ordered in the last {RECENT_DAYS} days beside {n['earlier']} of the year before"
    near = (
        f"the nearest other item is {similarity['recent']['median']:.2f} similar at the median"
        f" ({similarity['earlier']['median']:.2f} before), and {similarity['recent']['below_limit']:.0%} lie below the"
        f" limit of {similarity['limit']:.2f} ({similarity['earlier']['below_limit']:.0%} before)"
    )
    if not shifted:
        return f"No attribute of the items has shifted notably ({basis}); {near}."
    named = ", ".join(
        f"{entry['attribute']} ({'much' if entry['psi'] >= MUCH else 'notably'}, index {entry['psi']:.2f})"
        for entry in shifted[:_NAMED]
    )
    more = f" and {len(shifted) - _NAMED} more" if len(shifted) > _NAMED else ""
    return f"The items have shifted in {named}{more} ({basis}); {near}."
