"""host.json: read with comments, overridden by settings, checked as a whole before anything starts."""

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from funchost.errors import ConfigurationError
from funchost.loglevels import LEVELS
from schedules.timespan import parse_timespan

_OVERRIDE = re.compile(r"AzureFunctionsJobHost(?:__|:)(?P<path>.+)", re.IGNORECASE | re.DOTALL)
_LOG_LEVEL = re.compile(r"logging(?:__|:)loglevel(?:__|:)(?P<category>.+)", re.IGNORECASE | re.DOTALL)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_UNDERSTOOD = {"version", "logging", "extensionbundle"}
_UNTOUCHED = {  # read by the real host, without effect here
    "watchdirectories", "watchfiles", "healthmonitor", "applicationinsights", "aggregator", "retry", "concurrency",
    "telemetrymode", "customhandler", "manageddependency", "sendcanceledinvocationstoworker", "extensions.http.hsts",
    "extensions.http.dynamicthrottlesenabled",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class HostJson:
    """The part of host.json that this host acts on."""

    function_timeout: timedelta | None = timedelta(minutes=30)
    functions: tuple[str, ...] | None = None
    route_prefix: str = "api"
    max_concurrent_requests: int = -1
    max_outstanding_requests: int = -1
    custom_headers: Mapping[str, str] = field(default_factory=dict)
    max_polling_interval: timedelta = timedelta(minutes=1)
    visibility_timeout: timedelta = timedelta()
    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    message_encoding: str = "base64"
    blob_parallelism: int = 8
    poison_blob_threshold: int = 5
    listener_lock_period: timedelta = timedelta(seconds=60)
    listener_lock_retry: timedelta = timedelta(seconds=60)
    extension_bundle: Mapping[str, Any] | None = None
    log_levels: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def _integer(low: int, high: int | None = None) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value.strip()):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"must be a whole number, not {value!r}")
        if value < low or (high is not None and value > high):
            bounds = f"at least {low}" if high is None else f"from {low} to {high}"
            raise ValueError(f"must be {bounds}, not {value}")
        return value

    return read


def _span(low: float, high: float = math.inf) -> Callable[[Any], timedelta]:
    def read(value: Any) -> timedelta:
        if not isinstance(value, str):
            raise ValueError(f'must be a time span such as "00:00:02", not {value!r}')
        span = parse_timespan(value)
        if not low <= span.total_seconds() <= high:
            limit = f"at least {low} s" if high == math.inf else f"from {low} to {high} s"
            raise ValueError(f"must be {limit}, not {value}")
        return span

    return read


def _time_out(value: Any) -> timedelta | None:
    return None if value in ("-1", -1) else _span(1)(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a text, not {value!r}")
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of function names")
    return tuple(value)


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise ValueError("must be an object of header names and texts")
    for name, text in value.items():
        _header(name, text)
    return dict(value)


def _header(name: str, text: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"has {name!r}, which is no header's name")
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"has a value for {name!r} with signs that no header may hold: {text!r}")


def _level(value: Any) -> str:
    if not isinstance(value, str) or value.lower() not in LEVELS:
        raise ValueError(f"must be one of Trace, Debug, Information, Warning, Error, Critical, None, not {value!r}")
    return value.lower()


def _encoding(value: Any) -> str:
    if not isinstance(value, str) or value.lower() not in ("base64", "none"):
        raise ValueError(f'must be "base64" or "none", not {value!r}')
    return value.lower()


_FIELDS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "functiontimeout": ("function_timeout", _time_out),
    "functions": ("functions", _names),
    "extensions.http.routeprefix": ("route_prefix", _text),
    "extensions.http.maxconcurrentrequests": ("max_concurrent_requests", _integer(-1)),
    "extensions.http.maxoutstandingrequests": ("max_outstanding_requests", _integer(-1)),
    "extensions.http.customheaders": ("custom_headers", _headers),
    "extensions.queues.maxpollinginterval": ("max_polling_interval", _span(0.1)),
    "extensions.queues.visibilitytimeout": ("visibility_timeout", _span(0, 7 * 86400)),
    "extensions.queues.batchsize": ("batch_size", _integer(1, 32)),
    "extensions.queues.newbatchthreshold": ("new_batch_threshold", _integer(0)),
    "extensions.queues.maxdequeuecount": ("max_dequeue_count", _integer(1)),
    "extensions.queues.messageencoding": ("message_encoding", _encoding),
    "extensions.blobs.maxdegreeofparallelism": ("blob_parallelism", _integer(1)),
    "extensions.blobs.poisonblobthreshold": ("poison_blob_threshold", _integer(1)),
    "singleton.listenerlockperiod": ("listener_lock_period", _span(15, 60)),
    "singleton.listenerlockrecoverypollinginterval": ("listener_lock_retry", _span(15)),
    "singleton.lockperiod": ("", _span(15, 60)),
    "singleton.lockacquisitiontimeout": ("", _text),
    "singleton.lockacquisitionpollinginterval": ("", _text),
}


def read_host_json(app_dir: Path, environment: Mapping[str, str]) -> HostJson:
    """Read `host.json` of an app, put `AzureFunctionsJobHost__a__b` settings over it and check every known key.

    Raises:
        ConfigurationError: the file is missing or no JSON, its version is not "2.0", or a value has a wrong type or
            range.
    """
    path = app_dir / "host.json"
    document = _load(path)
    if (version := _find(document, "version")) != "2.0":
        found = "it is missing" if version is None else f"it is {version!r}"
        raise ConfigurationError(f'{path}: key "version" must be "2.0": {found}')
    values: dict[str, Any] = {"log_levels": _log_levels(document, path)}
    warnings: list[str] = []
    _collect(document, "", path, values, warnings)
    for name, text in sorted(environment.items()):
        if (match := _OVERRIDE.fullmatch(name)) is not None and text != "":
            _override(name, match["path"], text, values, warnings)
    threshold_given = "new_batch_threshold" in values
    values.pop("", None)
    values.setdefault("blob_parallelism", 8 * (os.cpu_count() or 1))
    if (
        "max_polling_interval" not in values
        and environment.get("AZURE_FUNCTIONS_ENVIRONMENT", "").lower() == "development"
    ):
        values["max_polling_interval"] = timedelta(seconds=2)
    if not threshold_given:
        values["new_batch_threshold"] = (values.get("batch_size", 16) // 2) * (os.cpu_count() or 1)
    bundle = _find(document, "extensionbundle")
    if bundle is None:
        warnings.append(f"{path}: no extensionBundle; the Azure Functions host will not find the storage bindings")
    return HostJson(**values, extension_bundle=bundle, warnings=tuple(warnings))


def _log_levels(document: Mapping[str, Any], path: Path) -> dict[str, str]:
    given = _find(document, "logging", "loglevel")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise ConfigurationError(f'{path}: key "logging.logLevel" must be an object of categories and levels')
    levels: dict[str, str] = {}
    for category, level in given.items():
        try:
            levels[category.lower()] = _level(level)
        except ValueError as error:
            raise ConfigurationError(f'{path}: key "logging.logLevel.{category}" {error}') from error
    return levels


def _find(node: Any, *keys: str) -> Any:
    """Return what stands below these keys (given in lower case), or None."""
    for wanted in keys:
        if not isinstance(node, dict):
            return None
        node = next((value for key, value in node.items() if key.lower() == wanted), None)
    return node


def _load(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error.strerror}; a function app needs a host.json"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path}: is not JSON: it is no UTF-8 text: {error}") from error
    try:
        document = json.loads(strip_comments(text))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: must hold one JSON object")
    return document


def strip_comments(text: str) -> str:
    """Blank out `//` and `/* */` comments outside of strings, keeping line and column of everything else."""
    pattern = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|/\*.*?\*/', re.DOTALL)

    def blank(match: re.Match[str]) -> str:
        found = match.group()
        return found if found.startswith('"') else re.sub(r"[^\n]", " ", found)

    return pattern.sub(blank, text)


def _collect(node: Mapping[str, Any], prefix: str, path: Path, values: dict[str, Any], warnings: list[str]) -> None:
    for key, value in node.items():
        dotted = f"{prefix}{key}"
        lower = dotted.lower()
        if lower in _FIELDS:
            _store(lower, value, f'{path}: key "{dotted}"', values)
        elif lower in _UNTOUCHED:
            warnings.append(f'{path}: key "{dotted}" has no effect here')
        elif lower in _UNDERSTOOD:
            continue
        elif lower in ("extensions", "singleton", "extensions.http", "extensions.queues", "extensions.blobs"):
            if not isinstance(value, dict):
                raise ConfigurationError(f'{path}: key "{dotted}" must be an object')
            _collect(value, f"{dotted}.", path, values, warnings)
        else:
            warnings.append(f'{path}: key "{dotted}" is not known to this host and has no effect')


def _override(name: str, below: str, text: str, values: dict[str, Any], warnings: list[str]) -> None:
    parts = re.split(r"__|:", below)
    dotted = ".".join(parts).lower()
    if (level := _LOG_LEVEL.fullmatch(below)) is not None:
        try:
            values["log_levels"][level["category"].lower()] = _level(text)
        except ValueError as error:
            raise ConfigurationError(f'setting "{name}" {error}') from error
    elif dotted in _FIELDS:
        _store(dotted, text, f'setting "{name}"', values)
    elif dotted.startswith("extensions.http.customheaders."):
        headers = {**values.get("custom_headers", {}), parts[-1]: text}
        _store("extensions.http.customheaders", headers, f'setting "{name}"', values)
    elif (index := re.fullmatch(r"functions\.(\d{1,4})", dotted)) is not None:
        given = dict(enumerate(values.get("functions") or ()))
        given[int(index[1])] = text
        values["functions"] = tuple(given.values())
    elif dotted.split(".", 1)[0] in _UNTOUCHED or dotted in _UNTOUCHED:
        warnings.append(f'setting "{name}" has no effect here')
    elif dotted.split(".", 1)[0] not in _UNDERSTOOD:
        warnings.append(f'setting "{name}" names no host.json key that this host knows')


def _store(key: str, value: Any, where: str, values: dict[str, Any]) -> None:
    attribute, read = _FIELDS[key]
    try:
        values[attribute] = read(value)
    except ValueError as error:
        raise ConfigurationError(f"{where} {error}") from error
