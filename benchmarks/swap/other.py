"""Fit, install and leave pending a model that answers otherwise than the one to swap with, in a process of its own.

    python -m benchmarks.swap.other

The instance is the one of ROUTING_DATA_DIR, as `benchmarks.prediction.making` made it.
"""

import os
import sys
from pathlib import Path

from benchmarks.prediction.making import SECOND_VERSION

VERSION = "measured-other"
_EVERY = 7  # one item in so many is not learned from


def main() -> int:
    """Do it once; a second call finds the version there."""
    from shared.bootstrap import current_services
    from shared.database.engine import migrate
    from shared.registry.installation import Installer
    from shared.training.direct import train_now

    services = current_services()
    migrate(services.settings.database)
    if services.model_versions.find(VERSION) is not None:
        return 0
    snapshot = services.snapshots.current()
    codes = sorted(snapshot.query("items", lambda items: items.select("item_code")).get_column("item_code").to_list())
    folder = Path(os.environ["ROUTING_DATA_DIR"]).parent / "packages" / VERSION
    train_now(
        snapshot, services.configuration_store.current()[1], folder, version=VERSION, keys=services.keys,
        exclude_items=codes[::_EVERY], evaluate=False,
    )  # fmt: skip
    installer = Installer(services.settings, services.engine, keys=services.keys)
    installer.register_local(folder, actor="benchmark", reason=f"swap with another than {SECOND_VERSION}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
