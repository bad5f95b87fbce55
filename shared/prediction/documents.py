"""What a package says of itself in JSON: weights, what the attributes are like, how well the model answers."""

from typing import Any

from shared.configuration import Configuration
from shared.features.learned import LearnedWeights
from shared.features.statistics import feature_importance, feature_recommendations
from shared.prediction.knowledge import Knowledge
from shared.prediction.model import Origin


def package_documents(
    origin: Origin, configuration: Configuration, memory: Knowledge, learned: LearnedWeights,
    statistics: dict[str, Any], counts: dict[str, int], metrics: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Return the package's JSON documents by file name.

    Args:
        origin: what the model was made from.
        configuration: what it was fitted with.
        memory: its items, routings and index, and what was learned.
        learned: the factors that were learned on the weights that people set.
        statistics: measured figures of each attribute.
        counts: rows of the tables, by name.
        metrics: how withheld items are answered.
    """
    weights = memory.encoder.weights
    importance = feature_importance(weights, statistics)
    factors = dict(zip(weights, learned.factors.tolist(), strict=True))
    active = {name: weight > 0 for name, weight in weights.items()}
    return {
        "feature_weights.json": {
            "version": "3.0", "data_as_of": origin.data_as_of.isoformat(), "weights": weights,
            "active_features": active, "set_by_people": {name: weights[name] / factors[name] for name in weights},
            "learned_factors": factors, "learned_from_items": learned.items,
            "log_chance_before": learned.before, "log_chance_after": learned.after,
        },
        "active_features.json": active,
        "feature_importance.json": importance,
        "feature_recommendations.json": feature_recommendations(importance, weights),
        "feature_statistics.json": statistics,
        "training_metadata.json": _metadata(origin, configuration, memory, counts, sum(active.values())),
        "metrics.json": {
            "training_samples": counts["routed_items"],
            "dataset_stats": {
                "total_samples": counts["routing_rows"], "unique_items": counts["routed_items"],
                "unique_processes": len(memory.routings.operations), "work_results": counts["work_results"],
                "missing_item_code": counts["missing_item_code"],
                "missing_process_code": counts["missing_process_code"],
            },
            "similarity_recall_at_10": memory.index.recall, **metrics,
        },
    }  # fmt: skip


def _metadata(
    origin: Origin, configuration: Configuration, memory: Knowledge, counts: dict[str, int], features: int
) -> dict[str, Any]:
    return {
        "model_kind": memory.minutes.form.kind, "profile": origin.profile, "fingerprint": origin.fingerprint,
        "data_as_of": origin.data_as_of.isoformat(), "total_items": counts["items"],
        "indexed_items": counts["routed_items"], "total_features": features,
        "original_features": len(memory.encoder.attributes), "vector_dimension": memory.encoder.size,
        "tree_features": len(memory.table.names), "seed": configuration.training.seed,
        "configuration": configuration.prediction.model_dump(mode="json"),
        "similarity": dict(memory.index.parameters), "excluded_items": list(origin.excluded_items),
        "families": len(memory.items.family_names), "signatures": len(memory.routings.signatures),
        "operations": len(memory.routings.operations), "folds": memory.items.fold_count,
    }  # fmt: skip
