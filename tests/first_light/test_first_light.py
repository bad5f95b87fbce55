"""The first start, killed at each of its steps: the next one goes on, and one version comes of it."""

from pathlib import Path
from typing import Any

import pytest

from shared import first_light
from shared.bootstrap import Services
from shared.database.tables import VersionState
from shared.registry.installation import Installer
from shared.registry.lifecycle import Lifecycle
from shared.settings import Settings
from shared.snapshots.service import Snapshots
from tests.databases import set_up

NOBODY = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;" + ";".join(
    f"{kind}Endpoint=http://127.0.0.1:9/a" for kind in ("Blob", "Queue", "Table")
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A small factory's data directory; storage is away, which a first start does not need."""
    monkeypatch.setattr(first_light, "DEMO_ITEMS", 100)
    monkeypatch.setenv("ROUTING_STORAGE_CONNECTION", NOBODY)
    made = Settings(data_dir=tmp_path / "data", models_dir=tmp_path / "data" / "models")
    set_up(made.database)
    services = Services(made)
    services.keys.ensure()
    services.engine.dispose()
    return made


def _start(settings: Settings) -> str:
    services = Services(settings)
    try:
        return first_light.make_first_model(services, lambda _percent, _step: None)
    finally:
        services.engine.dispose()


def _die(*_arguments: Any, **_words: Any) -> Any:
    raise SystemExit("killed")


@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (first_light, "publish_folder"),
        (Snapshots, "_register"),
        (Installer, "register_local"),
        (Installer, "add_row"),
        (Lifecycle, "activate"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_a_killed_first_start_is_finished_by_the_next(
    owner: Any, step: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as deadly:
        deadly.setattr(owner, step, _die)
        with pytest.raises(SystemExit):
            _start(settings)
    version = _start(settings)
    assert _start(settings) == version

    services = Services(settings)
    rows, _ = services.model_versions.list()
    assert [(row.version, row.state) for row in rows] == [(version, VersionState.ACTIVE)]
    assert [folder.name for folder in settings.models.iterdir()] == [version]
    assert [event.to_state for event in services.model_versions.events(version)] == ["pending", "active"]
    services.engine.dispose()
