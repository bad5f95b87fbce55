"""Minutes of operations: fitted figures, and how they become estimates for a batch of items."""

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.estimates import Estimates, each_view
from shared.prediction.minutes.forms.asks import Asks, Form
from shared.prediction.minutes.forms.known import form_from_state
from shared.prediction.minutes.groups import GroupFactors
from shared.prediction.minutes.observations import Observations, log_minutes
from shared.prediction.minutes.orders import LEAST_COMPARED
from shared.prediction.minutes.sample import Singles
from shared.prediction.minutes.scatter import SPREAD
from shared.prediction.nearby import Nearby

Flags = npt.NDArray[np.bool_]

LEAST_VARIANCE = 1e-4
_FAR_OFF = 2.5  # spreads by which an own order may differ before it is drawn in; orders that agree, so many times that
_PARTS = np.arange(2)  # setup and run


@dataclass(frozen=True, kw_only=True)
class MinutesModel:
    """The fitted figures; the first axis of each array is the view, the last (where 2) is setup, run.

    Logarithms of minutes are as its form expects them; near items pull by how they differed from what was expected of
    them, as far as that was measured to help; the item's own orders and plan count by their precision.
    """

    form: Form
    by_results: Flags  # (tasks,) whether results, not planned times, were learned from
    idle: Floats  # (views, tasks) share of orders without setup
    prior: Floats  # (views, tasks, 2) variance between items about what is expected
    within: Floats  # (views, tasks, 2) variance between orders of an item
    between: Floats  # (views, 2, 2) variance between near items: constant, and per unit of dissimilarity
    pull: Floats  # (views, 2) how far near items are followed
    planned_bias: Floats  # (views, tasks, 2) mean logarithm of actual over planned
    planned_variance: Floats  # (views, tasks, 2)
    typical: Floats  # (views, 2) logarithms of an operation never seen
    typical_variance: Floats  # (views, 2)
    residuals: Singles  # (views, rows, 2) how known rows differed from a form that had not seen them; nan unknown
    groups: tuple[GroupFactors, ...]  # one a view
    scores: Floats  # (views, 3, 2) 10 % and 90 % scores of setup, run, order

    def state(self) -> dict[str, Any]:
        """Return plain arrays, in dictionaries and lists."""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "form"}
        groups = [groups.state() for groups in self.groups]
        return plain | {"groups": groups, "kind": self.form.kind} | self.form.state()

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "MinutesModel":
        """Return what `state` was made of."""
        made: dict[str, Any] = {
            "form": form_from_state(state),
            "groups": tuple(GroupFactors.from_state(groups) for groups in state["groups"]),
        }
        plain = {field.name: state[field.name] for field in fields(cls) if field.name not in made}
        return cls(**plain, **made)

    def estimate(
        self, seen: Observations, near: Nearby, views: Ints, vectors: Singles, rows: Singles, asked: Ints, task: Ints,
        resource: Ints, plan: Floats, own_row: Ints,
    ) -> Estimates:  # fmt: skip
        """Estimate the minutes of requests, each for a task of an item of the batch.

        Args:
            seen: what is known of every routing row.
            near: the items near each item of the batch.
            views: (batch,) the view that answers for it.
            vectors: (batch, size) the items' vectors.
            rows: (batch, features) the items' features.
            asked: (n,) which item of the batch.
            task: (n,) -1 for an operation never seen.
            resource: (n,) work centre, -1 unknown.
            plan: (n, 2) the item's own planned setup and run minutes of a piece, nan unknown.
            own_row: (n,) the item's own routing row whose results may be used, else -1.
        """
        view, place = views.take(asked), np.maximum(task, 0)
        cell = view * len(self.by_results) + place
        figures = self._figures.take(cell, axis=0)
        prior, within, idle = figures[:, 0:2], figures[:, 2:4], figures[:, 4]
        asks = Asks(
            vectors=vectors, rows=rows, asked=asked, task=task, resource=resource, view=view, near=near, seen=seen,
            own_row=own_row,
        )  # fmt: skip
        logs = self.form.expected(asks)
        known = (task >= 0) & (logs[:, 1] == logs[:, 1])  # nan is no number to itself
        no_setup = (logs[:, 0] != logs[:, 0]).nonzero()[0]
        pulled = self._pulled(seen, near, view, asked, np.where(known, task, -1), own_row, within)
        gain = self.pull.take(view, axis=0) * pulled.weight
        gain /= pulled.weight + 1.0 / prior
        logs += gain * pulled.mean
        planned = log_minutes(plan) if not np.isnan(plan).all() else plan
        logs, variance = self._own(seen, view, place, logs, prior * (1.0 - gain), planned, own_row)
        idle[no_setup], logs[no_setup, 0] = 1.0, 0.0
        if not known.all():
            self._unseen(~known, view, planned, plan, logs, variance, idle, within)
        return Estimates.of(
            logs=logs, spread=SPREAD * np.sqrt(variance + within), idle=idle,
            factor=self._factors(views, rows).take(asked), view=view, seen=seen, groups=self.groups,
            scores=self.scores.take(view, axis=0), used=self._used(seen, place, known, own_row, pulled),
        )  # fmt: skip

    @cached_property
    def _figures(self) -> Floats:
        """Return what every request reads of its view and task, side by side (views x tasks, 5)."""
        return np.concatenate([self.prior, self.within, self.idle[:, :, None]], axis=2).reshape(-1, 5)

    @cached_property
    def _off(self) -> Singles:
        return self.residuals.reshape(-1, 2)

    def _factors(self, views: Ints, rows: Singles) -> Floats:
        """Return the factors of the items' groups on their spread."""
        found = np.empty(len(views))
        for one, mine in each_view(views):
            found[mine] = self.groups[one].of_items(rows[mine])
        return found

    def _pulled(
        self, seen: Observations, near: Nearby, view: Ints, asked: Ints, task: Ints, own_row: Ints, within: Floats
    ) -> "_Pulled":
        """Return the rows of near items and what they say together, where it was measured to help."""
        found, count = near.matching(asked, task), len(asked)
        # `take` gathers in a fraction of the time that an index needs
        off = self._off.take((view * self.residuals.shape[1]).take(found.request) + found.row, axis=0)
        kept = ((found.row != own_row.take(found.request)) & (off[:, 1] == off[:, 1])).nonzero()[0]
        request, row, off = found.request.take(kept), found.row.take(kept), off.take(kept, axis=0)
        similarity = near.similarities.take(found.member.take(kept))
        learned, line = self.by_results.take(task).take(request), self.between.take(view, axis=0).take(request, axis=0)
        recent = np.where(learned[:, None], seen.recent.take(row, axis=0), 1.0)
        said = (recent > 0) & (off == off)
        between = line[:, 0] + line[:, 1] * (1.0 - similarity)[:, None]
        noise = within.take(request, axis=0) / np.where(said, recent, 1.0)
        each = np.where(said, 1.0 / (between + noise), 0.0)
        cell = ((request * 2)[:, None] + _PARTS).ravel()
        weight = np.asarray(np.bincount(cell, each.ravel(), count * 2), dtype=np.float64)
        mean = np.bincount(cell, (each * np.where(said, off, 0.0)).ravel(), count * 2) / np.maximum(weight, 1e-300)
        return _Pulled(
            request=request, row=row, similarity=similarity, each=each[:, 1], weight=weight.reshape(count, 2),
            mean=mean.reshape(count, 2),
        )  # fmt: skip

    def _own(
        self, seen: Observations, view: Ints, task: Ints, logs: Floats, variance: Floats, planned: Floats, own_row: Ints
    ) -> tuple[Floats, Floats]:
        """Return logarithms and variances with the item's own results and plan weighed in."""
        if np.isnan(planned).all() and (own_row < 0).all():
            return logs, variance
        by_results = self.by_results[task][:, None]
        precision = 1.0 / np.maximum(variance, LEAST_VARIANCE)
        total, pull = precision, np.zeros_like(logs)
        has = ~np.isnan(planned)
        if has.any():
            spread = np.where(by_results, self.planned_variance[view, task], LEAST_VARIANCE)
            shifted = planned + np.where(by_results, self.planned_bias[view, task], 0.0)
            weight = np.where(has, 1.0 / spread, 0.0)
            pull, total = pull + np.where(has, weight * (shifted - logs), 0.0), total + weight
        mine = np.maximum(own_row, 0)
        results = np.where((own_row >= 0)[:, None] & by_results, seen.results[mine], np.nan)
        has = ~np.isnan(results)
        if has.any():
            within = self.within[view, task] / np.maximum(seen.recent[mine], 1e-3)
            orders = seen.orders[mine]
            agreeing = np.where(orders < LEAST_COMPARED, 1, orders)[:, None]
            most = _FAR_OFF * np.sqrt(variance + within) * agreeing
            off = np.clip(np.where(has, results, logs) - logs, -most, most)
            weight = np.where(has, 1.0 / within, 0.0)
            pull, total = pull + weight * off, total + weight
        return logs + pull / total, np.where(total > precision, 1.0 / total, variance)

    def _unseen(
        self, rare: Flags, view: Ints, planned: Floats, plan: Floats, logs: Floats, variance: Floats, idle: Floats,
        within: Floats,
    ) -> None:  # fmt: skip
        """Fill in operations never seen: as planned, or as most operations take; as uncertain as plans turn out."""
        at = view[rare]
        learned = self.by_results if self.by_results.any() else np.ones_like(self.by_results)
        error = (self.planned_bias**2 + self.planned_variance)[at][:, learned].mean(axis=1)
        without = np.isnan(planned[rare])
        logs[rare] = np.where(without, self.typical[at], planned[rare])
        variance[rare] = np.where(without, self.typical_variance[at], error)
        within[rare] = self.within[at][:, learned].mean(axis=1)
        idle[rare] = np.where(without[:, 0] & ~np.isnan(plan[rare, 0]), 1.0, 0.0)

    def _used(self, seen: Observations, task: Ints, known: Flags, own_row: Ints, pulled: "_Pulled") -> "_Pulled":
        """Return which rows' results were used: the item's own first, then near items'."""
        request, row, learned = pulled.request, pulled.row, self.by_results.take(task)
        kept = (learned.take(request) & (seen.orders.take(row) > 0)).nonzero()[0]
        used = _Pulled(
            request=request.take(kept), row=row.take(kept), similarity=pulled.similarity.take(kept),
            each=pulled.each.take(kept), weight=pulled.weight, mean=pulled.mean,
        )  # fmt: skip
        own = (known & learned & (own_row >= 0)).nonzero()[0]
        own = own[seen.orders[own_row[own]] > 0]
        if not len(own):
            return used
        strongest = np.maximum(seen.recent[own_row[own], 1], 1e-3) / self.within[-1, task[own], 1]
        return replace(
            used, request=np.concatenate([own, used.request]), row=np.concatenate([own_row[own], used.row]),
            similarity=np.concatenate([np.ones(len(own)), used.similarity]),
            each=np.concatenate([strongest, used.each]),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Pulled:
    """Rows that speak for requests, and what they say together."""

    request: Ints
    row: Ints
    similarity: Floats
    each: Floats  # weight of each row for the run
    weight: Floats  # (n, 2)
    mean: Floats  # (n, 2), 0 without any
