"""Golden questions: what a model answered when it was packaged, asked again whenever it is loaded."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.prediction.answers import ItemPrediction, ItemQuery
from shared.prediction.model import RoutingModel

GOLDEN_FILE = "golden.json"
SCHEMA_VERSION = "routing-ml/golden@1"
QUANTITY = 10.0
_RELATIVE = 1e-6
_ABSOLUTE = 2e-6  # minutes are answered to six decimals: the last may round either way on another machine
_MOST_DIFFERENCES = 20


def write_golden(model: RoutingModel, folder: Path, *, count: int = 64, seed: int = 42) -> dict[str, Any]:
    """Ask `count` seeded questions, write them with their answers to `golden.json`, and return the document.

    A third are known items, a third known items asked as if unknown, a third the attributes of items under a new code.
    """
    excluded = frozenset(model.excluded_items)  # what nothing was learned from is not asked about either
    shuffled = np.random.default_rng(seed).permutation(len(model.knowledge.items.codes)).tolist()
    chosen = [place for place in shuffled if model.knowledge.items.codes[place] not in excluded]
    cases: list[dict[str, Any]] = []
    for number, place in enumerate(chosen[:count]):
        values = model.knowledge.items.frame.row(place, named=True)
        code = values.pop("item_code")
        given = {name: _plain(value) for name, value in values.items() if value is not None}
        query = {"item_code": f"golden {number}", "attributes": given} if number % 3 == 2 else {"item_code": code}
        cases.append({"query": query, "as_if_unknown": number % 3 == 1})
    cases = [{**case, "answer": answer} for case, answer in zip(cases, _ask(model, cases), strict=True)]
    document = {"schema_version": SCHEMA_VERSION, "quantity": QUANTITY, "cases": cases}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    (folder / GOLDEN_FILE).write_text(text + "\n", encoding="utf-8", newline="\n")
    return document


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float) else value.isoformat()


def _ask(model: RoutingModel, cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the condensed answers to all cases, asked in as few calls as there are ways to ask."""
    ways = [bool(case["as_if_unknown"]) for case in cases]
    queries = [ItemQuery.model_validate(case["query"]) for case in cases]
    answers = {
        way: iter(
            model.predict(
                [query for query, own in zip(queries, ways, strict=True) if own is way],
                quantity=QUANTITY, as_if_unknown=way,
            )
        )
        for way in (False, True)
    }  # fmt: skip
    return [_condensed(next(answers[way])) for way in ways]


def _condensed(answer: ItemPrediction) -> dict[str, Any]:
    return {
        "status": answer.status.value,
        "candidates": [
            {
                "source": candidate.source.value,
                "signature": candidate.routing_signature,
                "probability": candidate.probability,
                "similarity": candidate.similarity,
                "resources": [operation.resource_code for operation in candidate.operations],
                "minutes": [
                    [operation.order_minutes.low, operation.order_minutes.value, operation.order_minutes.high]
                    for operation in candidate.operations
                ],
                "evidence": [item.item_code for item in candidate.evidence],
            }
            for candidate in answer.candidates
        ],
    }


def replay_golden(model: RoutingModel, golden: Mapping[str, Any]) -> list[str]:
    """Ask a golden document's questions again and return what differs, in words; an empty list is a pass.

    Numbers may differ by one part in a million.
    """
    if golden.get("schema_version") != SCHEMA_VERSION or not golden.get("cases"):
        return [f"golden.json is not a document of {SCHEMA_VERSION} with cases."]
    differences: list[str] = []
    answers = _ask(model, golden["cases"])
    for number, (case, answer) in enumerate(zip(golden["cases"], answers, strict=True)):
        _compare(f"case {number}", case["answer"], answer, differences)
        if len(differences) >= _MOST_DIFFERENCES:
            break
    return differences[:_MOST_DIFFERENCES]


def _compare(where: str, wanted: Any, found: Any, differences: list[str]) -> None:
    if isinstance(wanted, Mapping) and isinstance(found, Mapping) and wanted.keys() == found.keys():
        for key in wanted:
            _compare(f"{where}.{key}", wanted[key], found[key], differences)
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for place, pair in enumerate(zip(wanted, found, strict=True)):
            _compare(f"{where}[{place}]", *pair, differences)
    elif not _alike(wanted, found):
        differences.append(f"{where}: expected {wanted!r}, got {found!r}")


def _alike(wanted: Any, found: Any) -> bool:
    numbers = (int, float)
    if isinstance(wanted, numbers) and isinstance(found, numbers):
        return math.isclose(wanted, found, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)
    return bool(wanted == found)
