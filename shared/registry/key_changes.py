"""Changes of who may vouch for packages, with a look at what they would take out of service."""

from dataclasses import dataclass

import structlog

from shared.database.models import ModelVersions
from shared.database.tables import VersionState
from shared.errors import Conflict, PackageRejected
from shared.registry.manifest import parse_manifest, read_manifest_file
from shared.registry.signing import Keys, TrustedKey
from shared.registry.store import ModelStore

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """The key that signs from now on, and the installed versions that still need an older one."""

    key: TrustedKey
    still_needed: dict[str, list[str]]  # key id -> versions


class KeyChanges:
    """New keys and keys that are trusted no more."""

    def __init__(self, keys: Keys, store: ModelStore, versions: ModelVersions) -> None:
        """Work on one instance's keys, installed folders and rows."""
        self._keys = keys
        self._store = store
        self._versions = versions

    def rotate(self, label: str) -> Rotation:
        """Make a key that signs from now on. Older ones stay trusted, so installed versions go on serving."""
        key = self._keys.new_key(label=label)
        log.info("key.rotated", key_id=key.key_id)
        older = [each.key_id for each in self._keys.list() if each.key_id != key.key_id]
        return Rotation(key=key, still_needed={each: used for each in older if (used := self.signed_by(each))})

    def distrust(self, key_id: str, *, even_if_used: bool = False) -> list[str]:
        """Trust a key no more, and return the installed versions that it signed.

        Raises:
            NotFound: no such key is trusted.
            Conflict: a version that could serve needs it, and `even_if_used` is not set.
        """
        used = self.signed_by(key_id)
        if used and not even_if_used:
            raise Conflict(
                f"The key {key_id} signed {', '.join(used[:5])}{' and others' if len(used) > 5 else ''}, which could "
                "not serve without it.",
                remedy="Train or install newer versions first; or, if the key is in wrong hands, distrust it even so: "
                "what it signed is then refused, the version in service at its next load.",
                state="in-use",
                versions=used,
            )
        self._keys.distrust(key_id)
        log.warning("key.distrusted", key_id=key_id, versions=used)
        return used

    def signed_by(self, key_id: str) -> list[str]:
        """Return the installed versions that need this key to serve, those that were rejected left out."""
        found = []
        for version in self._store.names():
            row = self._versions.find(version)
            if row is not None and row.state in (VersionState.REJECTED, VersionState.REMOVED):
                continue
            try:
                signature = parse_manifest(read_manifest_file(self._store.folder(version))).signature
            except PackageRejected:
                continue  # it serves with no key
            if signature is not None and signature.key_id == key_id:
                found.append(version)
        return found
