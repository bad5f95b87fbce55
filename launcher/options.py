"""The words of `manage.py up`, and the one option that every command knows."""

import argparse
from collections.abc import Sequence

from launcher.places import DEFAULT_PORT, DEFAULT_STORAGE_PORT
from launcher.problems import SetupProblem
from launcher.roles import ROLES

HOSTS = ("auto", "embedded", "core-tools")


def up_options(arguments: Sequence[str]) -> argparse.Namespace:
    """Return what the words after `up` ask for; a wrong one ends the program with a usage line."""
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


def wanted_ports(port: int, storage_port: int | None) -> list[tuple[int, str]]:
    """Return every port an instance listens on, each with the option that changes it; None: it starts no storage."""
    own = [] if storage_port is None else [(storage_port + offset, "--storage-port") for offset in range(3)]
    return [(port, "--port"), *own]


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
