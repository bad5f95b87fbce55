"""Model versions: how they come, what vouches for them, and the one that serves."""

from functools import cached_property, partial
from typing import TYPE_CHECKING

from shared.bootstrap.foundations import Foundations

if TYPE_CHECKING:
    from shared.database.models import ModelVersions
    from shared.registry.key_changes import KeyChanges
    from shared.registry.legacy import LegacyPackages
    from shared.registry.lifecycle import Lifecycle
    from shared.registry.lineage import Lineage
    from shared.registry.registrations import Registrations
    from shared.registry.retention import Retention
    from shared.registry.serving import Serving
    from shared.registry.signing import Keys
    from shared.storage.packages import Packages
    from shared.storage.signatures import UploadSignatures


class Models(Foundations):
    """Packages, versions and the served model."""

    @cached_property
    def model_versions(self) -> "ModelVersions":
        """Installed versions and their transitions."""
        from shared.database.models import ModelVersions

        return ModelVersions(self.engine, clock=self.clock)

    @cached_property
    def keys(self) -> "Keys":
        """Signing and trusted keys."""
        from shared.registry.signing import Keys

        return Keys(self.settings.keys, clock=self.clock, changing=self.audit.changing)

    @cached_property
    def key_changes(self) -> "KeyChanges":
        """New keys, and keys trusted no more."""
        from shared.registry.key_changes import KeyChanges
        from shared.registry.store import ModelStore

        return KeyChanges(self.keys, ModelStore(self.settings.models), self.model_versions)

    @cached_property
    def legacy_packages(self) -> "LegacyPackages":
        """Version folders without a manifest."""
        from shared.registry.legacy import LegacyPackages
        from shared.registry.store import ModelStore

        return LegacyPackages(self.keys, ModelStore(self.settings.models), self.model_versions, clock=self.clock)

    @cached_property
    def packages(self) -> "Packages":
        """The `model-drop` container."""
        from shared.storage.packages import Packages

        return Packages(self.storage)

    @cached_property
    def upload_signatures(self) -> "UploadSignatures":
        """Who may drop packages without the account's key."""
        from shared.storage.signatures import UploadSignatures

        lock = self.settings.data_dir / "run" / "signatures.lock"
        return UploadSignatures(self.storage, self.packages, lock, clock=self.clock)

    @cached_property
    def registrations(self) -> "Registrations":
        """Dropped packages on their way to `pending`."""
        from shared.registry.apart import loading_apart
        from shared.registry.registrations import Registrations

        return Registrations(
            self.settings, self.engine, self.work, self.doorbells, self.packages, keys=self.keys, clock=self.clock,
            loading=partial(loading_apart, all_cores=True),  # drops are rare, and the priority is low
        )  # fmt: skip

    @cached_property
    def lifecycle(self) -> "Lifecycle":
        """Activation, rollback and refusal."""
        from shared.registry.apart import loading_apart
        from shared.registry.lifecycle import Lifecycle

        return Lifecycle(self.settings, self.model_versions, keys=self.keys, clock=self.clock, loading=loading_apart)

    @cached_property
    def retention(self) -> "Retention":
        """Versions that are kept, and those that are removed."""
        from shared.registry.retention import Retention
        from shared.registry.store import ModelStore

        return Retention(
            self.model_versions, ModelStore(self.settings.models),
            keep=lambda: self.configuration_store.current()[1].models.keep,
        )  # fmt: skip

    @cached_property
    def lineage(self) -> "Lineage":
        """Where versions come from, and what they led to."""
        from shared.registry.lineage import Lineage

        return Lineage(self.settings, self.engine, self.model_versions)

    @cached_property
    def serving(self) -> "Serving":
        """The served model."""
        from shared.registry.serving import Serving

        return Serving(
            self.settings, self.model_versions, self.alerts, keys=self.keys, configuration=self.configuration_store,
            clock=self.clock,
        )  # fmt: skip
