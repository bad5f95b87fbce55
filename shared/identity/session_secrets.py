"""The secrets that sign browser sessions: made at the first start, two of them right while they are rotated.

    <data-dir>/keys/sessions/<number>-<random>.key    32 random bytes in hexadecimal (0600)

The greatest number signs; the one before it still verifies, so that a rotation signs nobody out.
"""

import re
import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import structlog

from shared.errors import SetupError
from shared.platform import exclusive_lock, remove_durably, write_secret

log = structlog.get_logger()

_NAME = re.compile(r"(\d{6})-[0-9a-f]{8}")
_LOCK_SECONDS = 20.0
_SECRET_BYTES = 32

Changing = Callable[..., AbstractContextManager[object]]


def _unrecorded(*_what: object) -> AbstractContextManager[object]:
    return nullcontext()


class SessionSecrets:
    """The secrets below one folder; safe for several processes at once, reads the files anew for every question."""

    def __init__(self, folder: Path, *, changing: Changing | None = None) -> None:
        """Keep secrets in `folder`; `changing(action, secret id)` is entered around the making of each."""
        self._folder = folder
        self._changing: Changing = changing or _unrecorded

    def ensure(self) -> str:
        """Return the id of the secret that signs, making one when there is none yet."""
        if ids := self._ids():
            return ids[-1]
        with self._locked():
            ids = self._ids()
            return ids[-1] if ids else self._make(1)

    def rotate(self) -> str:
        """Sign with a new secret from now on; of the older ones only the last still verifies. Return its id."""
        with self._locked():
            ids = self._ids()
            made = self._make(int(ids[-1][:6]) + 1 if ids else 1)
            for older in ids[:-1]:
                remove_durably(self._folder / f"{older}.key")
        log.info("sessions.secret_rotated", secret_id=made)
        return made

    def secret(self, secret_id: str) -> bytes | None:
        """Return a secret by its id; None where it is no id, or the secret was rotated away."""
        if not _NAME.fullmatch(secret_id):
            return None
        try:
            value = bytes.fromhex((self._folder / f"{secret_id}.key").read_text(encoding="ascii"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            value = b""
        if len(value) != _SECRET_BYTES:
            raise SetupError(
                f"The session secret {secret_id} cannot be read.",
                remedy="Remove its file below keys/sessions and start again: everybody signs in anew.",
            )
        return value

    def _ids(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("*.key") if _NAME.fullmatch(path.stem))

    def _make(self, number: int) -> str:
        made = f"{number:06d}-{secrets.token_hex(4)}"
        with self._changing("session-secret.made", made):
            write_secret(self._folder / f"{made}.key", secrets.token_bytes(_SECRET_BYTES).hex().encode())
        return made

    def _locked(self) -> AbstractContextManager[None]:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return exclusive_lock(self._folder / ".lock", timeout_seconds=_LOCK_SECONDS)
