"""Activation without a person, where the configuration allows it, and the watch over what came of it.

A version that a job registered may serve at once when it was compared with the version that is still active. The first
quality cycle that can compare then asks the version before it too, on the same sample: where the new one turns out
worse by the rule of a refit, the old one serves again. Both steps are one transaction each, with the event, the verdict
and the alert in it, so however often a message comes and whoever dies, each happens once. What a person activated is
never touched.
"""

from collections.abc import Mapping
from typing import Any

import structlog
from sqlmodel import Session

from shared.clock import Clock, utc_now
from shared.database.alerts import Alerts
from shared.database.configuration import ConfigurationStore
from shared.database.models import ModelVersions
from shared.database.tables import ModelEvent, ModelVersion, VersionState
from shared.errors import Conflict, NotFound, PackageRejected, RoutingError
from shared.quality.evaluate import evaluate
from shared.quality.measured import MeasuredCycle
from shared.registry.lifecycle import Lifecycle
from shared.registry.signing import Keys
from shared.registry.store import ModelStore
from shared.registry.verify import verify_folder
from shared.settings import Settings
from shared.training.compare import MINIMUM_ITEMS, Comparison, Rules, compare
from shared.training.making import drawings_of

ACTOR = "auto-activation"
ROLLED_BACK = "rolled-back"
WATCH = "watch"  # the verdict's key in the activation's details and in a cycle's metrics

log = structlog.get_logger()


class AutoActivation:
    """Lets a job's version serve where the configuration says so."""

    def __init__(self, lifecycle: Lifecycle, versions: ModelVersions, configuration: ConfigurationStore) -> None:
        """Activate through `lifecycle`, which verifies the version once more."""
        self._lifecycle = lifecycle
        self._versions = versions
        self._configuration = configuration

    def consider(self, version: ModelVersion, job_id: str, result: Mapping[str, Any]) -> dict[str, Any] | None:
        """Activate the version that the job registered; return whether that was done and why (not).

        None where the configuration leaves it to a person. Asking twice activates once.
        """
        if not self._configuration.current()[1].training.auto_activate:
            return None
        row = self._versions.get(version.version)
        if row.state != VersionState.PENDING:
            return self._done_before(row, job_id)
        why_not = self._why_not(row, result)
        if why_not is not None:
            return {"activated": False, "reason": why_not}
        comparison = result["comparison"]
        reason = f"registered by {job_id} and activated by itself (training.auto_activate): {result['reason']}"
        details = {"job_id": job_id, "comparison": _brief(comparison), "previous": row.parent}
        try:
            self._lifecycle.activate(
                row.version, actor=ACTOR, reason=reason[:2000], expected_active=row.parent, details=details
            )
        except (Conflict, NotFound, PackageRejected) as refusal:
            log.warning("training.not_activated", model_version=row.version, job_id=job_id, reason=str(refusal))
            return {"activated": False, "reason": refusal.detail}
        return {"activated": True, "reason": reason}

    def _done_before(self, row: ModelVersion, job_id: str) -> dict[str, Any]:
        for event in self._versions.events(row.version):
            if event.actor == ACTOR and (event.details or {}).get("job_id") == job_id:
                return {"activated": True, "reason": event.reason}
        return {"activated": False, "reason": f"a person has dealt with it already: it is {row.state}"}

    def _why_not(self, row: ModelVersion, result: Mapping[str, Any]) -> str | None:
        comparison = result.get("comparison")
        if not comparison or comparison["items"] < MINIMUM_ITEMS or comparison["trim_mae_change"]["value"] is None:
            return "it could not be compared with the active version, so a person has to judge it"
        active = self._versions.active()
        if active is None or active.version != row.parent:
            now = "none" if active is None else active.version
            return f"it was compared with {row.parent}, and {now} is active now"
        return None


class ActivationWatch:
    """Judges activations of `AutoActivation` by the first quality cycle that can; a hook of the cycles."""

    def __init__(
        self, *, settings: Settings, versions: ModelVersions, alerts: Alerts, keys: Keys, clock: Clock = utc_now
    ) -> None:
        """Read the version before from the folder of installed versions that `settings` name."""
        self._settings = settings
        self._versions = versions
        self._alerts = alerts
        self._keys = keys
        self._clock = clock
        self._store = ModelStore(settings.models)

    def __call__(self, measured: MeasuredCycle) -> dict[str, Any]:
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

    def _compare(self, before: str, measured: MeasuredCycle) -> Comparison:
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
            if not self._versions.complete_event_in(session, activation, {WATCH: verdict}):
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
    measured: MeasuredCycle, activation: ModelEvent, comparison: Comparison | None, outcome: str, reason: str
) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "reason": reason,
        "cycle_id": measured.row.id,
        "model_version": activation.version,
        "comparison": None if comparison is None else _brief(comparison.as_json()),
    }


def _overtaken(verdict: dict[str, Any]) -> dict[str, Any]:
    said = "Nothing was done: somebody else dealt with the activation in the meantime."
    return verdict | {"outcome": "overtaken", "reason": f"{verdict['reason']} {said}"}


def _brief(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """A comparison's figures without both models' own ones, small enough to stand in an event."""
    kept = ("kind", "decision", "reason", "items", "orders", "trim_mae_change", "process_match_change", "answered")
    return {name: comparison[name] for name in kept if name in comparison}
