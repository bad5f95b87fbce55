"""Values with arrays come back as they were, mapped, and never from outside their file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.prediction.arrays import ARRAYS_FILE, VALUES_FILE, load_values, save_values


def _saved(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    save_values(values, folder)
    document: dict[str, Any] = json.loads((folder / VALUES_FILE).read_text(encoding="utf-8"))
    return document


def test_nested_values_and_arrays_of_every_kind_come_back(tmp_path: Path) -> None:
    values = {
        "name": "größe", "steps": [1, (2, None)], "share": np.float64(0.25), "nested": {
            "wide": np.arange(12, dtype=">i4").reshape(3, 4)[:, ::2], "flags": np.array([True, False]),
            "empty": np.zeros((0, 7)), "times": [np.array([np.nan, np.inf]), np.array(3.5, dtype=np.float32)],
        },
    }  # fmt: skip
    found = load_values(_saved(values, tmp_path), tmp_path / ARRAYS_FILE)
    assert (found["name"], found["steps"], found["share"]) == ("größe", [1, [2, None]], 0.25)
    nested = found["nested"]
    np.testing.assert_array_equal(nested["wide"], [[0, 2], [4, 6], [8, 10]])
    np.testing.assert_array_equal(nested["flags"], [True, False])
    assert nested["empty"].shape == (0, 7)
    np.testing.assert_array_equal(nested["times"][0], [np.nan, np.inf])
    assert nested["times"][1].dtype == np.float32
    assert nested["times"][1] == 3.5
    assert not nested["wide"].flags.writeable


@pytest.mark.parametrize(
    "change",
    [{"start": 72}, {"start": -8}, {"shape": [10_000]}, {"shape": [-1]}, {"dtype": "|O"}, {"dtype": "<U4"}],
    ids=lambda change: str(change),
)
def test_an_array_that_is_not_in_the_file_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    document = _saved({"numbers": np.arange(8.0)}, tmp_path)
    document["arrays"][0] |= change
    with pytest.raises((ValueError, TypeError)):
        load_values(document, tmp_path / ARRAYS_FILE)


def test_a_document_of_another_kind_is_refused(tmp_path: Path) -> None:
    document = _saved({"numbers": np.arange(8.0)}, tmp_path)
    with pytest.raises(ValueError, match="arrays@2"):
        load_values({**document, "schema_version": "other"}, tmp_path / ARRAYS_FILE)
