"""The live configuration: one validated document that may change while the product runs.

Its defaults stand in `config/routing.yaml`; the value in force is the newest row of `configuration_versions`
(`shared.database.configuration`). What is fixed for a process is in `shared/settings.py` instead.
"""

from functools import cache
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

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

    @field_validator("medium_probability")
    @classmethod
    def _tiers_in_order(cls, medium: float, checked: ValidationInfo) -> float:
        if medium > checked.data.get("high_probability", 1.0):
            raise ValueError("medium_probability must not exceed high_probability")
        return medium


class QualityConfiguration(_Section):
    """How the product checks itself, and when the figures are bad."""

    sample_size: int = Field(ge=10, le=10_000, description="items that a cycle judges")
    strategy: Literal["random", "stratified", "recent", "error_seeking"] = Field(
        description="which items are chosen: any, evenly from all strata, rather recent ones, or rather those that "
        "were wrong before"
    )
    strata: list[Annotated[str, Field(max_length=200)]] = Field(
        max_length=10, description="attributes that a stratified sample is spread over; empty: the family's"
    )
    recent_half_life_days: float = Field(ge=1, le=36_500, description="of a recent sample: an item's favour halves so")
    seed: Seed = Field(description="what each cycle's own seed is derived from")
    trim_share: float = Field(ge=0, lt=0.5, description="share of errors left out at each end of the trimmed MAE")
    minimum_samples: int = Field(ge=3, le=10_000, description="orders an operation needs before its actuals count")
    maximum_mae_minutes: float = Field(
        ge=0.1, le=100, description="mean absolute error per order and operation above which a cycle may raise an alarm"
    )
    maximum_cv: float = Field(
        ge=0.01, le=1, description="spread of an operation's booked minutes a piece (sd over mean) that is still good"
    )
    minimum_process_match: Share = Field(description="share of an actual routing's operations that must be predicted")
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

    hidden_layers: list[Annotated[int, Field(ge=1, le=1_024)]] = Field(
        min_length=1, max_length=5, description="neurons of each hidden layer"
    )
    alpha: float = Field(ge=0, le=10, description="L2 penalty")
    learning_rate: float = Field(gt=0, le=1, description="first step length of the optimiser (Adam)")
    iterations: int = Field(ge=1, le=10_000, description="at most so many passes over the data")


class StackingConfiguration(_Section):
    """The stacking of near items, a random forest and a perceptron."""

    final: Literal["ridge", "elastic_net"] = Field(description="what weighs the three learners' answers")
    trees: int = Field(ge=1, le=1_000, description="trees of the random forest")
    depth: int = Field(ge=1, le=30, description="levels of a tree at most")
    neighbours: int = Field(ge=1, le=100, description="near items that are averaged")


class TuningConfiguration(_Section):
    """The search for a trainer's parameters."""

    trials: int = Field(ge=0, le=200, description="sets of parameters that are tried; 0: off")
    budget_seconds: float = Field(gt=0, le=86_400, description="no trial begins after this")


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
    seed: Seed = Field(description="of all that is drawn in a training")


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


_UNITS = {"_minutes": "min", "_seconds": "s", "_hours": "h", "_days": "d"}  # by the end of a field's name


@cache
def configuration_schema() -> dict[str, Any]:
    """Return the document's JSON schema without references: ranges, descriptions, and `unit` where there is one."""
    schema = Configuration.model_json_schema()
    whole = _resolved(schema, schema.pop("$defs"))
    assert isinstance(whole, dict)
    return whole


def _resolved(part: Any, definitions: dict[str, Any], name: str = "") -> Any:
    """Return a part of a schema with its references replaced; `name` is that of the field it describes."""
    if isinstance(part, list):
        return [_resolved(each, definitions) for each in part]
    if not isinstance(part, dict):
        return part
    own = {key: value for key, value in part.items() if key not in ("$ref", "properties")}
    referred = definitions[part["$ref"].rpartition("/")[2]] if "$ref" in part else {}
    found = (_resolved(referred, definitions) if referred else {}) | {
        key: _resolved(value, definitions) for key, value in own.items()
    }
    if "properties" in part:
        found["properties"] = {
            field: _resolved(value, definitions, field) for field, value in part["properties"].items()
        }
    unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), None)
    return found | ({"unit": unit} if unit else {})
