"""A tiny factory that a test can bend: three CSV files, and the profile document that reads them."""

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from shared.erp.extract import extract
from shared.erp.profiles.model import parse_profile
from shared.erp.snapshot import Snapshot
from shared.erp.sources.location import FolderLocation

NOW = datetime(2025, 6, 1, 8, 30, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {
    "name": "tiny",
    "items": {
        "table": "parts",
        "columns": {"item_code": "code"},
        "attributes": {
            "kind": {"kind": "categorical", "family": True},
            "diameter": {
                "kind": "numeric",
                "unit": "mm",
                "unit_column": "diameter_unit",
                "zero_is_unknown": True,
            },
        },
    },
    "routings": {
        "table": "steps",
        "columns": {
            "item_code": "code",
            "sequence": "seq",
            "operation_code": "job",
            "inside": "where",
            "setup_minutes": "setup",
            "run_minutes_per_unit": "run",
        },
        "time_unit": "minutes",
    },
    "work_results": {
        "table": "reports",
        "columns": {
            "item_code": "code",
            "sequence": "seq",
            "operation_code": "job",
            "reported_at": "day",
            "quantity": "pieces",
            "setup_minutes": "setup_hours",
            "run_minutes": "run_hours",
        },
        "time_unit": "hours",
    },
}
FILES = {
    "parts.csv": "code,kind,diameter,diameter_unit\n007,ring,10,MM\n8,ring,1,inch\n9,seal,0,\n",
    "steps.csv": "code,seq,job,where,setup,run\n007,10,TURN,사내,5,2\n007,20,COAT,외주,,3\n8,10,TURN,사내,6,4\n",
    "reports.csv": (
        "code,seq,job,day,pieces,setup_hours,run_hours\n"
        "007,10,TURN,2025-05-01,4,0.1,0.2\n"
        "8,10,TURN,2025-05-02 13:45:00,2,0.5,1\n"
    ),
}


class TinyFactory:
    """The files and the profile of a factory small enough to read at a glance."""

    def __init__(self, folder: Path) -> None:
        self.source = folder / "source"
        self.snapshots = folder / "snapshots"
        self.source.mkdir()
        self.document = copy.deepcopy(DOCUMENT)
        for name, content in FILES.items():
            self.write(name, content)

    def write(self, name: str, content: str | bytes) -> None:
        """Write a source file."""
        raw = content.encode() if isinstance(content, str) else content
        (self.source / name).write_bytes(raw)

    def extract(self, *, now: datetime = NOW, exclude_items: tuple[str, ...] = ()) -> Snapshot:
        """Take a snapshot with the present profile document."""
        profile = parse_profile(self.document, source="tiny.yaml")
        return extract(profile, FolderLocation(self.source), self.snapshots, now=now, exclude_items=exclude_items)
