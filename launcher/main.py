"""The command line of `manage.py`: `up`, `test` and `doctor` here, everything else by the CLI in the environment."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from launcher import console
from launcher.environment import instance_environment
from launcher.places import DEFAULT_PORT, DEFAULT_STORAGE_PORT, Place, venv_python
from launcher.problems import EXIT_CODE, SetupProblem
from launcher.roles import ROLES
from shared.platform import on_stop_signals

HOSTS = ("auto", "embedded", "core-tools")
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
        return _up(_up_options(arguments[1:]))
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


def _up_options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="manage.py up",
        description="Set up what is missing, then start storage and host and keep them running until Ctrl-C.",
        epilog="example: python3 manage.py up --port 8080 --storage-port 11000 --data-dir /srv/routing-ml",
    )
    parser.add_argument("--port", type=_port, default=DEFAULT_PORT, help="port of the HTTP API (%(default)s)")
    parser.add_argument(
        "--storage-port", type=_port, default=DEFAULT_STORAGE_PORT, help="first of storage's three ports (%(default)s)"
    )
    parser.add_argument("--data-dir", help="where everything of this instance is kept (data/)")
    parser.add_argument("--no-demo", action="store_true", help="make no demo factory and no first model")
    parser.add_argument("--host", choices=HOSTS, default="auto", help="which Functions host (%(default)s)")
    parser.add_argument("--role", choices=ROLES, default="all", help="which functions run here (%(default)s)")
    options = parser.parse_args(arguments)
    if options.port in range(options.storage_port, options.storage_port + 3):
        parser.error(f"--port {options.port} is one of storage's three ports, {options.storage_port} and the next two")
    return options


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65533:
        raise argparse.ArgumentTypeError(f"{number} is not a port (1 to 65533)")
    return number


def _up(options: argparse.Namespace) -> int:
    """Check everything that needs nothing installed, install, and become the supervisor."""
    from launcher import checks, installation

    place = Place.chosen(options.data_dir)
    checks.check_writable(place.data_dir, "The data")
    checks.check_node()
    for name in checks.take_over(place):
        console.note(f"ended {name}, left over from a start that was killed")
    checks.check_ports_free(wanted_ports(options.port, options.storage_port))
    installation.install(storage=True, tests=False)
    installation.describe_installation()
    words = ["--port", options.port, "--storage-port", options.storage_port, "--data-dir", place.data_dir]
    words += ["--host", options.host, "--role", options.role, *(["--no-demo"] if options.no_demo else [])]
    return _become([venv_python(), "-P", "-m", "launcher.instance", *words], instance_environment(place.data_dir))


def wanted_ports(port: int, storage_port: int) -> list[tuple[int, str]]:
    """Return every port an instance listens on, each with the option that changes it."""
    return [(port, "--port"), *((storage_port + offset, "--storage-port") for offset in range(3))]


# ------------------------------------------------------------------------------------------------------------ CLI


def _hand_to_cli(arguments: list[str]) -> int:
    from launcher import installation

    arguments, data_dir = take_data_dir(arguments)
    place = Place.chosen(data_dir)
    console.leave_standard_output_alone()
    installation.install(storage=False, tests=False)
    return _become([venv_python(), "-P", "-m", "cli", *arguments], instance_environment(place.data_dir))


def take_data_dir(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Split `--data-dir DIR` (or `--data-dir=DIR`), wherever it stands, from the other words of a command line."""
    rest: list[str] = []
    data_dir: str | None = None
    words = iter(arguments)
    for word in words:
        if word == "--data-dir":
            data_dir = next(words, None)
            if data_dir is None:
                raise SetupProblem("--data-dir wants a folder.", "Name it, as in `--data-dir /srv/routing-ml`.")
        elif word.startswith("--data-dir="):
            data_dir = word.partition("=")[2]
        else:
            rest.append(word)
    return rest, data_dir


def _become(words: Sequence[object], environment: dict[str, str]) -> int:
    """Let another program take this one's place: by exec, or on Windows by waiting for it and passing its code on."""
    command = [str(word) for word in words]
    sys.stdout.flush()
    if sys.platform != "win32":
        os.execve(command[0], command, environment)  # noqa: S606 - our own interpreter
    on_stop_signals(lambda: None)  # the program hears Ctrl-C itself
    return subprocess.run(command, env=environment, cwd=Path.cwd()).returncode  # noqa: S603 - our own interpreter
