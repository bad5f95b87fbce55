"""An installation that predicts with the tiny model, without a host or a registry."""

from types import SimpleNamespace

from shared.bootstrap import Services
from shared.configuration import default_configuration
from shared.prediction.fit import fit_model
from shared.prediction.model import RoutingModel
from tests.prediction.prediction_factories import make_factory

VERSION = "v1"


def tiny_model() -> RoutingModel:
    """Return a model of rings, kits and glands."""
    return fit_model(make_factory(), default_configuration())


def let_serve(services: Services, model: RoutingModel) -> None:
    """Let services answer with a model, as if it were the active version."""
    active = SimpleNamespace(version=VERSION, model=model)
    services.serving = SimpleNamespace(loaded=lambda: active, active=lambda: active, start=lambda: None)  # type: ignore[assignment]
