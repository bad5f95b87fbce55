"""The command line of `manage.py`: `up`, `test` and `doctor` here, everything else by the CLI in the environment."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from launcher import console
from launcher.environment import instance_environment, storage_from_elsewhere, with_recorded_storage
from launcher.options import take_data_dir, up_options, wanted_ports
from launcher.places import Place, venv_python
from launcher.problems import EXIT_CODE, SetupProblem
from shared.platform import on_stop_signals

INTERRUPTED = 130
USAGE = """\
Routing ML: proposes manufacturing routings from what the factory already made.

  python3 manage.py up         set up what is missing and start: storage, database, first model, host
  python3 manage.py test       set up what is missing and run the checks and every test
  python3 manage.py doctor     say what this machine has, lacks, and what to do about it

Every other command (train, predict, quality, models, keys, storage, demo, settings, …) belongs to the CLI:
  python3 manage.py --help     after the first `up` or `test`, lists those too
  python3 manage.py up --help  options of one command
"""


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; a SetupProblem is one sentence on stderr."""
    console.prepare_streams()
    on_stop_signals(_interrupt)
    try:
        return _dispatch(list(arguments))
    except SetupProblem as problem:
        console.failed(str(problem))
        return EXIT_CODE
    except KeyboardInterrupt:
        console.failed("Interrupted; what was begun and not finished has been removed.")
        return INTERRUPTED


def _interrupt() -> None:
    raise KeyboardInterrupt


def _dispatch(arguments: list[str]) -> int:
    command = arguments[0] if arguments else ""
    if command == "up":
        return _up(up_options(arguments[1:]))
    if command == "test":
        from launcher.testing import run_tests

        return run_tests(arguments[1:])
    if command == "doctor":
        from launcher.doctor import run_doctor

        return run_doctor(arguments[1:])
    if command in ("", "-h", "--help"):
        sys.stdout.write(USAGE)
        if not venv_python().exists():
            return 0
        sys.stdout.write("\n")
        sys.stdout.flush()
        return _hand_to_cli(["--help"])
    return _hand_to_cli(arguments)


# ------------------------------------------------------------------------------------------------------------- up


def _up(options: argparse.Namespace) -> int:
    """Check everything that needs nothing installed, install, and become the supervisor."""
    from launcher import checks, installation

    place = Place.chosen(options.data_dir)
    checks.check_writable(place.data_dir, "The data")
    own_storage = not storage_from_elsewhere(os.environ)
    if own_storage:
        checks.check_node()
    for name in checks.take_over(place):
        console.note(f"ended {name}, left over from a start that was killed")
    checks.check_ports_free(wanted_ports(options.port, options.storage_port if own_storage else None))
    installation.install(storage=own_storage, tests=False)
    installation.describe_installation()
    words = ["--port", options.port, "--storage-port", options.storage_port, "--data-dir", place.data_dir]
    words += ["--host", options.host, "--role", options.role, *(["--no-demo"] if options.no_demo else [])]
    return _become([venv_python(), "-P", "-m", "launcher.instance", *words], instance_environment(place.data_dir))


# ------------------------------------------------------------------------------------------------------------ CLI


def _hand_to_cli(arguments: list[str]) -> int:
    from launcher import installation

    arguments, data_dir = take_data_dir(arguments)
    place = Place.chosen(data_dir)
    console.leave_standard_output_alone()
    installation.install(storage=False, tests=False)
    environment = with_recorded_storage(instance_environment(place.data_dir))
    return _become([venv_python(), "-P", "-m", "cli", *arguments], environment)


def _become(words: Sequence[object], environment: dict[str, str]) -> int:
    """Let another program take this one's place: by exec, or on Windows by waiting for it and passing its code on."""
    command = [str(word) for word in words]
    sys.stdout.flush()
    if sys.platform != "win32":
        os.execve(command[0], command, environment)  # noqa: S606 - our own interpreter
    on_stop_signals(lambda: None)  # the program hears Ctrl-C itself
    return subprocess.run(command, env=environment, cwd=Path.cwd()).returncode  # noqa: S603 - our own interpreter
