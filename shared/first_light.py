"""The first model of a new installation: factory data, snapshot, training, registration, activation.

Each step first looks whether it was done before, so a start that was killed halfway goes on where it stopped.
"""

from collections.abc import Callable

from shared.bootstrap import Services
from shared.database.tables import VersionState
from shared.platform import publish_folder, remove_tree

Progress = Callable[[float, str], None]

DEMO_PROFILE = "demo"
DEMO_ITEMS = 5_000
DEMO_SEED = 42
ACTOR = "first start"

GENERATED, READ, TRAINED, INSTALLED = 10.0, 25.0, 85.0, 95.0  # percent when each step is done


def make_first_model(services: Services, progress: Progress) -> str:
    """Train and activate a first model and return its version; nothing is done where one is active already.

    `progress(percent, step)` is called as the work goes on. The demo factory is generated for the profile `demo`
    only; any other profile's source has to be there.

    Raises:
        SourceError: the source of a profile other than `demo` cannot be read.
    """
    active = services.model_versions.active()
    if active is not None:
        return active.version
    if services.settings.profile == DEMO_PROFILE:
        progress(0, "generating the demo factory")
        _make_factory(services)
    version = _waiting_version(services) or _train(services, progress)
    progress(INSTALLED, "activating the model")
    services.lifecycle.activate(version, actor=ACTOR, reason="first model of this installation")
    progress(100, "done")
    return version


def _make_factory(services: Services) -> None:
    from shared.erp.demo.generate import generate_demo

    folder = services.settings.source_folder
    if folder.exists():
        return
    staging = services.settings.data_dir / "staging" / "demo-factory"
    remove_tree(staging)
    staging.mkdir(parents=True)
    generate_demo(staging, items=DEMO_ITEMS, seed=DEMO_SEED)
    folder.parent.mkdir(parents=True, exist_ok=True)
    publish_folder(staging, folder)


def _waiting_version(services: Services) -> str | None:
    """Return the version that a start which was killed before activating it has left, if only as a folder."""
    services.sweep.repair.run()
    rows, _total = services.model_versions.list(limit=1, offset=0, state=VersionState.PENDING)
    return rows[0].version if rows else None


def _train(services: Services, progress: Progress) -> str:
    from shared.training.direct import train_now

    progress(GENERATED, "reading the factory's data")
    snapshot = services.snapshots.ensure_current()
    version = services.registrations.free_version_name()
    folder = services.settings.data_dir / "staging" / "first-model"
    remove_tree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)

    def scaled(percent: float, step: str) -> None:
        progress(READ + percent * (TRAINED - READ) / 100, step)

    train_now(
        snapshot,
        services.configuration_store.current()[1],
        folder,
        version=version,
        keys=services.keys,
        evaluate=False,  # somebody waits for it; the first quality cycle measures it on every order
        progress=scaled,
        clock=services.clock,
    )
    progress(TRAINED, "verifying and installing the package")
    row = services.registrations.register_local(folder, actor=ACTOR, reason="first model of this installation")
    remove_tree(folder)
    return row.version
