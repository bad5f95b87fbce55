"""Models of tiny factories, fitted once."""

import pytest

from shared.configuration import default_configuration
from shared.prediction.fit import fit_model
from shared.prediction.model import RoutingModel
from tests.prediction.prediction_factories import Factory, make_factory
from tests.prediction.prediction_reader import FolderReader


@pytest.fixture(scope="session")
def tiny_factory() -> Factory:
    return make_factory()


@pytest.fixture(scope="session")
def tiny_model(tiny_factory: Factory) -> RoutingModel:
    return fit_model(tiny_factory, default_configuration())


@pytest.fixture
def reader() -> type[FolderReader]:
    return FolderReader
