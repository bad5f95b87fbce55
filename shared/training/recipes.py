"""What is fitted: the configured recipe, or one of a few variations of it that challenge the active model.

A challenger here is the same kind of model with other settings of its neighbourhood and memory, chosen by asking
for items as if unknown. It is no other learning method.
"""

from dataclasses import dataclass

from shared.configuration import Configuration


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A named configuration to fit with."""

    name: str
    configuration: Configuration


def refit_recipe(configuration: Configuration) -> Recipe:
    """Return the recipe as configured."""
    return Recipe(name="as configured", configuration=configuration)


def challenger_recipes(configuration: Configuration) -> tuple[Recipe, ...]:
    """Return the variations: fewer or more neighbours, each with a shorter or longer memory for work results."""
    prediction = configuration.prediction
    fewer, more = max(5, prediction.neighbours // 2), min(500, prediction.neighbours * 2)
    short, long = prediction.recency_half_life_days / 2, prediction.recency_half_life_days * 2
    variations = (
        ("fewer neighbours, shorter memory", fewer, short),
        ("fewer neighbours, longer memory", fewer, long),
        ("more neighbours, shorter memory", more, short),
        ("more neighbours, longer memory", more, long),
    )
    return tuple(
        Recipe(
            name=name,
            configuration=configuration.model_copy(
                update={
                    "prediction": prediction.model_copy(
                        update={"neighbours": neighbours, "recency_half_life_days": half_life_days}
                    )
                }
            ),
        )
        for name, neighbours, half_life_days in variations
    )
