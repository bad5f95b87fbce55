"""From a folder and an environment to a running host."""

import signal
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from funchost import logs
from funchost.errors import ConfigurationError
from funchost.hostjson import read_host_json
from funchost.logfile import LogFile
from funchost.settings import HostSettings, apply_local_settings, make_settings
from funchost.supervisor import Supervisor


def run_host(
    *,
    app_dir: Path,
    state_dir: Path | None,
    address: str | None,
    port: int | None,
    strict: bool,
    environment: MutableMapping[str, str],
) -> int:
    """Run a function app until a stop signal; return the exit code.

    Raises:
        HostError: it could not start; the text says what and why.
    """
    local = apply_local_settings(app_dir, environment)
    settings = make_settings(
        app_dir=app_dir,
        state_dir=state_dir,
        address=address,
        port=port,
        strict=strict,
        local=local,
        environment=environment,
    )
    host_json = read_host_json(app_dir, environment)
    if settings.log_file is not None:
        _write_to(settings.log_file, settings)
    logs.capture_standard_logging(host_json.log_levels)
    for text in (*local.warnings, *host_json.warnings):
        logs.warning("configuration.warning", reason=text)
    supervisor = Supervisor(settings, host_json, environment)
    _on_stop_signals(supervisor.ask_to_stop)
    return supervisor.run()


def _write_to(path: Path, settings: HostSettings) -> None:
    log_file = LogFile(path)
    try:
        log_file.take_over()
    except OSError as error:
        raise ConfigurationError(f'setting "FUNCHOST_LOG_FILE": {path} cannot be written: {error.strerror}') from error
    log_file.keep_bounded(settings.log_file_max_bytes, settings.log_files_kept)


def _on_stop_signals(callback: Any) -> None:
    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: callback())
