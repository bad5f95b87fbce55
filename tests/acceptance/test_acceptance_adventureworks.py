"""Real public data that nobody here wrote: what was withheld from training is predicted, and is not in the package."""

import csv
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.acceptance.acceptance_support import PROJECT, RunningInstance

pytestmark = [pytest.mark.azurite, pytest.mark.slow]

DATA = Path(os.environ.get("ROUTING_TEST_DATA", PROJECT.parent / "shared" / "data")) / "adventureworks"
# One item of each kind of routing: a bike, a fork, a handlebar, a seat, and two frames that are painted differently.
WITHHELD = ("749", "804", "808", "517", "747", "748")


def _real_routings() -> dict[str, list[str]]:
    """Each withheld item's locations in order, read from the raw file without any of our code."""
    import gzip

    steps: dict[str, set[tuple[int, str]]] = {code: set() for code in WITHHELD}
    with gzip.open(DATA / "WorkOrderRouting.csv.gz", "rt", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["ProductID"] in steps:
                steps[row["ProductID"]].add((int(row["OperationSequence"]), row["LocationID"]))
    return {code: [location for _, location in sorted(found)] for code, found in steps.items()}


@pytest.fixture(scope="module")
def trained(instance_of: Any, tmp_path_factory: pytest.TempPathFactory) -> RunningInstance:
    """An instance whose only model was trained on AdventureWorks without the withheld items."""
    if not DATA.is_dir():
        pytest.skip(f"needs the AdventureWorks files in {DATA} (or under ROUTING_TEST_DATA)")
    instance: RunningInstance = instance_of("adventureworks", "--no-demo")
    instance.up(wants_model=False)
    codes = tmp_path_factory.mktemp("withheld") / "codes.txt"
    codes.write_text("\n".join(WITHHELD))
    done = instance.manage(
        "train",
        "--profile",
        "adventureworks",
        "--data",
        str(DATA),
        "--exclude-items",
        str(codes),
        "--activate",
        "--json",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return instance


@pytest.mark.parametrize("code", WITHHELD)
def test_a_withheld_item_gets_its_real_location_sequence(trained: RunningInstance, code: str) -> None:
    real = _real_routings()[code]
    assert real
    answer = trained.predict(code, as_if_unknown=True)
    assert answer.status_code == 200, answer.text
    candidate = answer.json()["predictions"][0]["candidates"][0]
    assert candidate["source"] == "predicted"
    assert [operation["operation_code"] for operation in candidate["operations"]] == real


def test_nothing_of_a_withheld_item_is_in_the_package(trained: RunningInstance) -> None:
    active = trained.get("models/active")["version"]
    package = trained.data_dir / "models" / active
    found = 0
    for file in package.glob("*.parquet"):
        table = pl.read_parquet(file)
        if "item_code" in table.columns and file.name != "items.parquet":
            found += 1
            assert not set(WITHHELD) & set(table["item_code"].to_list()), file.name
    assert found >= 2
