"""What the product is compared with: the same vectors, and nothing but the search for the 40 nearest.

    python -m benchmarks.prediction.peers starlette FOLDER PORT
    python -m benchmarks.prediction.peers fastapi FOLDER PORT

serve the same search over HTTP with the product's own server (uvicorn, one process). Starlette and FastAPI are
benchmark-only packages. `FOLDER` is written by `save`.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
Search = Callable[[Vectors], tuple[npt.NDArray[Any], npt.NDArray[Any]]]  # vector -> places, similarities

NEAREST = 40
_RECALL_AT, _RECALL_WANTED, _PROBES = 10, 0.999, 200
_M, _EF_CONSTRUCTION, _EFS = 16, 100, (64, 96, 128, 192, 256, 384, 512, 1024)


def save(folder: Path, codes: Sequence[str], vectors: Vectors) -> dict[str, Any]:
    """Write the vectors and an HNSW graph of them, with the smallest `ef` that finds what the product must find.

    A graph of the very same vectors that lies in the folder already is kept.

    Returns:
        `ef` and `recall` (at 10, ties counted as found).
    """
    import hnswlib

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "codes.json").write_text(json.dumps(list(codes)), encoding="utf-8")
    if (folder / "graph.json").exists() and np.array_equal(np.load(folder / "vectors.npy", mmap_mode="r"), vectors):
        kept: dict[str, Any] = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
        return kept
    np.save(folder / "vectors.npy", vectors)
    _, first = np.unique(
        np.ascontiguousarray(vectors).view(np.dtype((np.void, vectors.shape[1] * 4))).ravel(), return_index=True
    )
    first.sort()  # hnswlib suffers from masses of duplicates
    graph = hnswlib.Index(space="ip", dim=vectors.shape[1])
    graph.init_index(max_elements=len(first), M=_M, ef_construction=_EF_CONSTRUCTION, random_seed=1)
    graph.add_items(vectors[first], first)
    chosen = _choose_ef(graph, vectors, first)
    graph.save_index(str(folder / "graph.bin"))
    (folder / "graph.json").write_text(json.dumps(chosen), encoding="utf-8")
    return chosen


def _choose_ef(graph: Any, vectors: Vectors, places: npt.NDArray[np.int64]) -> dict[str, Any]:
    probes = vectors[np.random.default_rng(1).permutation(places)[:_PROBES]]
    count = min(_RECALL_AT, len(places))
    scores = probes @ vectors[places].T
    edges = np.partition(scores, scores.shape[1] - count, axis=1)[:, scores.shape[1] - count]
    recall = 0.0
    for ef in _EFS:
        graph.set_ef(ef)
        labels, _ = graph.knn_query(probes, k=count)
        found = np.einsum("nkd,nd->nk", vectors[labels.astype(np.int64)], probes)
        recall = float((found >= edges[:, None] - 1e-5).mean())
        if recall >= _RECALL_WANTED:
            return {"ef": ef, "recall": recall}
    return {"ef": _EFS[-1], "recall": recall}


def load_codes(folder: Path) -> list[str]:
    """Return the codes of the items with a routing."""
    codes: list[str] = json.loads((folder / "codes.json").read_text(encoding="utf-8"))
    return codes


def load_vectors(folder: Path) -> tuple[list[str], Vectors]:
    """Return the item codes and their vectors."""
    return load_codes(folder), np.load(folder / "vectors.npy")


def bare_hnswlib(folder: Path, vectors: Vectors) -> Search:
    """Return the search of hnswlib alone."""
    import hnswlib

    graph = hnswlib.Index(space="ip", dim=vectors.shape[1])
    graph.load_index(str(folder / "graph.bin"))
    graph.set_num_threads(1)
    graph.set_ef(json.loads((folder / "graph.json").read_text(encoding="utf-8"))["ef"])
    count = min(NEAREST, graph.get_current_count())

    def search(vector: Vectors) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        labels, distances = graph.knn_query(vector, k=count)
        return labels[0], 1 - distances[0]

    return search


def exact_numpy(_folder: Path, vectors: Vectors) -> Search:
    """Return the search by one product with every vector."""
    count = min(NEAREST, len(vectors))

    def search(vector: Vectors) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        scores = vectors @ vector
        places = np.argpartition(scores, len(scores) - count)[-count:]
        places = places[np.argsort(-scores[places], kind="stable")]
        return places, scores[places]

    return search


def sklearn_brute(_folder: Path, vectors: Vectors) -> Search:
    """Return scikit-learn's brute-force search."""
    from sklearn.neighbors import NearestNeighbors

    fitted = NearestNeighbors(n_neighbors=min(NEAREST, len(vectors)), algorithm="brute", metric="cosine").fit(vectors)

    def search(vector: Vectors) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        distances, places = fitted.kneighbors(vector[None, :])
        return places[0], 1 - distances[0]

    return search


SEARCHES: dict[str, Callable[[Path, Vectors], Search]] = {
    "bare hnswlib": bare_hnswlib, "exact NumPy": exact_numpy, "scikit-learn brute": sklearn_brute,
}  # fmt: skip


class _Answers:
    """Looks up an item's vector, searches, and writes the nearest codes."""

    def __init__(self, folder: Path, make: Callable[[Path, Vectors], Search]) -> None:
        self._codes, self._vectors = load_vectors(folder)
        self._place = {code: place for place, code in enumerate(self._codes)}
        self._search = make(folder, self._vectors)

    def nearest(self, code: str) -> dict[str, Any]:
        places, similarities = self._search(self._vectors[self._place[code]])
        near = [
            {"item_code": self._codes[place], "similarity": round(similarity, 6)}
            for place, similarity in zip(places.tolist(), similarities.tolist(), strict=True)
        ]
        return {"item_code": code, "near": near}


def starlette_app(folder: Path) -> Any:
    """Return Starlette around hnswlib, with no logic."""
    import orjson
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    answers = _Answers(folder, bare_hnswlib)

    async def predict(request: Request) -> Response:
        asked = orjson.loads(await request.body())
        found = [answers.nearest(item["item_code"]) for item in asked["items"]]
        return Response(orjson.dumps({"predictions": found}), media_type="application/json")

    return Starlette(routes=[Route("/api/predictions", predict, methods=["POST"])])


def fastapi_app(folder: Path) -> Any:
    """Return FastAPI around scikit-learn's brute-force search, as its documentation writes it."""
    from fastapi import FastAPI
    from pydantic import BaseModel

    answers = _Answers(folder, sklearn_brute)

    class Item(BaseModel):
        item_code: str

    class Asked(BaseModel):
        items: list[Item]

    def predict(asked: Asked) -> dict[str, Any]:
        return {"predictions": [answers.nearest(item.item_code) for item in asked.items]}

    app = FastAPI()
    app.post("/api/predictions")(predict)
    return app


APPS: dict[str, Callable[[Path], Any]] = {"starlette": starlette_app, "fastapi": fastapi_app}


def main() -> int:
    """Serve one peer until it is ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("app", choices=APPS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    import uvicorn

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # as the product's own processes have it
        os.environ.setdefault(name, "1")
    uvicorn.run(
        APPS[options.app](options.folder), port=options.port, http="httptools", access_log=False, lifespan="off"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
