"""The live configuration: one validated document that may change while the product runs.

Its defaults stand in `config/routing.yaml`; the value in force is the newest row of `configuration_versions`
(`shared.database.configuration`). What is fixed for a process is in `shared/settings.py` instead.
"""

from functools import cache
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.settings import PROJECT_DIR

DEFAULTS_FILE = PROJECT_DIR / "config" / "routing.yaml"

Share = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]


class _Section(BaseModel):
    # JSON has no word for infinity: a document that holds one could be stored and never be read again.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PredictionConfiguration(_Section):
    """How neighbours become candidates."""

    neighbours: int = Field(ge=1, le=500, description="items with a routing that are looked at")
    minimum_similarity: Share = Field(
        description="below this nothing counts as near, and the answer abstains; measured limits may lie higher"
    )
    high_probability: Share = Field(description="from here a candidate is tier high")
    medium_probability: Share = Field(description="from here a candidate is tier medium")
    time_profile: Literal["quantiles", "z_score", "trimmed", "sigma"] = Field(
        description="what optimistic and safe minutes are: ends of the 80 % interval, or a mean less 0.67 and plus "
        "1.28 standard deviations: of all orders (z_score), of those left (trimmed), or of the estimate (sigma)"
    )
    trim_share: float = Field(ge=0, lt=0.5, description="share of work results left out at each end")
    recency_half_life_days: float = Field(ge=1, le=36_500, description="a work result this old counts half")
    feature_weights: dict[Annotated[str, Field(max_length=200)], Annotated[float, Field(ge=0, le=4)]] = Field(
        max_length=1_000,
        description="attribute to weight; overrides the profile's weight, at once and when the next model is fitted",
    )

    @model_validator(mode="after")
    def _tiers_in_order(self) -> "PredictionConfiguration":
        if self.medium_probability > self.high_probability:
            raise ValueError("medium_probability must not exceed high_probability")
        return self


class QualityConfiguration(_Section):
    """How the product checks itself, and when the figures are bad."""

    sample_size: int = Field(ge=10, le=10_000)
    strategy: Literal["random", "stratified", "recent", "error_seeking"]
    strata: list[Annotated[str, Field(max_length=200)]] = Field(
        max_length=10, description="attributes that a stratified sample is spread over; empty: the family's"
    )
    recent_half_life_days: float = Field(ge=1, le=36_500, description="of a recent sample: an item's favour halves so")
    seed: Seed = Field(description="what each cycle's own seed is derived from")
    trim_share: float = Field(ge=0, lt=0.5)
    minimum_samples: int = Field(ge=3, le=10_000, description="orders an operation needs before its actuals count")
    maximum_mae_minutes: float = Field(ge=0.1, le=100, description="per order and operation")
    maximum_cv: float = Field(ge=0.01, le=1)
    minimum_process_match: Share
    keep_cycles: int = Field(ge=1, le=10_000, description="newest cycles whose reports are kept; figures stay")
    keep_prediction_days: int = Field(ge=30, le=36_500, description="recorded predictions older than this are removed")


class AlarmsConfiguration(_Section):
    """How sure the product is before it wakes somebody, and what it does then."""

    false_alarm_rate: float = Field(
        ge=0.001, le=0.5, description="chance of any false alarm in the factory's life: all metrics, families, versions"
    )
    retraining: Literal["challenger", "refit", "none"] = Field(description="the job that an alarm asks for")


class MlpConfiguration(_Section):
    """The multi-layer perceptron among the trainers."""

    hidden_layers: list[Annotated[int, Field(ge=1, le=1_024)]] = Field(min_length=1, max_length=5)
    alpha: float = Field(ge=0, le=10, description="L2 penalty")
    learning_rate: float = Field(gt=0, le=1)
    iterations: int = Field(ge=1, le=10_000, description="at most so many passes over the data")


class StackingConfiguration(_Section):
    """The stacking of near items, a random forest and a perceptron."""

    final: Literal["ridge", "elastic_net"]
    trees: int = Field(ge=1, le=1_000)
    depth: int = Field(ge=1, le=30)
    neighbours: int = Field(ge=1, le=100)


class TuningConfiguration(_Section):
    """The search for a trainer's parameters."""

    trials: int = Field(ge=0, le=200, description="0: off")
    budget_seconds: float = Field(gt=0, le=86_400)


class TrainingConfiguration(_Section):
    """When and how new models are made."""

    queue_limit: int = Field(ge=1, le=20, description="jobs waiting at once")
    cooldown_minutes: float = Field(ge=0, le=525_600, description="rest between two jobs started by an alarm")
    refit_margin: Share = Field(description="how much worse a refit may be and still be registered")
    challenger_gain: Share = Field(description="how much better a challenger must be")
    evaluation_items: int = Field(
        ge=20,
        le=10_000,
        description="withheld items on which two models are compared; a challenger is chosen by one half of them and "
        "proves itself by the other",
    )
    maximum_slowdown: float = Field(
        ge=1, le=10, description="a challenger may take so many times the active model's time for one answer"
    )
    auto_activate: bool = Field(description="a registered version serves at once, and goes back if it turns out worse")
    keep_jobs: int = Field(ge=1, le=10_000, description="ended jobs whose rows and log lines are kept")
    cores: int = Field(ge=0, le=256, description="cores that trainers may use; 0: all but one")
    trainers: list[Literal["neighbours", "mlp", "stacking"]] = Field(
        max_length=3, description="learners of the minutes that a challenger job tries beside the fresh refit"
    )
    mlp: MlpConfiguration
    stacking: StackingConfiguration
    tuning: TuningConfiguration
    seed: Seed


class ModelsConfiguration(_Section):
    """How many installed versions are kept."""

    keep: int = Field(ge=0, le=1_000, description="versions beside the active, the previous and pinned ones")


class DataConfiguration(_Section):
    """When the factory's data is too old, or has become too bad, to say nothing."""

    maximum_age_hours: float = Field(ge=1, le=8_760, description="a newest snapshot older than this raises an alert")
    maximum_drop: Share = Field(
        description="an attribute's completeness, a coverage or a table's rows may lose this much from one snapshot to "
        "the next: a share of the whole, for rows of their number",
    )


class Configuration(_Section):
    """The whole document."""

    prediction: PredictionConfiguration
    quality: QualityConfiguration
    alarms: AlarmsConfiguration
    training: TrainingConfiguration
    models: ModelsConfiguration
    data: DataConfiguration


@cache
def default_configuration() -> Configuration:
    """Return the shipped defaults."""
    return Configuration.model_validate(yaml.safe_load(DEFAULTS_FILE.read_text(encoding="utf-8")))
