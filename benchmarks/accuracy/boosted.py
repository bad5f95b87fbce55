"""Tuned gradient boosting as an opponent: routings as a class or as a set of operations, and times as quantiles."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from benchmarks.accuracy.asking import ORDERS_AN_OPERATION, Asked, Proposal, Step, Times
from benchmarks.accuracy.plant import Label, Plant
from benchmarks.accuracy.trees import (
    GRID,
    Flags,
    Floats,
    Grown,
    Ints,
    ItemRows,
    Rows,
    grow_classes,
    grow_quantile,
    log_loss,
)

LEVELS = (0.1, 0.5, 0.9)
TIME_OFFSET = 0.05  # minutes added before taking logarithms
LEAST_OF_A_CLASS = 3  # a routing seen less often cannot be learned as a class
MOST_CLASSES = 150
CLASS_ROUNDS_SHARE = 0.25  # a classifier of many classes grows as many trees a round
MOST_TIME_ROWS = 150_000
FREE_FLIPS = 6  # of the least certain operations, all combinations are ranked
FREQUENCY_POWERS = (0.0, 0.3, 0.6, 1.0)

Settings = dict[str, float]


def tuned(trial: Callable[[Settings], float]) -> Settings:
    """Return the settings of the grid with the least loss."""
    losses = [trial(settings) for settings in GRID]
    return GRID[int(np.argmin(losses))]


class WorkCentres:
    """One classifier of work centres per operation."""

    def __init__(self, plant: Plant, rows: ItemRows) -> None:
        """Fit on the steps of a plant."""
        self._choices: dict[Label, list[tuple[str | None, bool | None]]] = {}
        self._grown: dict[Label, Grown] = {}
        samples = self._samples(plant, rows)
        settings = tuned(lambda given: sum(self._loss(rows, sample, given) for sample in samples.values()))
        for label, (places, classes) in samples.items():
            self._grown[label] = grow_classes(rows.rows[places], classes, rows.categorical, settings)

    def _samples(self, plant: Plant, rows: ItemRows) -> dict[Label, tuple[Ints, Ints]]:
        found: dict[Label, list[tuple[int, tuple[str | None, bool | None]]]] = defaultdict(list)
        columns = ("item_code", "operation_code", "occurrence", "resource_code", "inside")
        for code, operation, occurrence, resource, inside in plant.steps.select(columns).iter_rows():
            found[operation, occurrence].append((rows.place_of[code], (resource, inside)))
        samples = {}
        for label, pairs in found.items():
            choices = self._choices[label] = sorted({choice for _, choice in pairs}, key=str)
            number = {choice: place for place, choice in enumerate(choices)}
            samples[label] = (np.array([p for p, _ in pairs]), np.array([number[choice] for _, choice in pairs]))
        return samples

    @staticmethod
    def _loss(rows: ItemRows, sample: tuple[Ints, Ints], settings: Settings) -> float:
        places, classes = sample
        judging = rows.judging[places]
        if len(np.unique(classes)) < 2 or not judging.any() or judging.all():
            return 0.0
        grown = grow_classes(rows.rows[places[~judging]], classes[~judging], rows.categorical, settings)
        return log_loss(grown.probabilities(rows.rows[places[judging]]), grown.classes, classes[judging])

    def steps(self, signatures: Sequence[tuple[Label, ...]], rows: Rows) -> list[tuple[Step, ...]]:
        """Return each routing with its most probable work centres."""
        wanted: dict[Label, list[int]] = defaultdict(list)
        for item, labels in enumerate(signatures):
            for label in labels:
                wanted[label].append(item)
        chosen: dict[tuple[int, Label], tuple[str | None, bool | None]] = {}
        for label, items in wanted.items():
            if label not in self._grown:
                continue
            grown = self._grown[label]
            best = grown.classes[grown.probabilities(rows[items]).argmax(axis=1)]
            for item, choice in zip(items, best.tolist(), strict=True):
                chosen[item, label] = self._choices[label][choice]
        return [
            tuple(_step(label, chosen.get((item, label), (None, None))) for label in labels)
            for item, labels in enumerate(signatures)
        ]


def _step(label: Label, choice: tuple[str | None, bool | None]) -> Step:
    return Step(label=label, resource=choice[0], inside=choice[1])


class BoostedClasses:
    """The whole routing as one class."""

    name = "lightgbm classes"

    def __init__(self, plant: Plant, rows: ItemRows, centres: WorkCentres) -> None:
        """Fit on the routings of a plant."""
        self._rows, self._centres = rows, centres
        routings = plant.routings()
        every = [tuple(routings[code]) for code in rows.codes]
        counted = Counter(every)
        common = sorted((s for s in counted if counted[s] >= LEAST_OF_A_CLASS), key=lambda s: (-counted[s], s))
        self._signatures = common[:MOST_CLASSES] or sorted(counted, key=lambda s: (-counted[s], s))[:MOST_CLASSES]
        number = {signature: place for place, signature in enumerate(self._signatures)}
        classes = np.array([number.get(signature, -1) for signature in every])
        settings = tuned(lambda given: self._loss(classes, given))
        known = classes >= 0
        self._grown = grow_classes(rows.rows[known], classes[known], rows.categorical, _fewer(settings))

    def _loss(self, classes: Ints, settings: Settings) -> float:
        rows = self._rows
        fitted, judged = (classes >= 0) & ~rows.judging, (classes >= 0) & rows.judging
        grown = grow_classes(rows.rows[fitted], classes[fitted], rows.categorical, _fewer(settings))
        return log_loss(grown.probabilities(rows.rows[judged]), grown.classes, classes[judged])

    def propose(self, asked: Asked) -> list[Proposal]:
        """Return the three most probable routings of each item."""
        rows = self._rows.of(asked.items)
        probabilities = self._grown.probabilities(rows)
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :3]
        ranked = [[self._signatures[self._grown.classes[place]] for place in found] for found in order.tolist()]
        best = [float(probabilities[item, found[0]]) for item, found in enumerate(order.tolist())]
        return _proposals(ranked, best, self._centres, rows)


def _fewer(settings: Settings) -> Settings:
    return {**settings, "n_estimators": max(10, round(settings["n_estimators"] * CLASS_ROUNDS_SHARE))}


class BoostedSets:
    """One classifier per operation; the most probable sets of operations, in the order of precedence."""

    name = "lightgbm operations"

    def __init__(self, plant: Plant, rows: ItemRows, centres: WorkCentres) -> None:
        """Fit on the routings of a plant."""
        self._rows, self._centres = rows, centres
        routings = plant.routings()
        every = [tuple(routings[code]) for code in rows.codes]
        self._labels = sorted({label for signature in every for label in signature})
        number = {label: place for place, label in enumerate(self._labels)}
        self._has = np.zeros((len(every), len(self._labels)), dtype=np.int64)
        for item, signature in enumerate(every):
            self._has[item, [number[label] for label in signature]] = 1
        self._usual = _usual_orders(every)
        self._before = _precedence(every, number)
        counted = Counter(map(tuple, self._has.tolist()))
        self._known = np.array(sorted(counted), dtype=np.float64)
        self._share = np.log(np.array([counted[key] for key in sorted(counted)]) / len(every))
        judged = rows.judging
        settings = tuned(lambda given: self._loss(self._logits(given, rows.rows[judged], ~judged), judged))
        inner = self._logits(settings, rows.rows[judged], ~judged)
        right = [self._right(inner, judged, power) for power in FREQUENCY_POWERS]
        self._power = FREQUENCY_POWERS[int(np.argmax(right))]
        everything = np.ones(len(every), dtype=np.bool_)
        self._grown = self._fitted(settings, everything)

    def _fitted(self, settings: Settings, chosen: Flags) -> list[Grown]:
        rows = self._rows
        return [
            grow_classes(rows.rows[chosen], self._has[chosen, place], rows.categorical, settings)
            for place in range(len(self._labels))
        ]

    def _logits(self, settings: Settings, rows: Rows, chosen: Flags) -> Floats:
        return _logits(self._fitted(settings, chosen), rows)

    def _loss(self, logits: Floats, judged: Flags) -> float:
        truth = self._has[judged]
        return float(np.logaddexp(0.0, np.where(truth > 0, -logits, logits)).sum())

    def _right(self, logits: Floats, judged: Flags, power: float) -> int:
        truth = self._has[judged]
        best = [self._best(row, power)[0][0] for row in logits]
        return sum(tuple(row) == found for row, found in zip(truth.tolist(), best, strict=True))

    def _best(self, logits: Floats, power: float) -> tuple[list[tuple[int, ...]], float]:
        """Return the three best sets among those known and the free ones, and the best one's probability."""
        base = -np.logaddexp(0.0, logits).sum()
        known = base + self._known @ logits + power * self._share
        free = _flipped(logits)
        rare = power * (self._share.min() - np.log(2.0)) if len(self._share) else 0.0
        scores: dict[tuple[int, ...], float] = {}
        for sets, found in ((free, base + free @ logits + rare), (self._known, known)):
            for place in np.argsort(-found, kind="stable")[:8].tolist():
                key = tuple(sets[place].astype(int).tolist())
                scores[key] = max(scores.get(key, -np.inf), float(found[place]))
        best = sorted(scores, key=lambda key: (-scores[key], key))
        chance = np.exp([scores[key] - scores[best[0]] for key in best])
        return best[:3], float(1.0 / chance.sum())

    def propose(self, asked: Asked) -> list[Proposal]:
        """Return the three best sets of operations of each item, ordered."""
        rows = self._rows.of(asked.items)
        ranked, best = [], []
        for logits in _logits(self._grown, rows):
            sets, chance = self._best(logits, self._power)
            ranked.append([self._in_order(found) for found in sets])
            best.append(chance)
        return _proposals(ranked, best, self._centres, rows)

    def _in_order(self, chosen: tuple[int, ...]) -> tuple[Label, ...]:
        """Return the operations in the order most often seen; of a new set, by how many others each precedes."""
        places = np.flatnonzero(np.array(chosen))
        usual = self._usual.get(frozenset(self._labels[place] for place in places.tolist()))
        if usual is not None:
            return usual
        part = self._before[np.ix_(places, places)]
        wins = (part > part.T).sum(axis=1)
        return tuple(self._labels[place] for place in places[np.argsort(-wins, kind="stable")].tolist())


def _logits(grown: Sequence[Grown], rows: Rows) -> Floats:
    columns = []
    for each in grown:
        found = each.probabilities(rows)
        chance = found[:, 1] if len(each.classes) > 1 else np.full(len(rows), float(each.classes[0]))
        chance = np.clip(chance, 1e-4, 1 - 1e-4)
        columns.append(np.log(chance / (1 - chance)))
    return np.stack(columns, axis=1)


def _flipped(logits: Floats) -> Floats:
    """Return the most probable set and those that differ in the least certain operations."""
    sure = (logits > 0).astype(np.float64)
    doubtful = np.argsort(np.abs(logits), kind="stable")[:FREE_FLIPS]
    masks = (np.arange(2 ** len(doubtful))[:, None] >> np.arange(len(doubtful))) & 1
    sets = np.repeat(sure[None, :], len(masks), axis=0)
    sets[:, doubtful] = np.abs(sets[:, doubtful] - masks)
    return sets[sets.sum(axis=1) > 0] if (sets.sum(axis=1) > 0).any() else sets


def _usual_orders(signatures: Sequence[tuple[Label, ...]]) -> dict[frozenset[Label], tuple[Label, ...]]:
    """Return the order most often seen of each set of operations."""
    counted = Counter(signatures)
    return {frozenset(signature): signature for signature in sorted(counted, key=lambda s: (counted[s], s))}


def _precedence(signatures: Sequence[tuple[Label, ...]], number: dict[Label, int]) -> Ints:
    before = np.zeros((len(number), len(number)), dtype=np.int64)
    for signature, count in Counter(signatures).items():
        places = [number[label] for label in signature]
        for first, place in enumerate(places):
            before[place, places[first + 1 :]] += count
    return before


def _proposals(
    ranked: Sequence[Sequence[tuple[Label, ...]]], best: Sequence[float], centres: WorkCentres, rows: Rows
) -> list[Proposal]:
    steps = centres.steps([found[0] for found in ranked], rows)
    return [
        Proposal(
            signatures=tuple(tuple(code for code, _ in labels) for labels in found), steps=first, probability=chance
        )
        for found, first, chance in zip(ranked, steps, best, strict=True)
    ]


class BoostedTimes:
    """Quantile regressions of the logarithm of an order's minutes on attributes, operation, work centre, quantity."""

    name = "lightgbm times"

    def __init__(self, plant: Plant, rows: ItemRows, centres: WorkCentres) -> None:
        """Fit on the booked orders of a plant."""
        self._rows, self._centres = rows, centres
        steps = plant.steps.select("item_code", "operation_code", "occurrence", "resource_code")
        orders = plant.orders.filter(pl.col("item_code").is_in(rows.codes)).join(
            steps, on=["item_code", "operation_code", "occurrence"], how="left", maintain_order="left"
        )
        orders = orders.group_by("item_code", "operation_code", "occurrence", maintain_order=True).tail(
            ORDERS_AN_OPERATION
        )
        if orders.height > MOST_TIME_ROWS:
            orders = orders.sample(MOST_TIME_ROWS, seed=1)
        self._operations = {code: n for n, code in enumerate(orders["operation_code"].unique().sort())}
        self._resources = {code: n for n, code in enumerate(orders["resource_code"].drop_nulls().unique().sort())}
        places = np.array([rows.place_of[code] for code in orders["item_code"]])
        table = self._table(
            rows.rows[places], orders["operation_code"].to_list(), orders["resource_code"].to_list(),
            orders["quantity"].to_numpy().astype(np.float64),
        )  # fmt: skip
        width = table.shape[1]
        self._categorical = [*rows.categorical, width - 3, width - 2]
        logs = np.log(np.maximum(orders["minutes"].to_numpy(), 0.0) + TIME_OFFSET)
        judged = rows.judging[places]
        settings = tuned(lambda given: self._loss(table, logs, judged, given))
        self._grown = [grow_quantile(table, logs, self._categorical, settings, level) for level in LEVELS]

    def _table(self, rows: Rows, operations: Sequence[str], centres: Sequence[str | None], quantity: Floats) -> Rows:
        own = np.stack(
            [
                np.array([self._operations.get(code, np.nan) for code in operations]),
                np.array([self._resources.get(code or "", np.nan) for code in centres]),
                np.log(quantity),
            ],
            axis=1,
        )  # fmt: skip
        return np.hstack([rows, own.astype(np.float32)])

    def _loss(self, table: Rows, logs: Floats, judged: Flags, settings: Settings) -> float:
        """Return the pinball loss over the three quantiles."""
        total = 0.0
        for level in LEVELS:
            grown = grow_quantile(table[~judged], logs[~judged], self._categorical, settings, level)
            error = logs[judged] - grown.predict(table[judged])
            total += float(np.maximum(level * error, (level - 1) * error).sum())
        return total

    def minutes(self, asked: Asked) -> Times:
        """Return the quantiles of each asked order's minutes, on the work centre that the classifier expects."""
        rows = self._rows.of(asked.items)
        labels = [tuple({step.label: None for step in steps}) for steps in asked.actual]
        for item, label in zip(asked.order_item.tolist(), asked.order_label, strict=True):
            if label not in labels[item]:
                labels[item] = (*labels[item], label)
        centres = [{step.label: step.resource for step in found} for found in self._centres.steps(labels, rows)]
        expected = [
            centres[item][label] for item, label in zip(asked.order_item.tolist(), asked.order_label, strict=True)
        ]
        table = self._table(rows[asked.order_item], [code for code, _ in asked.order_label], expected, asked.quantity)
        found = np.sort(np.stack([each.predict(table) for each in self._grown], axis=1), axis=1)
        low, value, high = np.maximum(np.exp(found) - TIME_OFFSET, 0.0).T
        return Times(value=value, low=low, high=high)
