"""The baseline: what near items took; only how far to trust them is chosen."""

from dataclasses import dataclass

import numpy as np

from shared.prediction.memory import Floats, Ints
from shared.prediction.minutes.fitting import FittedForm
from shared.prediction.minutes.forms.asks import Asks
from shared.prediction.minutes.forms.near import NeighboursForm, weighted_means
from shared.prediction.minutes.sample import Sample
from shared.prediction.nearby import ranges
from shared.training.trainers.bases import Working
from shared.training.trainers.material import Material

_SCALES = (0.01, 0.03, 0.1, 0.3)
_PULLS = (0.1, 0.3, 1.0, 3.0)


def fit_neighbours(material: Material, working: Working) -> FittedForm:
    """Choose, for every view, how fast near items' say falls and how many of them outweigh the usual minutes.

    The least weighted sum of absolute errors over the withheld items decides, their sisters left out of the near ones.
    """
    asked = _Withheld.of(material)
    views = material.lessons.views
    scale, pull = np.empty((views.count, 2)), np.empty((views.count, 2))
    errors = np.full((views.count, len(asked.sample.row), 2), np.nan, dtype=np.float32)
    for view in range(views.count):
        working.check()
        working.tell((view + 1) / views.count, f"neighbours, view {view + 1} of {views.count}")
        scale[view], pull[view], errors[view] = _chosen(material, asked, view)
    form = NeighboursForm(usual=material.usual_by_view(), rows=material.near_rows(), scale=scale, pull=pull)
    return FittedForm(form=form, sample=asked.sample, errors=errors, calm=None)


@dataclass(frozen=True, kw_only=True)
class _Withheld:
    """The operations of the withheld items whose minutes are known."""

    sample: Sample
    asked: Ints  # which of the withheld items

    @classmethod
    def of(cls, material: Material) -> "_Withheld":
        lessons = material.lessons
        offsets, places = lessons.known.routings.offsets, lessons.places
        sizes = offsets[places + 1] - offsets[places]
        rows, asked = ranges(offsets[places], sizes), np.repeat(np.arange(len(places)), sizes)
        known = ~np.isnan(lessons.target[rows, 1])
        return cls(sample=lessons.sample(rows[known], rows[:0]), asked=asked[known])


def _chosen(material: Material, withheld: _Withheld, view: int) -> tuple[Floats, Floats, Floats]:
    """Return a view's scale (2,) and pull (2,), and the errors (sample, 2) under them."""
    lessons, sample = material.lessons, withheld.sample
    usual, rows = material.usual_by_view(), material.near_rows()
    mine = np.flatnonzero(lessons.views.outside_parts(view)[sample.part])
    none = np.zeros((0, 0), dtype=np.float32)
    asks = Asks(
        vectors=none, rows=none, asked=withheld.asked[mine], task=sample.task[mine], resource=sample.resource[mine],
        view=np.full(len(mine), view), near=lessons.near, seen=lessons.known.seen,
    )  # fmt: skip
    request, row, similarity, off = rows.said(asks, usual)
    trust = np.where(np.isnan(off), 0.0, rows.trust(asks, request, row))
    above = sample.target[mine] - usual.levels(asks)[0]
    weight = sample.weight[mine]
    best: list[tuple[float, float, float, Floats]] = [(np.inf, _SCALES[0], _PULLS[0], above[:, out]) for out in (0, 1)]
    for scale in _SCALES:
        each = trust * np.exp((similarity[:, None] - 1.0) / scale)
        for pull in _PULLS:
            left = above - weighted_means(request, each, np.nan_to_num(off), np.full((len(mine), 2), pull))
            for out in range(2):
                lost = float(np.nansum(weight[:, out] * np.abs(left[:, out])))
                if lost < best[out][0]:
                    best[out] = (lost, scale, pull, left[:, out])
    errors = np.full((len(sample.row), 2), np.nan)
    errors[mine] = np.stack([best[out][3] for out in range(2)], axis=1)
    return np.array([one[1] for one in best]), np.array([one[2] for one in best]), errors
