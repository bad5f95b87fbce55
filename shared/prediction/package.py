"""A model as files, and back: DESIGN §7's names, only plain values and arrays inside, no class of this project.

What serving looks at lies in `model_arrays.bin` as it is used, and is mapped; the Parquet tables are for people.
"""

import io
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import joblib
import numpy as np
import polars as pl

from shared.configuration import PredictionConfiguration
from shared.features.encoder import ItemEncoder
from shared.features.table import FeatureTable
from shared.prediction.arrays import ARRAYS_FILE, VALUES_FILE, load_values, save_values
from shared.prediction.candidates.model import CandidateModel
from shared.prediction.history import RoutingHistory
from shared.prediction.knowledge import Knowledge, Memory
from shared.prediction.memory import Items, Routings
from shared.prediction.minutes.model import MinutesModel
from shared.prediction.minutes.observations import Observations
from shared.prediction.model import Origin, RoutingModel
from shared.similarity.index import INDEX_FILE, VECTORS_FILE, NeighbourIndex
from shared.similarity.threads import use_one_thread

ROLES: dict[str, str] = {
    "encoder.joblib": "encoder",
    "scaler.joblib": "encoder",
    "feature_columns.joblib": "encoder",
    "feature_weights.joblib": "encoder",
    "feature_weights.json": "report",
    "active_features.json": "report",
    "feature_importance.json": "report",
    "feature_recommendations.json": "report",
    "feature_statistics.json": "report",
    "time_profiles.json": "report",
    "training_metadata.json": "metadata",
    "metrics.json": "metrics",
    "similarity_engine.joblib": "similarity",
    INDEX_FILE: "similarity",
    VECTORS_FILE: "similarity",
    "items.parquet": "table",
    "routings.parquet": "table",
    "times.parquet": "table",
    VALUES_FILE: "model",
    ARRAYS_FILE: "model",
}
_REPEATED = 1 / 8  # share of distinct texts below which a column is kept as numbers of its texts


class ArtifactReader(Protocol):
    """Reads the files of a package that was verified; `shared.registry` makes one that trusts nothing else."""

    def json(self, name: str) -> Any:
        """Return a JSON file's value."""

    def arrays(self, name: str) -> Any:
        """Return a joblib file's plain values and numpy arrays."""

    def table(self, name: str) -> pl.DataFrame:
        """Return a Parquet file's frame."""

    def content(self, name: str) -> bytes:
        """Return a file's bytes."""

    def path(self, name: str) -> Path:
        """Return where a file lies."""


def save_model(model: RoutingModel, folder: Path, version: str | None = None) -> dict[str, Any]:
    """Write every file of a package but `golden.json` and the manifest into an existing folder.

    `version` is what `metrics.json` calls the model.

    Returns:
        What the manifest says of it: `roles` by file, `model_kind`, `metrics` and `training_rows`.
    """
    memory = model.knowledge
    _save_encoder(memory.encoder, folder)
    _dump(memory.index.state(), folder / "similarity_engine.joblib")
    memory.index.save(folder)
    _compact(memory.items.frame).write_parquet(folder / "items.parquet")
    (folder / "routings.parquet").write_bytes(model.history.parquet)
    times_table(memory).write_parquet(folder / "times.parquet")
    states = {
        "items": memory.items.state(), "routings": memory.routings.state(), "seen": memory.seen.state(),
        "table": memory.table.state(), "candidates": model.knowledge.candidates.state(),
        "minutes": model.knowledge.minutes.state(),
    }  # fmt: skip
    save_values(states, folder)
    named = {} if version is None else {"model_version": version}
    documents = dict(model.documents) | {"metrics.json": model.documents["metrics.json"] | named}
    for name, document in documents.items():
        text = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False, default=str)
        (folder / name).write_text(text + "\n", encoding="utf-8", newline="\n")
    metrics = model.documents["metrics.json"]
    rows = {
        "items": len(memory.items.codes), "routings": model.history.rows,
        "work_results": int(metrics["dataset_stats"]["work_results"]),
    }  # fmt: skip
    return {"roles": dict(ROLES), "model_kind": model.model_kind, "metrics": metrics, "training_rows": rows}


def _save_encoder(encoder: ItemEncoder, folder: Path) -> None:
    state = encoder.state()
    _dump(state.pop("weights"), folder / "feature_weights.joblib")
    _dump(state, folder / "encoder.joblib")
    _dump({"scales": encoder.scales}, folder / "scaler.joblib")
    _dump({"columns": [a.name for a in encoder.attributes], "features": encoder.get_feature_names_out()},
          folder / "feature_columns.joblib")  # fmt: skip


def _dump(value: Any, path: Path) -> None:
    buffer = io.BytesIO()
    joblib.dump(value, buffer, compress=3, protocol=4)
    path.write_bytes(buffer.getvalue())


def _compact(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the items with each column of few distinct texts as numbers of its texts: half the memory."""
    repeated = [
        name
        for name, kind in frame.schema.items()
        if kind == pl.String() and frame[name].n_unique() < _REPEATED * frame.height
    ]
    return frame.with_columns(pl.col(repeated).cast(pl.Categorical()))


def times_table(memory: Memory) -> pl.DataFrame:
    """Return what work results say of each operation of the current routings that has any."""
    routings, seen, codes = memory.routings, memory.seen, memory.items.frame["item_code"]
    rows = np.flatnonzero(seen.orders > 0)
    owner = np.searchsorted(routings.offsets, rows, side="right") - 1
    return pl.DataFrame({
        "item_code": codes.gather(owner),
        "operation_code": pl.Series(routings.operations).gather(routings.operation[rows]),
        "occurrence": routings.occurrence[rows], "orders": seen.orders[rows], "trimmed": seen.trimmed[rows],
        "typical_setup_minutes": pl.Series(np.exp(seen.results[rows, 0])).fill_nan(None),
        "typical_run_minutes_per_unit": np.exp(seen.results[rows, 1]),
        "trimmed_mean": seen.trimmed_mean[rows], "std": seen.std[rows],
    })  # fmt: skip


def load_model(reader: ArtifactReader) -> RoutingModel:
    """Take a model from a verified package; it answers as the saved one did."""
    use_one_thread()
    documents: Mapping[str, Any] = {name: reader.json(name) for name, role in ROLES.items() if role in _TOLD}
    metadata = documents["training_metadata.json"]
    states = load_values(reader.json(VALUES_FILE), reader.path(ARRAYS_FILE))
    items = Items.from_state(states["items"], reader.table("items.parquet"))
    routed = np.flatnonzero(states["routings"]["signature"] >= 0)
    knowledge = Knowledge(
        encoder=_load_encoder(reader), table=FeatureTable.from_state(states["table"]), items=items,
        routings=Routings.from_state(states["routings"]), seen=Observations.from_state(states["seen"]),
        index=NeighbourIndex.load(
            reader.arrays("similarity_engine.joblib"), reader.path(VECTORS_FILE), reader.path(INDEX_FILE),
            [items.codes[place] for place in routed.tolist()],
        ),
        routed=routed,
        candidates=CandidateModel.from_state(states["candidates"]), minutes=MinutesModel.from_state(states["minutes"]),
    )  # fmt: skip
    origin = Origin(
        profile=metadata["profile"], data_as_of=datetime.fromisoformat(metadata["data_as_of"]),
        fingerprint=metadata["fingerprint"], excluded_items=tuple(metadata["excluded_items"]),
    )  # fmt: skip
    return RoutingModel(
        origin=origin, settings=PredictionConfiguration.model_validate(metadata["configuration"]),
        knowledge=knowledge, history=RoutingHistory.read(reader.content("routings.parquet")), documents=documents,
    )  # fmt: skip


_TOLD = ("report", "metadata", "metrics")


def _load_encoder(reader: ArtifactReader) -> ItemEncoder:
    weights = reader.arrays("feature_weights.joblib")
    encoder = ItemEncoder.from_state({**reader.arrays("encoder.joblib"), "weights": weights})
    if not np.allclose(encoder.scales, reader.arrays("scaler.joblib")["scales"]):
        raise ValueError("scaler.joblib and feature_weights.joblib contradict each other.")
    return encoder
