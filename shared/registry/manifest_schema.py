"""The manifest's form as a JSON Schema that is kept in the repository, for programs that write packages elsewhere.

    python -m shared.registry.manifest_schema    writes it anew after a change of `manifest`

What a schema cannot say (canonical bytes, paths that stay inside, no two paths alike without case) the reader checks.
"""

import json
from pathlib import Path
from typing import Any

from shared.registry.manifest import SCHEMA_VERSION, Manifest

SCHEMA_FILE = Path(__file__).parent / "schemas" / f"{SCHEMA_VERSION.replace('/', '-').replace('@', '-')}.schema.json"


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the manifest's present version."""
    document = Manifest.model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{SCHEMA_VERSION.replace('/', ':').replace('@', ':')}",
        **document,
        "title": "Manifest of a Routing ML model package",
    }


def schema_text() -> str:
    """Return the file's text."""
    return json.dumps(manifest_schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
