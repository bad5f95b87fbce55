"""`python -m benchmarks.alarms.residuals SNAPSHOT FILE`: a factory's own relative errors, item by item, as .npy."""

import sys
from pathlib import Path

import numpy as np

from shared.configuration import default_configuration
from shared.erp.snapshot import open_snapshot
from shared.prediction.fit import fit_model
from shared.quality.evidence.reference import draw_reference

ITEMS, VALUES = 2_000, 12


def main() -> None:
    """Fit a model, ask for items as if unknown, and keep what it missed on one order of each."""
    snapshot = open_snapshot(Path(sys.argv[1]))
    model = fit_model(snapshot, default_configuration())
    periods = draw_reference(snapshot, model, seed=1, size=ITEMS)
    items = [item.relative_errors for period in periods for item in period if item.relative_errors]
    errors = np.full((len(items), VALUES), np.nan)
    for place, values in enumerate(items):
        kept = [value for _, value in values[:VALUES]]
        errors[place, : len(kept)] = kept
    np.save(sys.argv[2], errors)


if __name__ == "__main__":
    main()
