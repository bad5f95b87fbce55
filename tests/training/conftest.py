"""A data directory with a demo factory and an active first model, copied afresh for every test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.training.training_plant import Plant, build_plant, open_plant


@pytest.fixture(scope="session")
def plant_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training-plant") / "data"
    build_plant(folder)
    return folder


@pytest.fixture
def plant_folder(plant_template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plant_template, tmp_path / "data"))


@pytest.fixture
def plant(plant_folder: Path) -> Iterator[Plant]:
    opened = open_plant(plant_folder)
    yield opened
    opened.engine.dispose()
