#!/usr/bin/env python3
"""Set up, start, test and examine Routing ML: `python3 manage.py up` is all a new machine needs.

Only the standard library is imported here, and only syntax that any Python 3 understands is used, so that a wrong
Python is told which one is needed.
"""

import sys

OLDEST, NEWEST = (3, 11), (3, 13)


def main():  # type: ignore[no-untyped-def]
    """Refuse a Python that cannot run the rest, else hand the command line to the launcher."""
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        this = ".".join(map(str, sys.version_info[:2]))
        sys.stderr.write(
            "Routing ML needs Python 3.11, 3.12 or 3.13 and this is " + this + " (" + sys.executable + "): "
            "run manage.py with one of those, for example `python3.12 manage.py up`.\n"
        )
        return 20
    from launcher.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())  # type: ignore[no-untyped-call]
