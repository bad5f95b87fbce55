"""The account that this installation made for its own storage, and the rotation of its two keys."""

import re
import time
from dataclasses import dataclass
from datetime import timedelta

import structlog

from shared.azurite.account import StorageAccount
from shared.clock import Clock, utc_now
from shared.errors import Conflict, SetupError, StorageUnavailable
from shared.platform import exclusive_lock
from shared.settings import Settings
from shared.storage.clients import Storage

log = structlog.get_logger()

TAKEN_WITHIN = timedelta(seconds=60)
LOOK_SECONDS = 0.5
_LOCK_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """What a rotation did."""

    account: StorageAccount
    taken: bool | None  # by the running storage; None: none ran, so the next start takes the new key


def own_account(settings: Settings) -> StorageAccount | None:
    """Return the account of the instance's own storage, None where it has none yet.

    Raises:
        SetupError: its file is damaged or belongs to another user.
    """
    try:
        return StorageAccount.kept_in(settings.storage_account) if settings.storage_account.exists() else None
    except ValueError as error:
        raise SetupError(str(error)) from None
    except PermissionError:
        raise SetupError(
            f"{settings.storage_account} belongs to another user.", remedy="Run this as the user who ran `up`."
        ) from None


def rotate_keys(settings: Settings, storage: Storage, *, at_once: bool, clock: Clock = utc_now) -> Rotation:
    """Give the account a new key and wait until the running storage has taken it.

    The key before it stays valid until the next rotation, or not at all with `at_once`: whatever was signed with it
    is refused then, upload signatures included, and the host is started again with the new one.

    Raises:
        SetupError: this installation has no storage of its own.
        Conflict: the storage in use is another account's.
    """
    with exclusive_lock(settings.data_dir / "run" / "storage-keys.lock", timeout_seconds=_LOCK_SECONDS):
        account = own_account(settings)
        if account is None:
            raise SetupError("This installation has no storage of its own yet.", remedy="`manage.py up` makes one.")
        connection = settings.storage_connection.get_secret_value()
        if connection and storage.account_name != account.name:
            raise Conflict(
                "The storage in use is not the one that `up` starts.",
                remedy="Rotate the keys of that account where it is kept, and set AzureWebJobsStorage anew.",
                state="storage from elsewhere",
            )
        runs = bool(connection) and _answers(storage)
        rotated = account.rotated(now=clock(), at_once=at_once)
        rotated.keep_in(settings.storage_account)
    log.info("storage_key.rotated", account=account.name, at_once=at_once)
    if not runs:
        return Rotation(account=rotated, taken=None)
    renewed = Storage(_with_key(connection, rotated.keys[0].value), settings.storage_api_version)
    return Rotation(account=rotated, taken=_answers_within(renewed, TAKEN_WITHIN))


def _answers_within(storage: Storage, patience: timedelta) -> bool:
    deadline = time.monotonic() + patience.total_seconds()
    while not _answers(storage):
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _answers(storage: Storage) -> bool:
    try:
        storage.ping()
    except StorageUnavailable:
        return False
    return True


def _with_key(connection: str, key: str) -> str:
    return re.sub(r"(?i)(?<=AccountKey=)[^;]*", lambda _: key, connection)
