"""Signatures that let a training machine drop model packages, and nothing else.

Each is bound to a stored access policy of the drop container, which holds its permissions and its end: removing the
policy revokes it, whoever has it and whatever its text says. A container keeps five policies at most.
"""

import ipaddress
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import structlog
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import (
    AccessPolicy,
    ContainerClient,
    ContainerSasPermissions,
    generate_blob_sas,
    generate_container_sas,
)

from shared.clock import Clock, utc_now
from shared.errors import Conflict, InvalidInput, NotFound
from shared.platform import exclusive_lock
from shared.storage.clients import Storage, answering
from shared.storage.packages import CONTAINER, ZIP, Packages

log = structlog.get_logger()

LONGEST_HOURS = 168  # a week
MOST_POLICIES = 5  # of a container, in Azure as in Azurite
CLOCK_TOLERANCE = timedelta(minutes=5)
UPLOAD = ContainerSasPermissions(create=True, write=True)
_OURS = re.compile(r"upload-[0-9a-f]{8}(?P<version>:.+)?")
_VERSION = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_KEPT_OF_VERSION = 48  # characters: an id has 64 at most
_ADDRESS = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9a-fA-F:]{2,39}\](:[0-9]{1,5})?")
_LOCK_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class UploadSignature:
    """A signature in force, without its secret part."""

    id: str
    expires_at: datetime | None  # by storage's clock; None: its policy names no end
    version: str | None  # the only one it may drop, as an archive (48 characters of it); None: any
    expired: bool


@dataclass(frozen=True, kw_only=True)
class MadeSignature:
    """A new signature with its URL, which is a secret: it is told once and kept nowhere."""

    signature: UploadSignature
    url: str
    clock_difference: timedelta  # how far this machine's clock is ahead of storage's

    @property
    def clocks_differ(self) -> bool:
        """Whether the two clocks are so far apart that a person should know."""
        return abs(self.clock_difference) > CLOCK_TOLERANCE


class UploadSignatures:
    """Makes, lists and revokes signatures for the drop container."""

    def __init__(self, storage: Storage, packages: Packages, lock: Path, *, clock: Clock = utc_now) -> None:
        """Work on the drop container of `storage`; `lock` is held while its policies are changed."""
        self._storage = storage
        self._packages = packages
        self._lock = lock
        self._clock = clock

    def make(
        self, *, hours: float, version: str | None = None, ip: str | None = None, address: str | None = None
    ) -> MadeSignature:
        """Make a signature to create and write blobs in the drop container for `hours`, by storage's own clock.

        With `version` it is for the one blob `<version>.zip`. `ip` is an address, or a range `first-last`, that
        requests must come from; Azurite does not look at it. `address` takes the place of host and port in the URL.

        Raises:
            InvalidInput: a value breaks a rule.
            Conflict: five signatures are in force.
            StorageUnavailable: storage did not answer.
        """
        _check(hours, version, ip, address)
        self._packages.ensure_container()
        with self._changing() as policies:
            now = policies.now
            for id, policy in list(policies.kept.items()):  # noqa: A001
                if _OURS.fullmatch(id) and (end := _end_of(policy)) is not None and end <= now:
                    del policies.kept[id]
            if len(policies.kept) >= MOST_POLICIES:
                raise Conflict(
                    f"{len(policies.kept)} signatures are in force, and storage keeps no more.",
                    remedy="Revoke one: `manage.py storage sas revoke ID`; `manage.py storage status` lists them.",
                    state="in force",
                )
            made = f"upload-{secrets.token_hex(4)}" + (f":{version[:_KEPT_OF_VERSION]}" if version else "")
            expires_at = (now + timedelta(hours=hours)).replace(microsecond=0)
            policies.kept[made] = AccessPolicy(permission=UPLOAD, expiry=expires_at)
        log.info("upload_signature.made", id=made, expires_at=expires_at.isoformat())
        signature = UploadSignature(id=made, expires_at=expires_at, version=version, expired=False)
        url = self._url(made, version, ip, address)
        return MadeSignature(signature=signature, url=url, clock_difference=self._clock() - now)

    def known(self) -> list[UploadSignature]:
        """Return the signatures that have a policy, those that have expired since included.

        Raises:
            StorageUnavailable: storage did not answer.
        """
        with answering("reading the policies of " + CONTAINER):
            try:
                policies = _Policies(self._storage, self._container)
            except ResourceNotFoundError:
                return []
        return [_signature(id, policy, policies.now) for id, policy in policies.kept.items() if _OURS.fullmatch(id)]  # noqa: A001

    def revoke(self, id: str) -> None:  # noqa: A002
        """Make a signature worthless: at once in Azurite, within half a minute in Azure.

        Raises:
            NotFound: there is none with this id.
            StorageUnavailable: storage did not answer.
        """
        with self._changing() as policies:
            if not _OURS.fullmatch(id) or policies.kept.pop(id, None) is None:
                raise NotFound(f"There is no signature {id!r}.", remedy="`manage.py storage status` lists them.")
        log.info("upload_signature.revoked", id=id)

    def revoke_all(self) -> list[str]:
        """Revoke every signature and return their ids.

        Raises:
            StorageUnavailable: storage did not answer.
        """
        with self._changing() as policies:
            ids = [id for id in policies.kept if _OURS.fullmatch(id)]  # noqa: A001
            for id in ids:  # noqa: A001
                del policies.kept[id]
        log.info("upload_signature.revoked", ids=ids)
        return ids

    @property
    def public_access(self) -> str | None:
        """What anybody may read of the drop container without a key; None, as it should be: nothing.

        Raises:
            StorageUnavailable: storage did not answer.
        """
        with answering("looking at " + CONTAINER):
            try:
                found = self._container.get_container_access_policy()["public_access"]
            except ResourceNotFoundError:
                return None
        return None if found is None else str(getattr(found, "value", found))

    @property
    def _container(self) -> ContainerClient:
        return self._storage.blobs.get_container_client(CONTAINER)

    @contextmanager
    def _changing(self) -> "Iterator[_Policies]":
        """Give the policies to change and write them back; they are one document, so one change at a time."""
        with exclusive_lock(self._lock, timeout_seconds=_LOCK_SECONDS), answering(f"changing who may use {CONTAINER}"):
            try:
                policies = _Policies(self._storage, self._container)
            except ResourceNotFoundError:
                raise NotFound(f"There is no container {CONTAINER} yet.", remedy="`manage.py up` makes it.") from None
            before = dict(policies.kept)
            yield policies
            if policies.kept != before:
                # Without a word about public access the container is private afterwards.
                self._container.set_container_access_policy(signed_identifiers=policies.kept)

    def _url(self, id: str, version: str | None, ip: str | None, address: str | None) -> str:  # noqa: A002
        client = self._container
        account, key = self._storage.account_name, self._storage.account_key
        parts = urlsplit(client.url)
        named: dict[str, Any] = {"policy_id": id, "ip": ip}
        if parts.scheme == "https":
            named["protocol"] = "https"
        if version is None:
            signed = generate_container_sas(account, CONTAINER, account_key=key, **named)
        else:
            signed = generate_blob_sas(account, CONTAINER, f"{version}{ZIP}", account_key=key, **named)
        path = parts.path if version is None else f"{parts.path}/{version}{ZIP}"
        return urlunsplit((parts.scheme, address or parts.netloc, path, signed, ""))


class _Policies:
    """A container's stored access policies, and the time by storage's clock."""

    def __init__(self, storage: Storage, container: ContainerClient) -> None:
        found = container.get_container_access_policy()
        self.kept: dict[str, AccessPolicy] = {one.id: one.access_policy for one in found["signed_identifiers"]}
        dates: list[str] = []
        # Not with the policies: Azurite dates that answer by the container's last change.
        storage.blobs.get_service_properties(
            raw_response_hook=lambda answer: dates.append(answer.http_response.headers["Date"])
        )
        self.now = parsedate_to_datetime(dates[-1])


def _signature(id: str, policy: AccessPolicy | None, now: datetime) -> UploadSignature:  # noqa: A002
    match = _OURS.fullmatch(id)
    version = match["version"].removeprefix(":") if match and match["version"] else None
    end = _end_of(policy)
    return UploadSignature(id=id, expires_at=end, version=version, expired=end is not None and end <= now)


def _end_of(policy: AccessPolicy | None) -> datetime | None:
    expiry = getattr(policy, "expiry", None)
    if not expiry:
        return None
    end = expiry if isinstance(expiry, datetime) else datetime.fromisoformat(str(expiry))
    return end if end.tzinfo is not None else end.replace(tzinfo=UTC)


def _check(hours: float, version: str | None, ip: str | None, address: str | None) -> None:
    if not 0 < hours <= LONGEST_HOURS:
        raise InvalidInput(f"hours must be more than 0 and at most {LONGEST_HOURS}.", remedy="Make another one later.")
    if version is not None and not _VERSION.fullmatch(version):
        raise InvalidInput("A version's name has 1 to 64 lower-case letters, digits, dots, underscores and hyphens.")
    if ip is not None and not _is_range(ip):
        raise InvalidInput("ip must be an IPv4 address or a range of them, as in 10.1.2.3 or 10.1.2.0-10.1.2.255.")
    if address is not None and not _ADDRESS.fullmatch(address):
        raise InvalidInput("address must be a host, with a port where it is not 80, as in factory.example:10000.")


def _is_range(ip: str) -> bool:
    try:
        ends = [ipaddress.IPv4Address(end) for end in ip.split("-")]
    except ValueError:
        return False
    return len(ends) == 1 or (len(ends) == 2 and ends[0] <= ends[1])
