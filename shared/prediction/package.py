"""A model as files, and back: DESIGN §7's names, only plain values and arrays inside, no class of this project."""

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
from shared.erp.canonical import item_schema
from shared.features.encoder import ItemEncoder
from shared.prediction.answering import Knowledge
from shared.prediction.cells import build_cells
from shared.prediction.memory import build_items, build_routings
from shared.prediction.model import RoutingModel
from shared.prediction.presence import Forest
from shared.prediction.timing import TimeModel, observe
from shared.prediction.voting import VoteModel
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
    "training_metadata.json": "metadata",
    "metrics.json": "metrics",
    "similarity_engine.joblib": "similarity",
    INDEX_FILE: "similarity",
    VECTORS_FILE: "similarity",
    "items.parquet": "table",
    "routings.parquet": "table",
    "times.parquet": "table",
    "time_models.joblib": "times",
    "vote_model.joblib": "votes",
    "operation_forests.joblib": "votes",
}


class ArtifactReader(Protocol):
    """Reads the files of a package that was verified; `shared.registry` makes one that trusts nothing else."""

    def json(self, name: str) -> Any:
        """Return a JSON file's value."""

    def arrays(self, name: str) -> Any:
        """Return a joblib file's plain values and numpy arrays."""

    def table(self, name: str) -> pl.DataFrame:
        """Return a Parquet file's frame."""

    def path(self, name: str) -> Path:
        """Return where a file lies."""


def save_model(model: RoutingModel, folder: Path) -> dict[str, Any]:
    """Write every file of a package but `golden.json` and the manifest into an existing folder.

    Returns:
        `roles` (file name to role), `model_kind`, `metrics` and `training_rows`.
    """
    knowledge, encoder = model.knowledge, model.knowledge.encoder
    state = encoder.state()
    weights = state.pop("weights")
    arrays: dict[str, Any] = {
        "encoder.joblib": state,
        "scaler.joblib": {"scales": encoder.scales, "attributes": list(weights)},
        "feature_columns.joblib": {"attributes": list(weights), "features": encoder.get_feature_names_out()},
        "feature_weights.joblib": weights,
        "similarity_engine.joblib": model.index.state(),
        "time_models.joblib": knowledge.times.state(),
        "vote_model.joblib": knowledge.votes.state(),
        "operation_forests.joblib": [forest.state() for forest in knowledge.forests],
    }
    for name, value in arrays.items():
        buffer = io.BytesIO()
        joblib.dump(value, buffer, compress=3, protocol=4)
        (folder / name).write_bytes(buffer.getvalue())
    model.index.save(folder)
    knowledge.items.frame.write_parquet(folder / "items.parquet")
    knowledge.routings.frame.write_parquet(folder / "routings.parquet")
    model.cells_frame.write_parquet(folder / "times.parquet")
    for name, document in model.documents.items():
        text = json.dumps(document, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False, default=str)
        (folder / name).write_text(text + "\n", encoding="utf-8", newline="\n")
    rows = {
        "items": knowledge.items.frame.height,
        "routings": knowledge.routings.frame.height,
        "work_results": int(model.documents["metrics.json"]["dataset_stats"]["work_results"]),
    }
    return {
        "roles": dict(ROLES), "model_kind": model.model_kind, "metrics": model.documents["metrics.json"],
        "training_rows": rows,
    }  # fmt: skip


def load_model(reader: ArtifactReader) -> RoutingModel:
    """Rebuild a model from a verified package; it answers as the saved one did."""
    use_one_thread()
    documents: Mapping[str, Any] = {name: reader.json(name) for name, role in ROLES.items() if name.endswith(".json")}
    metadata = documents["training_metadata.json"]
    weights = reader.arrays("feature_weights.joblib")
    encoder = ItemEncoder.from_state({**reader.arrays("encoder.joblib"), "weights": weights})
    if not np.allclose(encoder.scales, reader.arrays("scaler.joblib")["scales"]):
        raise ValueError("scaler.joblib and feature_weights.joblib contradict each other.")
    frame = reader.table("items.parquet").cast(item_schema(encoder.attributes))  # type: ignore[arg-type]
    items = build_items(frame, encoder.attributes, fold_count=metadata["fold_count"])
    routings = build_routings(reader.table("routings.parquet"), items)
    cells_frame = reader.table("times.parquet")
    cells = build_cells(cells_frame, items, routings)
    index = NeighbourIndex.load(
        reader.arrays("similarity_engine.joblib"), reader.path(VECTORS_FILE), reader.path(INDEX_FILE)
    )
    routed = np.flatnonzero(routings.signature >= 0)
    if [items.codes[place] for place in routed] != index.item_codes:
        raise ValueError("similarity_engine.joblib and routings.parquet do not name the same items.")
    knowledge = Knowledge(
        configuration=PredictionConfiguration.model_validate(metadata["configuration"]), encoder=encoder, items=items,
        routings=routings, cells=cells, seen=observe(routings, cells),
        votes=VoteModel(**reader.arrays("vote_model.joblib")),
        forests=tuple(Forest(**state) for state in reader.arrays("operation_forests.joblib")),
        times=TimeModel(**reader.arrays("time_models.joblib")),
    )  # fmt: skip
    return RoutingModel(
        profile=metadata["profile"], data_as_of=datetime.fromisoformat(metadata["data_as_of"]),
        fingerprint=metadata["fingerprint"], knowledge=knowledge, index=index, routed=routed,
        excluded_items=metadata["excluded_items"], documents=documents, cells_frame=cells_frame,
    )  # fmt: skip
