"""Reads a package without the registry's checks."""

import json
from pathlib import Path
from typing import Any

import joblib
import polars as pl


class FolderReader:
    """Reads a package without the registry's checks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def arrays(self, name: str) -> Any:
        return joblib.load(self.folder / name)

    def table(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / name)

    def content(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def path(self, name: str) -> Path:
        return self.folder / name
