"""Puts items before the product in a process that is watched, and tells of each on a line of its own.

    python -m tests.registry.hostile.worker PACKAGES KEYS SCRATCH CANARY which FROM

Whatever the process does that loading a package has no need of is told: programs, connections, imports, writing.
"""

import json
import sys
from pathlib import Path
from typing import Any

import structlog

from shared.registry.apart import load_here
from shared.registry.verify import check_package
from tests.registry.hostile.bench import Bench
from tests.registry.hostile.corpus import chosen

_FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty", "os.putenv", "os.startfile", "os.kill",
    "subprocess.Popen", "socket.", "ctypes.", "pickle.find_class", "marshal.", "code.__new__", "shutil.", "import",
    "urllib.", "webbrowser.", "pty.", "exec", "compile",
)  # fmt: skip


class Watch:
    """Notes what the process does while it is on."""

    def __init__(self, scratch: Path) -> None:
        self.on = False
        self.seen: list[str] = []
        self._scratch = str(scratch)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note an audited event that is none of loading's business."""
        if not self.on:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & 3)
            if writes and not str(path).startswith(self._scratch):
                self.seen.append(f"open {path} {mode}")
        elif event.startswith(_FORBIDDEN):
            self.seen.append(f"{event} {arguments!r:.80}")


def main() -> None:
    """Try the items one after the other, from a place in their list on."""
    packages, keys, scratch, canary = (Path(argument) for argument in sys.argv[1:5])
    which, begin = sys.argv[5], int(sys.argv[6])
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    bench = Bench(packages=packages, keys_folder=keys, scratch=scratch)
    for kind in sorted(path.name for path in packages.iterdir()):  # imports what loading imports
        package = check_package(packages / kind / "pilot", bench.keys)
        told = load_here(package.folder, package.manifest_sha256)
        sys.stdout.write(json.dumps({"own": kind, "told": told}, default=str) + "\n")
    watch = Watch(scratch)
    sys.addaudithook(watch)
    prepare = type(bench).prepared

    def prepared(self: Bench, item: Any) -> Any:  # making the item is ours, and may do what it likes
        watch.on = False
        try:
            return prepare(self, item)
        finally:
            watch.on = True

    Bench.prepared = prepared  # type: ignore[method-assign]
    for number, item in enumerate(chosen(which, canary)):
        if number < begin:
            continue
        watch.seen.clear()
        try:
            told = bench.tried(item)
        except Exception as fault:
            told = {"check": "", "reason": f"{type(fault).__name__}: {fault}"}
        watch.on = False
        sys.stdout.write(json.dumps({"number": number, "did": watch.seen, **told}, default=str) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
