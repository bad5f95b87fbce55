"""Models of tiny factories, fitted once."""

import json
from pathlib import Path
from typing import Any

import joblib
import polars as pl
import pytest
from prediction_factories import Factory, make_factory

from shared.configuration import default_configuration
from shared.prediction.fit import fit_model
from shared.prediction.model import RoutingModel


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

    def path(self, name: str) -> Path:
        return self.folder / name


@pytest.fixture(scope="session")
def tiny_factory() -> Factory:
    return make_factory()


@pytest.fixture(scope="session")
def tiny_model(tiny_factory: Factory) -> RoutingModel:
    return fit_model(tiny_factory, default_configuration())


@pytest.fixture
def reader() -> type[FolderReader]:
    return FolderReader
