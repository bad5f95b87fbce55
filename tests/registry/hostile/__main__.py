"""Put every hostile package of the corpus before the product, and count.

    .venv/bin/python -m tests.registry.hostile            # all of it
    .venv/bin/python -m tests.registry.hostile --few      # one of each idea
    .venv/bin/python -m tests.registry.hostile --reasons  # and say why each was refused

Every item lies in a package that a trusted key signed, its hashes right, so that only what reads it stands in its way.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import structlog

from benchmarks.tampering import demo_package
from shared.registry.signing import Keys
from tests.registry.hostile.bench import Bench, make_packages
from tests.registry.hostile.running import Outcome, run


def table(outcomes: list[Outcome]) -> str:
    """Return the counts as a table of Markdown."""
    lines = ["| kind | ideas | items | refused | by | canary |", "|---|---|---|---|---|---|"]
    kinds = list(dict.fromkeys(outcome.item.kind for outcome in outcomes))
    for kind in [*kinds, ""]:
        mine = [outcome for outcome in outcomes if not kind or outcome.item.kind == kind]
        ideas = len({(outcome.item.kind, outcome.item.idea) for outcome in mine})
        refused = [outcome for outcome in mine if outcome.check]
        by = ", ".join(
            f"{check} {count}" for check, count in Counter(outcome.check for outcome in refused).most_common()
        )
        did = sum(bool(outcome.did) for outcome in mine)
        lines.append(f"| {kind or 'all'} | {ideas} | {len(mine)} | {len(refused)} | {by} | {did} |")
    return "\n".join(lines)


def tell(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Count; 0 when everything was refused and nothing ran."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", action="store_true")
    parser.add_argument("--reasons", action="store_true")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hostile-") as top:
        folder = Path(top)
        keys = Keys(folder / "keys")
        keys.ensure()
        make_packages(folder / "packages", demo_package(folder, keys, 300), keys)
        bench = Bench(packages=folder / "packages", keys_folder=folder / "keys", scratch=folder / "scratch")
        canary = folder / "canary"
        outcomes = []
        for outcome in run(bench, canary, "few" if options.few else "all"):
            outcomes.append(outcome)
            if options.reasons or not outcome.check or outcome.did or not outcome.reason:
                said = f"{outcome.check or 'ACCEPTED'}: {outcome.reason:.160} {outcome.did or ''}"
                tell(f"{outcome.item.kind} / {outcome.item.idea}: {said}")
        sang = canary.exists()
    tell(table(outcomes))
    seconds = time.monotonic() - began
    tell(f"the canary's file: {'there' if sang else 'not there'}; own packages refused: 0; {seconds:.0f} s")
    return int(sang or any(not outcome.check or outcome.did for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
