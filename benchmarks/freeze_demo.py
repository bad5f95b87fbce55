"""Measure the demo factories whose difficulty is frozen, and print what belongs into `config/demo-difficulty.yaml`.

    .venv/bin/python -m benchmarks.freeze_demo --items 2000 5000 321000

For a new version of the generator only: every published figure has to be measured again afterwards.
"""

import argparse
import tempfile
from pathlib import Path

import yaml

from shared.erp.demo.frozen import SAMPLE, hashes_of, measure_folder, parameters_hash
from shared.erp.demo.generate import VERSION, generate_demo


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the demo factories whose difficulty is frozen.")
    parser.add_argument("--items", type=int, nargs="+", default=[2000, 5000, 321_000])
    parser.add_argument("--seed", type=int, default=42)
    asked = parser.parse_args()
    factories = []
    for items in asked.items:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch, "factory")
            generate_demo(folder, items=items, seed=asked.seed)
            figures = measure_folder(folder, Path(scratch, "extract"))
            factories.append({"items": items, "seed": asked.seed, "sha256": hashes_of(folder), "figures": figures})
    head = {"generator_version": VERSION, "parameters_sha256": parameters_hash(), "sample": SAMPLE}
    print(yaml.safe_dump({**head, "factories": factories}, sort_keys=False))


if __name__ == "__main__":
    main()
