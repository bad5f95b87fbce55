"""The host's settings: local.settings.json put under the environment, and the `FUNCHOST_*` values only it knows."""

import hashlib
import json
import re
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from funchost.errors import ConfigurationError
from funchost.hostjson import strip_comments

_HOST_ID = re.compile(r"^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$")
_PERCENT = re.compile(r"%([^%]*)%")
_TRUE = ("1", "true")


@dataclass(frozen=True, kw_only=True)
class LocalSettings:
    """What local.settings.json says about the listening address, and what was put into the environment."""

    port: int | None = None
    address: str | None = None
    cors_origins: tuple[str, ...] = ()
    cors_credentials: bool = False
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class HostSettings:
    """Fixed for the life of a host process; durations in seconds."""

    app_dir: Path
    state_dir: Path
    address: str
    port: int
    host_id: str
    strict: bool
    enforce_keys: bool
    http_workers: int
    event_workers: int
    grace_seconds: float
    spare_after_seconds: float
    blob_scan_seconds: float
    message_visibility_seconds: int
    lock_retry_seconds: float | None
    body_limit_bytes: int
    storage_api_version: str
    log_file: Path | None
    log_file_max_bytes: int
    log_files_kept: int
    cors_origins: tuple[str, ...] = ()
    cors_credentials: bool = False


def apply_local_settings(app_dir: Path, environment: MutableMapping[str, str]) -> LocalSettings:
    """Put `Values` and `ConnectionStrings` of local.settings.json into the environment; what is already there wins.

    Returns the `Host` part. A missing file is an empty one.

    Raises:
        ConfigurationError: the file is no JSON, is encrypted, or holds a value that is no text.
    """
    path = app_dir / "local.settings.json"
    if not path.is_file():
        return LocalSettings()
    try:
        document = json.loads(strip_comments(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path}: is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: must hold one JSON object")
    if document.get("IsEncrypted", True) is not False:
        found = "missing, which counts as true" if "IsEncrypted" not in document else f"{document['IsEncrypted']!r}"
        raise ConfigurationError(f'{path}: key "IsEncrypted" is {found}; write "IsEncrypted": false and plain values')
    warnings: list[str] = []
    for name, value in _texts(path, document, "Values").items():
        if environment.get(name):
            if environment[name] != value:
                warnings.append(f'{path}: value "{name}" is not used, the environment already has another')
        else:
            environment[name] = value
    for name, value in _texts(path, document, "ConnectionStrings").items():
        environment.setdefault(f"ConnectionStrings:{name}", value)
    return _host_part(path, document.get("Host", {}), tuple(warnings))


def _texts(path: Path, document: Mapping[str, Any], section: str) -> dict[str, str]:
    values = document.get(section) or {}
    if not isinstance(values, dict):
        raise ConfigurationError(f'{path}: key "{section}" must be an object')
    found: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict | list):
            raise ConfigurationError(f'{path}: key "{section}.{name}" must be a text; nested values are not allowed')
        if value is not None:
            found[name] = value if isinstance(value, str) else json.dumps(value)
    return found


def _host_part(path: Path, host: Any, warnings: tuple[str, ...]) -> LocalSettings:
    if not isinstance(host, dict):
        raise ConfigurationError(f'{path}: key "Host" must be an object')
    port = host.get("LocalHttpPort")
    if port is not None:
        port = _port(port, f'{path}: key "Host.LocalHttpPort"')
    for key in ("CORS", "LocalHttpAddress"):
        if not isinstance(host.get(key) or "", str):
            raise ConfigurationError(f'{path}: key "Host.{key}" must be a text, not {host[key]!r}')
    origins = tuple(origin.strip().rstrip("/") for origin in (host.get("CORS") or "").split(",") if origin.strip())
    return LocalSettings(
        port=port,
        address=host.get("LocalHttpAddress"),
        cors_origins=origins,
        cors_credentials=host.get("CORSCredentials") is True,
        warnings=warnings,
    )


def make_settings(
    *,
    app_dir: Path,
    state_dir: Path | None,
    address: str | None,
    port: int | None,
    strict: bool,
    local: LocalSettings,
    environment: Mapping[str, str],
) -> HostSettings:
    """Join command line, local.settings.json and environment, in that order of strength.

    Raises:
        ConfigurationError: a `FUNCHOST_*` value or the host id is not usable.
    """
    processes = int(_number(environment, "FUNCTIONS_WORKER_PROCESS_COUNT", 1, 1, 10))
    state = state_dir or Path(environment.get("FUNCHOST_STATE_DIR") or app_dir / ".funchost")
    return HostSettings(
        app_dir=app_dir,
        state_dir=state.resolve(),
        address=address or local.address or "127.0.0.1",
        port=port if port is not None else (local.port if local.port is not None else 7071),
        host_id=_host_id(app_dir, environment),
        strict=strict or is_true(environment.get("FUNCHOST_STRICT")),
        enforce_keys=not is_true(environment.get("FUNCHOST_DISABLE_AUTH")),
        http_workers=int(_number(environment, "FUNCHOST_HTTP_WORKERS", processes, 1, 32)),
        event_workers=processes,
        grace_seconds=_number(environment, "FUNCHOST_GRACE_SECONDS", 10, 0, 86400),
        spare_after_seconds=_number(environment, "FUNCHOST_SPARE_AFTER_SECONDS", 20, 0, 86400),
        blob_scan_seconds=_number(environment, "FUNCHOST_BLOB_SCAN_SECONDS", 2, 0.05, 3600),
        message_visibility_seconds=int(_number(environment, "FUNCHOST_MESSAGE_VISIBILITY", 600, 2, 604800)),
        lock_retry_seconds=_number(environment, "FUNCHOST_LOCK_RETRY_SECONDS", 0, 0, 3600) or None,
        body_limit_bytes=int(_number(environment, "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", 104_857_600, 0, 2**40)),
        storage_api_version=environment.get("FUNCHOST_STORAGE_API_VERSION", ""),
        log_file=Path(log_file).resolve() if (log_file := environment.get("FUNCHOST_LOG_FILE", "")) else None,
        log_file_max_bytes=int(_number(environment, "FUNCHOST_LOG_FILE_MAX_BYTES", 10_000_000, 1000, 2**40)),
        log_files_kept=int(_number(environment, "FUNCHOST_LOG_FILES_KEPT", 3, 1, 99)),
        cors_origins=local.cors_origins,
        cors_credentials=local.cors_credentials,
    )


def _number(environment: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        raise ConfigurationError(f'setting "{name}" must be a number, not {text!r}') from None
    if not low <= value <= high:
        raise ConfigurationError(f'setting "{name}" must be from {low:g} to {high:g}, not {text}')
    return value


def _port(value: Any, where: str) -> int:
    if isinstance(value, bool) or not str(value).isdigit() or not 0 <= int(value) <= 65535:
        raise ConfigurationError(f"{where} must be a port from 0 to 65535, not {value!r}")
    return int(value)


def _host_id(app_dir: Path, environment: Mapping[str, str]) -> str:
    given = environment.get("AzureFunctionsWebHost__hostid") or environment.get("AzureFunctionsWebHost:hostid")
    if given:
        if not _HOST_ID.match(given) or "--" in given:
            raise ConfigurationError(
                f'setting "AzureFunctionsWebHost__hostid" is {given!r}; it may hold up to 32 lower-case '
                "letters, digits and single inner hyphens"
            )
        return given
    machine = re.sub(r"[^a-z0-9]", "", socket.gethostname().lower())[:20] or "host"
    return f"{machine}-{hashlib.sha256(str(app_dir).encode()).hexdigest()[:8]}"


def is_true(text: str | None) -> bool:
    """Whether a setting means yes: only `1` and `true` do."""
    return (text or "").strip().lower() in _TRUE


def is_disabled(function: str, environment: Mapping[str, str]) -> bool:
    """Whether `AzureWebJobs.<function>.Disabled` (or its form with underscores) is set to 1 or true."""
    wanted = {f"azurewebjobs.{function}.disabled".lower(), f"azurewebjobs_{function}_disabled".lower()}
    return any(name.lower() in wanted and is_true(value) for name, value in environment.items())


def resolve_names(text: str, environment: Mapping[str, str]) -> str:
    """Replace every `%NAME%` by the app setting NAME.

    Raises:
        ValueError: a setting is missing or empty.
    """

    def value_of(match: re.Match[str]) -> str:
        value = environment.get(match.group(1), "")
        if not value:
            raise ValueError(f"%{match.group(1)}% does not name an app setting that has a value")
        return value

    return _PERCENT.sub(value_of, text)


def find_connection(name: str | None, environment: Mapping[str, str]) -> str:
    """Return the connection string that a binding's `connection` means; none means the host's own storage.

    Raises:
        ValueError: there is none, or only the identity form, which needs Azure.
    """
    wanted = name or "Storage"
    for key in (
        f"ConnectionStrings:AzureWebJobs{wanted}",
        f"AzureWebJobs{wanted}",
        f"ConnectionStrings:{wanted}",
        wanted,
    ):
        if environment.get(key):
            return environment[key]
    for key in environment:
        if key.lower().startswith((f"{wanted}__".lower(), f"azurewebjobs{wanted}__".lower())):
            raise ValueError(f'connection "{wanted}" is given by identity ({key}), which this host does not support')
    raise ValueError(f'no connection string for "{wanted}": set AzureWebJobs{wanted} or {wanted}')
