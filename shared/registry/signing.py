"""Who may vouch for a model package: Ed25519 keys of this instance and the public keys it trusts.

    <data-dir>/keys/signing/<key_id>.pem     private key (0600), PKCS#8
    <data-dir>/keys/trusted/<key_id>.json    public key, with a label and whether it is a development key

A key's id is the fingerprint of its public half, so a file that names another key's id is recognised and ignored.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.clock import Clock, utc_now
from shared.errors import NotFound, PackageRejected, SetupError
from shared.platform import exclusive_lock, remove_durably, write_atomically, write_secret
from shared.registry.manifest import Manifest, Signature, canonical_bytes, format_time, parse_time

log = structlog.get_logger()

MAX_KEY_FILE_BYTES = 16 * 1024
_LOCK_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class TrustedKey:
    """A public key whose signatures count here."""

    key_id: str
    public: str
    label: str
    development: bool
    created_at: str

    @property
    def created(self) -> datetime:
        """When the key was made or first trusted."""
        return parse_time(self.created_at)


Changing = Callable[..., AbstractContextManager[object]]


def _unrecorded(*_what: object, **_facts: object) -> AbstractContextManager[object]:
    return nullcontext()


class Keys:
    """The keys below one folder; safe for several processes at once, reads the files anew for every question."""

    def __init__(self, folder: Path, *, clock: Clock = utc_now, changing: Changing | None = None) -> None:
        """Keep keys below `folder`; `changing(action, key id, after=…)` is entered around every change of them."""
        self._changing: Changing = changing or _unrecorded
        self._signing = folder / "signing"
        self._trusted = folder / "trusted"
        self._clock = clock

    def ensure(self) -> TrustedKey:
        """Return the key that signs here, making a development key when there is none yet."""
        if (key := self.signing_key()) is not None:
            return key
        self._signing.mkdir(parents=True, exist_ok=True, mode=0o700)
        with exclusive_lock(self._signing / ".lock", timeout_seconds=_LOCK_SECONDS):
            return self._adopt_or_make()

    def _adopt_or_make(self) -> TrustedKey:
        if (key := self.signing_key()) is not None:
            return key
        for path in sorted(self._signing.glob("*.pem")):  # a start that was killed between the two files
            public = _public_of(_read_private(path))
            with self._changing("signing-key.trusted", fingerprint(public), after={"label": "development"}):
                return self._trust(public, label="development", development=True)
        return self.new_key(label="development", development=True)

    def new_key(self, *, label: str, development: bool = False) -> TrustedKey:
        """Make a key pair, trust it, and sign with it from now on (the newest key signs)."""
        private = Ed25519PrivateKey.generate()
        public = _public_of(private)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        after = {"label": label, "development": development}
        with self._changing("signing-key.made", fingerprint(public), after=after):
            write_secret(self._signing / f"{fingerprint(public)}.pem", pem)
            return self._trust(public, label=label, development=development)

    def signing_key(self) -> TrustedKey | None:
        """Return the newest trusted key whose private half is here, or None."""
        own = [key for key in self.list() if (self._signing / f"{key.key_id}.pem").is_file()]
        return max(own, key=lambda key: (key.created_at, key.key_id), default=None)

    def list(self) -> list[TrustedKey]:
        """Return every trusted key; a file that is not what its name says is left out and logged."""
        keys = []
        for path in sorted(self._trusted.glob("*.json")):
            try:
                keys.append(_read_trusted(path))
            except (OSError, ValueError, TypeError) as fault:
                log.warning("key.ignored", file=path.name, error=str(fault))
        return keys

    def trust(self, public: str, *, label: str) -> TrustedKey:
        """Trust another instance's public key, given as 64 hexadecimal digits."""
        try:
            raw = bytes.fromhex(public.strip())
            Ed25519PublicKey.from_public_bytes(raw)
        except ValueError as fault:
            raise SetupError(
                "This is not an Ed25519 public key.",
                remedy="Give the 64 hexadecimal digits that `manage.py keys list` shows there.",
            ) from fault
        with self._changing("signing-key.trusted", fingerprint(raw.hex()), after={"label": label}):
            return self._trust(raw.hex(), label=label, development=False)

    def distrust(self, key_id: str) -> None:
        """Trust a key no more; a private half that is here goes with it, or the next start would adopt it again.

        Raises:
            NotFound: no such key is trusted here.
        """
        path = self._trusted / f"{key_id}.json"
        if key_id not in {key.key_id for key in self.list()}:
            raise NotFound(
                f"No key {key_id!r:.80} is trusted here.", remedy="`manage.py keys list` shows those that are."
            )
        with self._changing("signing-key.distrusted", key_id):
            remove_durably(self._signing / f"{key_id}.pem")
            remove_durably(path)

    def sign(self, manifest: Manifest) -> Manifest:
        """Return the manifest with this instance's signature in place of any other."""
        key = self.ensure()
        private = _read_private(self._signing / f"{key.key_id}.pem")
        value = private.sign(manifest.signed_bytes()).hex()
        return manifest.model_copy(update={"signature": Signature(algorithm="ed25519", key_id=key.key_id, value=value)})

    def verify(self, manifest: Manifest) -> TrustedKey:
        """Return the trusted key that signed `manifest`; PackageRejected(check="signature") when none did."""
        signature = manifest.signature
        if signature is None:
            raise PackageRejected(
                "The package is not signed.",
                remedy="Sign it, or set ROUTING_ALLOW_UNSIGNED=1 where that risk is accepted.",
                check="signature",
            )
        path = self._trusted / f"{signature.key_id}.json"
        try:
            key = _read_trusted(path)
        except (OSError, ValueError, TypeError) as fault:
            raise PackageRejected(
                f"The package is signed by the key {signature.key_id}, which is not trusted here.",
                remedy="Check who made the package, then trust its public key with `manage.py keys trust`.",
                check="signature",
            ) from fault
        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.public)).verify(
                bytes.fromhex(signature.value), manifest.signed_bytes()
            )
        except InvalidSignature as fault:
            raise PackageRejected(
                "The manifest's signature does not fit its content: it was changed after it was signed.",
                remedy="Drop the original package again.",
                check="signature",
            ) from fault
        return key

    def _trust(self, public: str, *, label: str, development: bool) -> TrustedKey:
        key = TrustedKey(
            key_id=fingerprint(public),
            public=public,
            label=label[:200],
            development=development,
            created_at=format_time(self._clock()),
        )
        path = self._trusted / f"{key.key_id}.json"
        if path.is_file():
            known = _read_trusted(path)
            key = replace(key, created_at=known.created_at, development=known.development)
        self._trusted.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(path, canonical_bytes(asdict(key)))
        return key


def fingerprint(public: str) -> str:
    """Return the id of a public key: the first 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(bytes.fromhex(public)).hexdigest()[:32]


def _public_of(private: Ed25519PrivateKey) -> str:
    return private.public_key().public_bytes_raw().hex()


def _bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_KEY_FILE_BYTES + 1)
    if len(data) > MAX_KEY_FILE_BYTES:
        raise ValueError(f"{path.name} is too large for a key")
    return data


def _read_private(path: Path) -> Ed25519PrivateKey:
    try:
        private = serialization.load_pem_private_key(_bounded(path), password=None)
    except (OSError, ValueError) as fault:
        raise SetupError(
            f"The signing key {path.name} cannot be read: {fault}.",
            remedy="Restore it from a backup, or move it away so that a new development key is made.",
        ) from fault
    if not isinstance(private, Ed25519PrivateKey):
        raise SetupError(f"{path.name} is not an Ed25519 key.", remedy="Move it out of the folder of signing keys.")
    return private


def _read_trusted(path: Path) -> TrustedKey:
    document = json.loads(_bounded(path))
    key = TrustedKey(**document)
    if not all(isinstance(value, str) for value in (key.key_id, key.public, key.label, key.created_at)):
        raise TypeError("a member has the wrong type")
    if key.key_id != path.stem or fingerprint(key.public) != key.key_id:
        raise ValueError("its name is not the fingerprint of the key in it")
    parse_time(key.created_at)
    return key
