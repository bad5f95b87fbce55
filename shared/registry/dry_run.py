"""What an activation would find and change, without activating."""

from typing import Any

from shared.database.models import TRANSITIONS
from shared.database.tables import ModelVersion, VersionState
from shared.errors import PackageRejected
from shared.registry.manifest import Manifest, numbers_among
from shared.registry.verify import CHECKS

STATE_CHECK = "state"


def report_of(
    version: str, row: ModelVersion | None, fault: PackageRejected | None, warnings: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return what each check says; after a failed one of the package, those behind it were not reached.

    The answer holds `version`, `ok` (an activation would succeed, or has), `checks` (each with `check`, `ok`, None if
    not reached, and `detail`), `warnings` and, after a failure of the package, `remedy`.
    """
    failed = CHECKS.index(fault.facts.get("check", CHECKS[0])) if fault is not None else len(CHECKS)
    state = _state_check(row)
    checks: list[dict[str, Any]] = [state]
    for at, check in enumerate(CHECKS):
        if at < failed:
            checks.append({"check": check, "ok": True, "detail": ""})
        elif at == failed and fault is not None:
            checks.append({"check": check, "ok": False, "detail": fault.detail})
        else:
            checks.append({"check": check, "ok": None, "detail": "not reached"})
    report = {"version": version, "ok": fault is None and state["ok"], "checks": checks, "warnings": list(warnings)}
    return report if fault is None else report | {"remedy": fault.remedy}


def _state_check(row: ModelVersion | None) -> dict[str, Any]:
    if row is None:
        detail, ok = "its folder has no row yet; `sweep` gives it one within a minute", False
    elif row.state == VersionState.ACTIVE:
        detail, ok = "it is the active version", True
    else:
        ok = VersionState.ACTIVE in TRANSITIONS[row.state]
        detail = f"it is {row.state} and {'may' if ok else 'cannot'} become active"
    return {"check": STATE_CHECK, "ok": ok, "detail": detail}


def difference(new: Manifest, old: Manifest) -> dict[str, Any]:
    """Return what would be other than with the active version: pairs of old and new, equal ones left out."""
    there = {artifact.path: artifact.sha256 for artifact in old.artifacts}
    here = {artifact.path: artifact.sha256 for artifact in new.artifacts}
    facts = {
        "model_kind": (old.model_kind, new.model_kind),
        "profile": (old.training.profile, new.training.profile),
        "data_as_of": (old.training.data_as_of, new.training.data_as_of),
        "fingerprint": (old.training.fingerprint, new.training.fingerprint),
        "bytes": (old.total_bytes, new.total_bytes),
    }
    return {
        "active": old.version,
        **{name: list(pair) for name, pair in facts.items() if pair[0] != pair[1]},
        "rows": _changed(old.training.rows, new.training.rows),
        "runtime": _changed(old.runtime.model_dump(), new.runtime.model_dump()),
        "metrics": _changed(numbers_among(old.metrics), numbers_among(new.metrics)),
        "files": {
            "added": sorted(here.keys() - there.keys()),
            "removed": sorted(there.keys() - here.keys()),
            "changed": sorted(path for path in here.keys() & there.keys() if here[path] != there[path]),
        },
    }


def _changed(old: dict[str, Any], new: dict[str, Any]) -> dict[str, list[Any]]:
    names = sorted(old.keys() | new.keys())
    return {name: [old.get(name), new.get(name)] for name in names if old.get(name) != new.get(name)}
