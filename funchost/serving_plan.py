"""What an HTTP worker must know to serve: its functions, the keys, the limits."""

from collections.abc import Mapping, Sequence
from typing import Any

from funchost.catalogue import Entry
from funchost.hostjson import HostJson
from funchost.keys import Keys
from funchost.routes import full_template
from funchost.settings import HostSettings, is_true


def serving_plan(
    settings: HostSettings, host_json: HostJson, entries: Sequence[Entry], keys: Keys, environment: Mapping[str, str]
) -> dict[str, Any]:
    """Return it as JSON values; limits of the whole host are shared out among its HTTP workers."""
    timeout = host_json.function_timeout
    share = max(1, settings.http_workers)
    return {
        "functions": _functions(entries, host_json),
        "keys": keys.as_document(),
        "grace_seconds": settings.grace_seconds,
        "options": {
            "body_limit_bytes": settings.body_limit_bytes,
            "max_concurrent": _shared(host_json.max_concurrent_requests, share),
            "max_outstanding": _shared(host_json.max_outstanding_requests, share),
            "custom_headers": dict(host_json.custom_headers),
            "cors_origins": list(settings.cors_origins),
            "cors_credentials": settings.cors_credentials,
            "enforce_keys": settings.enforce_keys,
            "function_timeout_seconds": None if timeout is None else timeout.total_seconds(),
            "homepage": not is_true(environment.get("AzureWebJobsDisableHomepage")),
        },
    }


def _functions(entries: Sequence[Entry], host_json: HostJson) -> list[dict[str, Any]]:
    return [
        {
            "name": entry.name,
            "template": full_template(host_json.route_prefix, entry.route),
            "methods": list(entry.methods),
            "level": entry.level,
            "disabled": entry.disabled,
            "has_places": entry.has_places,
        }
        for entry in entries
        if entry.runs and entry.kind == "httpTrigger"
    ]


def _shared(limit: int, workers: int) -> int:
    return limit if limit <= 0 else max(1, limit // workers)
