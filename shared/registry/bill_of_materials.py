"""A package's manifest as a CycloneDX 1.6 bill of materials for machine learning, for those who keep inventories.

It says nothing that the manifest does not say: the same manifest gives the same document, byte for byte. The form is
that of https://cyclonedx.org/docs/1.6/json/.
"""

import uuid
from typing import Any

from shared.registry.manifest import Artifact, Manifest, numbers_among, sha256_hex

SPEC_VERSION = "1.6"
_NAME = "routing-ml-model"
_DISTRIBUTIONS = {"numpy": "numpy", "scikit_learn": "scikit-learn", "joblib": "joblib", "hnswlib": "hnswlib"}
_SERIALS = uuid.UUID("7d0f9d0e-6f0c-5a53-9a6c-0d1c9b3c2f11")  # of this kind of document: name-based numbers need one


def bill_of_materials(manifest: Manifest) -> dict[str, Any]:
    """Return the document of one package: the model with its card and parent, its files, data and libraries."""
    sha256 = sha256_hex(manifest.to_bytes())
    model, data = f"model/{manifest.version}", f"data/{manifest.training.fingerprint[:16]}"
    files = [_file(artifact) for artifact in manifest.artifacts]
    libraries = _libraries(manifest)
    made_of = [*sorted(part["bom-ref"] for part in (*files, *libraries)), data]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SERIALS, sha256)}",
        "version": 1,
        "metadata": {
            "timestamp": manifest.created_at,
            "tools": {"components": [{"type": "application", "name": "Routing ML"}]},
            "component": _model(manifest, model, data, sha256),
        },
        "components": [*files, _data(manifest, data), *libraries],
        "dependencies": [{"ref": model, "dependsOn": made_of}],
    }


def _model(manifest: Manifest, reference: str, data: str, sha256: str) -> dict[str, Any]:
    figures = [{"type": name, "value": repr(value)} for name, value in numbers_among(manifest.metrics).items()]
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": reference,
        "name": _NAME,
        "version": manifest.version,
        "description": "Proposes routings of items, with setup and run minutes.",
        "hashes": [{"alg": "SHA-256", "content": sha256}],
        "modelCard": {
            "modelParameters": {
                "approach": {"type": "supervised"},
                "task": "routing and processing times of manufactured items",
                "architectureFamily": "nearest neighbours and boosted trees",
                "modelArchitecture": manifest.model_kind,
                "datasets": [{"ref": data}],
            },
            "quantitativeAnalysis": {"performanceMetrics": figures},
        },
        "properties": _properties(
            manifest_schema=manifest.schema_version,
            job_id=manifest.training.job_id,
            signed_by=manifest.signature.key_id if manifest.signature else None,
        ),
    }
    if manifest.training.parent is not None:
        parent = {"type": "machine-learning-model", "name": _NAME, "version": manifest.training.parent}
        component["pedigree"] = {"ancestors": [parent]}
    return component


def _file(artifact: Artifact) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": f"file/{artifact.path}",
        "name": artifact.path,
        "hashes": [{"alg": "SHA-256", "content": artifact.sha256}],
        "properties": _properties(role=artifact.role, bytes=str(artifact.bytes)),
    }


def _data(manifest: Manifest, reference: str) -> dict[str, Any]:
    training = manifest.training
    rows = {f"rows.{table}": str(count) for table, count in sorted(training.rows.items())}
    facts = _properties(fingerprint=training.fingerprint, data_as_of=training.data_as_of, **rows)
    return {
        "type": "data",
        "bom-ref": reference,
        "name": training.profile or "data",
        "version": training.data_as_of,
        "data": [{"type": "dataset", "name": training.profile or "data", "contents": {"properties": facts}}],
    }


def _libraries(manifest: Manifest) -> list[dict[str, Any]]:
    found = [{"type": "platform", "bom-ref": "python", "name": "python", "version": manifest.runtime.python}]
    for name, distribution in _DISTRIBUTIONS.items():
        if (version := getattr(manifest.runtime, name)) is None:
            continue
        address = f"pkg:pypi/{distribution}@{version}"
        found.append({"type": "library", "bom-ref": address, "name": distribution, "version": version, "purl": address})
    return found


def _properties(**values: str | None) -> list[dict[str, str]]:
    return [{"name": f"routing-ml:{name}", "value": value} for name, value in values.items() if value is not None]
