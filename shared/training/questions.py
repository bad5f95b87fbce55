"""The items that models are judged by: the same ones for the same snapshot and configuration."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from shared.configuration import Configuration
from shared.erp.snapshot import Snapshot
from shared.prediction.memory import sister_keys
from shared.quality.actuals import ItemActuals, collect_actuals, family_attributes
from shared.quality.population import eligible_items, later_than
from shared.quality.sampling import draw_sample

UNSEEN_ITEMS = 100  # so many items with orders after the active model's data suffice to judge by those alone


@dataclass(frozen=True, kw_only=True)
class Questions:
    """Items to judge models by, what happened to them, and how to weigh them."""

    weights: Mapping[str, float]
    actuals: Mapping[str, ItemActuals]
    drawings: Mapping[str, str]  # item -> what its sisters share with it
    reported_after: date | None = None  # only orders later than this count; None: all of them


def choose_questions(
    snapshot: Snapshot,
    configuration: Configuration,
    exclude_items: Collection[str] = (),
    *,
    unseen_after: date | None = None,
) -> Questions:
    """Choose the items to judge by, stratified by family: the same ones for the same snapshot and configuration.

    With `unseen_after`, the active model's data cut-off, only orders reported later count, where enough items have
    some: they tell which model fits the factory as it is now. After a change of the factory the older ones would
    speak for the model that learned from them.
    """
    population = eligible_items(snapshot, family_attributes(snapshot))
    population = population.filter(~population["item_code"].is_in(sorted(exclude_items)))
    settings = configuration.training
    unseen = later_than(population, unseen_after)
    enough = unseen_after is not None and unseen.height >= min(UNSEEN_ITEMS, settings.evaluation_items)
    population = unseen if enough else population
    sample = draw_sample(population, strategy="stratified", size=settings.evaluation_items, seed=settings.seed)
    return Questions(
        weights=dict(zip(sample.item_codes, sample.weights, strict=True)),
        actuals=collect_actuals(snapshot, sample.item_codes, reported_after=unseen_after if enough else None),
        reported_after=unseen_after if enough else None,
        drawings=drawings_of(snapshot, sample.item_codes),
    )


def drawings_of(snapshot: Snapshot, item_codes: Sequence[str]) -> dict[str, str]:
    """Return what each item shares with its sisters; an item without a drawing has only itself."""
    items = snapshot.query("items", lambda rows: rows.filter(pl.col("item_code").is_in(list(item_codes))))
    return dict(zip(items["item_code"], sister_keys(items, snapshot.attributes), strict=True))


def halves(questions: Questions) -> tuple[dict[str, float], dict[str, float]]:
    """Split the questions so that no drawing is in both halves."""
    split: tuple[dict[str, float], dict[str, float]] = ({}, {})
    place = {key: number % 2 for number, key in enumerate(sorted(set(questions.drawings.values())))}
    for code, weight in questions.weights.items():
        split[place[questions.drawings[code]]][code] = weight
    return split
