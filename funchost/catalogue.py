"""What the host accepts of an app: each function checked by the real host's rules, with its errors kept beside it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from funchost.blobpaths import compile_path, split_path
from funchost.hostjson import HostJson
from funchost.retries import parse_retry
from funchost.routes import check_not_reserved, compile_route, full_template
from funchost.settings import find_connection, is_disabled, resolve_names
from schedules.ncrontab import parse_schedule

_FUNCTION_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_-]{0,127}$")
_BINDING_NAME = re.compile(r"^(?:\$return|[A-Za-z][A-Za-z0-9]{0,127})$")
_QUEUE_NAME = re.compile(r"^[a-z0-9](?:[a-z0-9]|-(?!-)){1,61}[a-z0-9]$")
_FILLED = ("path", "queueName")
_LEVELS = ("anonymous", "function", "admin")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One function with its resolved bindings; `errors` keep it from running."""

    name: str
    trigger: Mapping[str, Any]
    outputs: tuple[Mapping[str, Any], ...]
    inputs: tuple[Mapping[str, Any], ...] = ()
    retry: Mapping[str, Any] | None = None
    disabled: bool = False
    errors: tuple[str, ...] = ()
    raw_bindings: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def kind(self) -> str:
        """The trigger's type, such as `queueTrigger`."""
        return str(self.trigger.get("type", ""))

    @property
    def runs(self) -> bool:
        """Whether the host may call it."""
        return not self.errors

    @property
    def listens(self) -> bool:
        """Whether its trigger is to be served."""
        return not self.errors and not self.disabled

    @property
    def route(self) -> str:
        """The HTTP route without prefix."""
        return _route(self.name, self.trigger)

    @property
    def methods(self) -> tuple[str, ...]:
        """Allowed HTTP methods in upper case; none means all."""
        return tuple(str(method).upper() for method in self.trigger.get("methods") or ())

    @property
    def level(self) -> str:
        """The access level in lower case."""
        return str(self.trigger.get("authLevel") or "function").lower()

    @property
    def has_places(self) -> bool:
        """Whether a path or a queue's name has a `{name}` that each call gives a value."""
        texts = (str(binding.get(key) or "") for binding in (*self.inputs, *self.outputs) for key in _FILLED)
        return any("{" in text for text in texts)

    def describe(self) -> dict[str, Any]:
        """Return the form of the admin API."""
        return {
            "name": self.name,
            "language": "python",
            "isDisabled": self.disabled,
            "config": {"name": self.name, "bindings": [dict(binding) for binding in self.raw_bindings]},
        }


def _route(name: str, trigger: Mapping[str, Any]) -> str:
    """Return the route of an HTTP function: its name where it gives none, or nothing but blanks."""
    route = str(trigger.get("route") or "")
    return route if route.strip() else name


def is_input(binding: Mapping[str, Any]) -> bool:
    """Whether a binding other than the trigger gives a value to the function."""
    return str(binding.get("direction") or "").upper() in ("IN", "0")


def make_catalogue(
    described: Sequence[Mapping[str, Any]], host_json: HostJson, environment: Mapping[str, str]
) -> list[Entry]:
    """Check every function of an app; return them sorted by name, the faulty ones with their errors."""
    wanted = None if host_json.functions is None else {name.lower() for name in host_json.functions}
    entries: list[Entry] = []
    for document in sorted(described, key=lambda item: str(item["name"]).lower()):
        if wanted is not None and str(document["name"]).lower() not in wanted:
            continue
        entry = _check(document, host_json, environment)
        problem = _conflict(entry, entries)
        if problem is not None:
            entry = replace(entry, errors=(*entry.errors, problem))
        entries.append(entry)
    return entries


def _check(document: Mapping[str, Any], host_json: HostJson, environment: Mapping[str, str]) -> Entry:
    errors = [str(text) for text in document["errors"]]
    name = str(document["name"])
    resolved: list[Mapping[str, Any]] = []
    if not _FUNCTION_NAME.match(name) or name.lower() == "host":
        errors.append("its name must begin with a letter, hold letters, digits, _ and -, and not be 'host'")
    for binding in document["bindings"]:
        try:
            resolved.append({key: _resolve(value, environment) for key, value in binding.items()})
        except ValueError as error:
            errors.append(f"binding {binding.get('name')!r}: {error}")
            resolved.append(binding)
    errors.extend(_name_errors(resolved))
    trigger = next((binding for binding in resolved if str(binding["type"]).endswith("Trigger")), {})
    others = [binding for binding in resolved if binding is not trigger]
    inputs = tuple(binding for binding in others if is_input(binding))
    outputs = tuple(binding for binding in others if not is_input(binding))
    if not errors:
        checks: tuple[Callable[[], None], ...] = (
            lambda: _check_trigger(name, trigger, host_json, environment),
            lambda: _check_outputs(outputs, environment),
            lambda: _check_inputs(inputs, environment),
            lambda: _check_retry(name, trigger, document.get("retry")),
        )
        errors.extend(problem for check in checks if (problem := _problem_of(check)) is not None)
    return Entry(
        name=name,
        trigger=trigger,
        outputs=outputs,
        inputs=inputs,
        retry=document.get("retry"),
        disabled=is_disabled(name, environment),
        errors=tuple(errors),
        raw_bindings=tuple(document["bindings"]),
    )


def _problem_of(check: Callable[[], None]) -> str | None:
    try:
        check()
    except ValueError as error:
        return str(error)
    return None


def _resolve(value: Any, environment: Mapping[str, str]) -> Any:
    return resolve_names(value, environment) if isinstance(value, str) else value


def _name_errors(bindings: Sequence[Mapping[str, Any]]) -> list[str]:
    errors: list[str] = []
    seen: set[str] = set()
    for binding in bindings:
        name = str(binding.get("name"))
        if not _BINDING_NAME.match(name):
            errors.append(f"binding name {name!r} may hold letters and digits only")
        if name.lower() in seen:
            errors.append(f"binding name {name!r} is used twice")
        seen.add(name.lower())
    return errors


def _check_trigger(name: str, trigger: Mapping[str, Any], host_json: HostJson, environment: Mapping[str, str]) -> None:
    kind = trigger["type"]
    if kind == "httpTrigger":
        route = _route(name, trigger)
        check_not_reserved(route)
        compile_route(full_template(host_json.route_prefix, route))
        if str(trigger.get("authLevel") or "function").lower() not in _LEVELS:
            raise ValueError(f"its authLevel {trigger.get('authLevel')!r} is none of {', '.join(_LEVELS)}")
        return
    find_connection(None, environment)
    if kind == "queueTrigger":
        check_queue_name(trigger.get("queueName"))
        find_connection(trigger.get("connection"), environment)
    elif kind == "blobTrigger":
        if str(trigger.get("source") or "").lower() == "eventgrid":
            raise ValueError("source EventGrid needs Azure; this host scans containers")
        compile_path(str(trigger.get("path") or ""))
        find_connection(trigger.get("connection"), environment)
    elif kind == "timerTrigger":
        parse_schedule(str(trigger.get("schedule") or ""))


def _check_outputs(outputs: Sequence[Mapping[str, Any]], environment: Mapping[str, str]) -> None:
    for output in outputs:
        if output["type"] == "queue":
            if "{" not in str(output.get("queueName") or ""):  # else known at each call only
                check_queue_name(output.get("queueName"))
            find_connection(output.get("connection"), environment)
        elif output["type"] == "blob":
            split_path(str(output.get("path") or ""))
            find_connection(output.get("connection"), environment)


def _check_inputs(inputs: Sequence[Mapping[str, Any]], environment: Mapping[str, str]) -> None:
    for binding in inputs:
        split_path(str(binding.get("path") or ""))
        find_connection(binding.get("connection"), environment)


def _check_retry(name: str, trigger: Mapping[str, Any], retry: Mapping[str, Any] | None) -> None:
    if retry is None:
        return
    if trigger["type"] in ("queueTrigger", "blobTrigger"):
        raise ValueError(
            f"function {name!r} has a retry policy; the queue's own dequeue count retries {trigger['type']}"
        )
    parse_retry(retry)


def check_queue_name(name: Any) -> None:
    """Refuse a name that the storage service would refuse.

    Raises:
        ValueError: it is none of 3 to 63 lower-case letters, digits and single inner hyphens.
    """
    if not isinstance(name, str) or not _QUEUE_NAME.match(name.lower()):
        raise ValueError(f"queue name {name!r} must have 3 to 63 lower-case letters, digits and single inner hyphens")


def _conflict(entry: Entry, earlier: Sequence[Entry]) -> str | None:
    for other in earlier:
        if other.name.lower() == entry.name.lower():
            return f"its name is used by {other.name!r} as well"
        if (
            entry.kind == other.kind == "httpTrigger"
            and other.runs
            and entry.route.strip("/").lower() == other.route.strip("/").lower()
            and (not entry.methods or not other.methods or set(entry.methods) & set(other.methods))
        ):
            return f"its route {entry.route!r} is taken by {other.name!r}"
    return None
