"""What is written of a package for others: the manifest's schema and the bill of materials."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from shared.registry.bill_of_materials import bill_of_materials
from shared.registry.manifest import Manifest, parse_manifest, read_manifest_file
from shared.registry.manifest_schema import SCHEMA_FILE, schema_text
from tests.registry.registry_support import Instance


@pytest.fixture
def manifest(built: Path) -> Manifest:
    return parse_manifest(read_manifest_file(built))


def test_the_schema_in_the_repository_is_that_of_the_code() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "python -m shared.registry.manifest_schema"


def test_a_written_manifest_fits_the_schema_and_a_bent_one_does_not(built: Path) -> None:
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    document = json.loads(read_manifest_file(built))
    assert list(validator.iter_errors(document)) == []
    for name in document.keys() - {"signature"}:
        assert list(validator.iter_errors({key: value for key, value in document.items() if key != name})), name
    assert list(validator.iter_errors({**document, "more": 1}))
    assert list(validator.iter_errors({**document, "signature": {**document["signature"], "algorithm": "none"}}))


def test_the_bill_of_materials_is_a_good_cyclonedx_document(manifest: Manifest) -> None:
    text = json.dumps(bill_of_materials(manifest))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    with_parent = manifest.model_copy(
        update={"training": manifest.training.model_copy(update={"parent": "before", "job_id": "job_2"})}
    )
    document = bill_of_materials(with_parent)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is None
    assert document["metadata"]["component"]["pedigree"]["ancestors"][0]["version"] == "before"


def test_it_names_every_file_with_its_hash_and_every_figure(manifest: Manifest) -> None:
    document = bill_of_materials(manifest)
    files = {part["name"]: part["hashes"][0]["content"] for part in document["components"] if part["type"] == "file"}
    assert files == {artifact.path: artifact.sha256 for artifact in manifest.artifacts}
    [card] = [document["metadata"]["component"]["modelCard"]]
    figures = {one["type"]: one["value"] for one in card["quantitativeAnalysis"]["performanceMetrics"]}
    assert figures["mae"] == repr(manifest.metrics["mae"])
    references = {part["bom-ref"] for part in document["components"]}
    assert set(document["dependencies"][0]["dependsOn"]) == references


def test_the_same_manifest_gives_the_same_document(manifest: Manifest) -> None:
    first = bill_of_materials(manifest)
    assert first == bill_of_materials(parse_manifest(manifest.to_bytes()))
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", first["serialNumber"])
    other = manifest.model_copy(update={"version": "another"})
    assert bill_of_materials(other)["serialNumber"] != first["serialNumber"]


def test_an_installed_version_has_one(instance: Instance) -> None:
    instance.install("first")
    assert instance.lifecycle.bill_of_materials("first")["metadata"]["component"]["version"] == "first"
