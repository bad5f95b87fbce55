"""The watch over activations that no person made: the first quality cycle that can compare judges them.

It asks the version before on the same sample; where the new one turns out worse by the rule of a refit, the old one
serves again. Transition, event, verdict and alert are one transaction, and a verdict is given once, so however often a
message comes and whoever dies, it happens once. What a person activated is never touched.
"""

from typing import TYPE_CHECKING, Any

import structlog
from sqlmodel import Session

from shared.database.alerts import Alerts
from shared.database.models import ModelVersions
from shared.database.tables import ModelEvent, ModelVersion, VersionState
from shared.errors import Conflict, RoutingError
from shared.quality.evaluate import evaluate
from shared.quality.judging import Judgement
from shared.quality.measured import MeasuredCycle
from shared.registry.signing import Keys
from shared.registry.store import ModelStore
from shared.registry.verify import verify_folder
from shared.settings import Settings
from shared.training.activation import ACTOR, brief

if TYPE_CHECKING:
    from shared.training.compare import Comparison

ROLLED_BACK = "rolled-back"
WATCH = "watch"  # the verdict's key in the activation's details and in a cycle's metrics

log = structlog.get_logger()


class ActivationWatch:
    """Judges activations of `AutoActivation` by the first quality cycle that can; a hook of the cycles."""

    def __init__(self, *, settings: Settings, versions: ModelVersions, alerts: Alerts, keys: Keys) -> None:
        """Read the version before from the folder of installed versions that `settings` name."""
        self._settings = settings
        self._versions = versions
        self._alerts = alerts
        self._keys = keys
        self._store = ModelStore(settings.models)

    def __call__(self, measured: MeasuredCycle, _judgement: Judgement) -> dict[str, Any]:
        """Return the verdict as `{"watch": ...}`, or nothing where no activation is watched."""
        cycle_id = measured.row.id
        activation = self._versions.activation_in_force()
        for event in (activation, self._versions.last_activation_by(ACTOR)):
            verdict = (event.details or {}).get(WATCH) if event is not None else None
            if verdict is not None and verdict["cycle_id"] == cycle_id:
                return {WATCH: verdict}  # this cycle judged it before its worker died
        if not _is_watched(activation, measured.served.version):
            return {}
        assert activation is not None
        try:
            verdict = self._judge(activation, measured)
        except RoutingError as error:  # a cycle's own figures stand, whatever becomes of the comparison
            log.warning("training.watch_failed", model_version=activation.version, error=str(error))
            verdict = _verdict(measured, activation, None, "undecided", f"It could not be judged yet: {error.detail}")
        log.info("training.watched", cycle_id=cycle_id, model_version=activation.version, outcome=verdict["outcome"])
        return {WATCH: verdict}

    def _judge(self, activation: ModelEvent, measured: MeasuredCycle) -> dict[str, Any]:
        from shared.training.compare import MINIMUM_ITEMS  # its statistics take long to import

        before = self._versions.previous()
        if before is None:
            return _verdict(measured, activation, None, "undecided", "No earlier version is installed to compare with.")
        comparison = self._compare(before.version, measured)
        if comparison.items < MINIMUM_ITEMS or comparison.trim_mae_change.value is None:
            few = f"Only {comparison.items} items could be compared with {before.version}; the next cycle tries again."
            return _verdict(measured, activation, comparison, "undecided", few)
        if comparison.promoted:
            kept = f"{activation.version} stays: on the same sample as {before.version} it is {comparison.reason}."
            verdict = _verdict(measured, activation, comparison, "kept", kept)
            return verdict if self._versions.complete_event(activation, {WATCH: verdict}) else _overtaken(verdict)
        worse = f"Back to {before.version}: on the same sample {activation.version} is {comparison.reason}."
        return self._roll_back(
            activation, before.version, _verdict(measured, activation, comparison, "rolled back", worse)
        )

    def _compare(self, before: str, measured: MeasuredCycle) -> "Comparison":
        from shared.training.compare import Rules, compare
        from shared.training.questions import drawings_of

        folder = self._store.require(before)
        model = verify_folder(folder, self._keys, allow_unsigned=self._settings.allow_unsigned).model
        old = evaluate(model, measured.actuals, measured.drawn.weights)
        training = measured.configuration.training
        rules = Rules(
            refit_margin=training.refit_margin,
            challenger_gain=training.challenger_gain,
            trim_share=measured.configuration.quality.trim_share,
        )
        drawings = drawings_of(measured.snapshot, list(measured.actuals))
        return compare("refit", old, measured.evaluation, rules, drawings=drawings)

    def _roll_back(self, activation: ModelEvent, to: str, verdict: dict[str, Any]) -> dict[str, Any]:
        def also(session: Session, _active: ModelVersion) -> None:
            same = self._versions.is_in_force(session, activation)
            if not same or not self._versions.complete_event_in(session, activation, {WATCH: verdict}):
                raise Conflict(f"The activation of {activation.version} was dealt with meanwhile.")
            self._alerts.raise_in(
                session, ROLLED_BACK, activation.version, verdict["reason"], severity="critical",
                details={"cycle_id": verdict["cycle_id"], "back_to": to} | verdict,
            )  # fmt: skip

        try:
            self._versions.transition(
                to, VersionState.ACTIVE, actor=ACTOR, reason=verdict["reason"][:2000],
                expected_active=activation.version, details={WATCH: verdict}, also=also,
            )  # fmt: skip
        except Conflict as overtaken:
            log.info("training.watch_overtaken", model_version=activation.version, reason=str(overtaken))
            return _overtaken(verdict)
        return verdict


def _is_watched(activation: ModelEvent | None, served: str) -> bool:
    return (
        activation is not None
        and activation.version == served
        and activation.actor == ACTOR
        and WATCH not in (activation.details or {})
    )


def _verdict(
    measured: MeasuredCycle, activation: ModelEvent, comparison: "Comparison | None", outcome: str, reason: str
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "reason": reason,
        "cycle_id": measured.row.id,
        "model_version": activation.version,
        "comparison": None if comparison is None else brief(comparison.as_json()),
    }


def _overtaken(verdict: dict[str, Any]) -> dict[str, Any]:
    said = "Nothing was done: somebody else dealt with the activation in the meantime."
    return verdict | {"outcome": "overtaken", "reason": f"{verdict['reason']} {said}"}
