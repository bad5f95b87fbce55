"""Make an instance ready for its host: keys, database and, the first time, a first model.

Runs as a child of the supervisor, inside the virtual environment, so that the supervisor stays small and Ctrl-C ends
whatever goes on here. It speaks in JSON lines on standard output; logs go to standard error.
"""

import argparse
import json
import os
import secrets
import sys
import time
from collections.abc import Callable
from typing import Any

from launcher.places import Place
from shared.audit.acting import acting_as
from shared.errors import RoutingError
from shared.platform import die_with_parent, write_atomically, write_secret

Say = Callable[..., None]

FIRST_START = "first start"  # who made the administrator's key
STORAGE_STARTS_SECONDS = 30.0


def main() -> int:
    """Prepare the instance of ROUTING_DATA_DIR and return 0, or say the problem and return its exit code."""
    die_with_parent()
    options = _options()
    say = _own_channel()
    try:
        with acting_as(origin="up"):
            facts = prepare(Place.chosen(None), demo=options.demo, name_functions=options.name_functions, say=say)
        say("done", **facts)
    except RoutingError as error:
        say("problem", detail=error.detail, remedy=error.remedy or "", code=error.code)
        return error.exit_code
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="launcher.preparation", description=__doc__)
    parser.add_argument("--demo", action="store_true", help="make a first model where there is none")
    parser.add_argument("--name-functions", action="store_true", help="report every function of the app")
    return parser.parse_args()


def _own_channel() -> Say:
    """Keep standard output for our own lines; whatever else is printed goes where the logs go."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(event: str, **facts: Any) -> None:
        channel.write(json.dumps({"event": event, **facts}) + "\n")
        channel.flush()

    return say


def prepare(place: Place, *, demo: bool, name_functions: bool, say: Say) -> dict[str, Any]:
    """Do every step that is not done yet; return the active version (or None) and what was asked for."""
    from shared.bootstrap import current_services
    from shared.database.engine import migrate
    from shared.logs import configure_logging

    services = current_services()
    configure_logging(services.settings.log_level, sys.stderr)
    ensure_administrator_key(place)
    migrate(services.settings.database)  # before anything that the audit records
    services.keys.ensure()
    services.session_secrets.ensure()
    services.api_keys.adopt_file(by=FIRST_START)
    _make_storage_places(services)
    if demo and _wants_first_model(place, services):
        write_atomically(place.first_light_mark, b"")
        _make_first_model(services, say)
        place.first_light_mark.unlink()
    active = services.model_versions.active()
    result: dict[str, Any] = {"active": active.version if active is not None else None}
    if name_functions:
        result["functions"] = _function_names()
    return result


def ensure_administrator_key(place: Place) -> None:
    """Make the administrator key at the first start: 32 random bytes in a file that only its owner reads."""
    if not place.administrator_key.exists():
        write_secret(place.administrator_key, secrets.token_urlsafe(32).encode() + b"\n")


def _make_storage_places(services: Any) -> None:
    """Make the queues and the drop container, so that any storage client finds them; storage starts meanwhile."""
    from shared.database.work import WORK_TABLES
    from shared.errors import StorageUnavailable

    deadline = time.monotonic() + STORAGE_STARTS_SECONDS
    while True:
        try:
            services.packages.ensure_container()
            for queue in WORK_TABLES:
                services.doorbells.ensure(queue)
        except StorageUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _wants_first_model(place: Place, services: Any) -> bool:
    """Return whether this is the first start, or goes on with a first start that was killed."""
    if place.first_light_mark.exists():
        return True
    _, versions = services.model_versions.list(limit=1, offset=0)
    _, snapshots = services.snapshot_rows.list(limit=1, offset=0)
    return not versions and not snapshots


def _make_first_model(services: Any, say: Say) -> None:
    from shared.first_light import make_first_model

    def progress(percent: float, step: str) -> None:
        say("progress", percent=percent, step=step)

    make_first_model(services, progress)


def _function_names() -> list[str]:
    import function_app

    return sorted(str(function.get_function_name()) for function in function_app.app.get_functions())


if __name__ == "__main__":
    sys.exit(main())
