"""`python -m funchost`: runs the function app of a folder until it is told to stop."""

import argparse
import os
import sys
from pathlib import Path

from funchost.errors import HostError


def main(arguments: list[str] | None = None) -> int:
    """Run the host; return 0 after an ordinary stop and 1 when it could not start."""
    parser = argparse.ArgumentParser(
        prog="python -m funchost",
        description="Run an Azure Functions app (Python v2 programming model) on this machine.",
        epilog="Example: python -m funchost --app-dir . --port 7071 --state-dir data/host",
    )
    parser.add_argument(
        "--app-dir", type=Path, default=Path(), help="folder with function_app.py and host.json (default: here)"
    )
    parser.add_argument("--host", dest="address", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default 7071; 0 takes a free one)")
    parser.add_argument(
        "--state-dir", type=Path, help="folder for the host's keys (default: .funchost in the app folder)"
    )
    parser.add_argument("--strict", action="store_true", help="do not start when a single function has an error")
    options = parser.parse_args(arguments)
    from funchost.start import run_host

    try:
        return run_host(
            app_dir=options.app_dir.resolve(),
            state_dir=options.state_dir,
            address=options.address,
            port=options.port,
            strict=options.strict,
            environment=os.environ,
        )
    except HostError as error:
        sys.stderr.write(f"funchost: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
