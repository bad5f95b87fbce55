"""The seal: the number and hash of the last known event, signed, in a file that the database's owner cannot write.

    <data-dir>/keys/audit/seal.pem      Ed25519 private key of this installation (0600)
    <data-dir>/keys/audit/head.json     the sealed head (0600), written whole

A chain alone shows an edit in its middle; whoever can write the whole table can make a new chain, or cut off the end of
this one. The sealed head names an event that must be there with that hash. It only moves on over events that follow
from it, so damage is never sealed over: a person has to accept it, and the head says so from then on.
"""

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine, func, select

from shared.audit.checking import ChainReport, Finding, check_chain, stored_rows
from shared.audit.events import EVENTS, HASH, MAC, NO_HASH, time_text
from shared.clock import utc_now
from shared.errors import AuditBroken, SetupError
from shared.platform import exclusive_lock, write_secret

log = structlog.get_logger()

FOLDER = "audit"
SCHEMA = "routing-ml-audit-head/1"
MOST_HEAD_BYTES = 1_000_000
MOST_ACCEPTED = 100
_LOCK_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Head:
    """A signed statement: this event was the last one, and had this hash."""

    schema: str = SCHEMA
    sequence: int
    hash: str
    mac: str
    sealed_at: str
    accepted: list[dict[str, Any]] = field(default_factory=list)  # damage that a person accepted: who, when, why, what
    signature: str = ""

    def signed_bytes(self) -> bytes:
        """Return what the signature covers."""
        return orjson.dumps(asdict(replace(self, signature="")), option=orjson.OPT_SORT_KEYS)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a verification of the whole audit found."""

    events: int
    sealed_sequence: int | None
    unsealed: int  # events after the sealed one: only the chain vouches for these
    findings: list[Finding]
    more_findings: int
    accepted: list[dict[str, Any]]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong that nobody accepted."""
        return not self.findings and not self.more_findings


class Seal:
    """Seals one database's audit with the key of one installation; safe for several processes at once."""

    def __init__(self, engine: Engine, keys_folder: Path) -> None:
        """Seal the audit of `engine`'s database with what lies in `keys_folder`."""
        self._engine = engine
        self._folder = keys_folder / FOLDER
        self._key_file = self._folder / "seal.pem"
        self._head_file = self._folder / "head.json"
        self._mac_key: bytes | None = None

    def seal(self) -> Head | None:
        """Seal the last event, having checked that it follows from the sealed one; None while there is no event.

        Raises:
            AuditBroken: it does not follow; the head stays as it is.
            SetupError: the key cannot be read.
            OSError: the folder cannot be written.
        """
        with self._alone():
            head = self._head_or_first()
            if head is None or head.sequence == self._last_sequence():
                return head  # whether that event still has its hash, `verify` tells
            report = self._since(head)
            if report.findings:
                raise _broken(report.findings[0])
            return self._write(replace(head, sequence=report.sequence, hash=report.hash, mac=report.mac))

    def verify(self) -> Verdict:
        """Check every event, and the sealed head against them.

        Raises:
            SetupError: the key cannot be read.
        """
        head, trouble = self._checked_head()
        sealed = 0 if head is None else head.sequence
        with stored_rows(self._engine) as rows:
            report = check_chain(rows, sealed=sealed, mac_of=None if trouble else self._mac_of)
        findings = [*report.findings, *([trouble] if trouble else [])]
        if head is not None:
            findings += _against(head, report)
        elif trouble is None and report.events:
            findings.append(Finding(sequence=report.sequence, problem="there are events, and no sealed head"))
        accepted = head.accepted if head else []
        return Verdict(
            events=report.events,
            sealed_sequence=head.sequence if head else None,
            unsealed=max(0, report.sequence - head.sequence) if head else report.events,
            findings=[finding for finding in findings if not _is_accepted(finding, accepted)],
            more_findings=report.more_findings,
            accepted=accepted,
        )

    def accept(self, *, actor: str, reason: str) -> Head:
        """Seal the audit as it is, with what is wrong with it and who accepted that; what is wrong later is new.

        Raises:
            SetupError: the key cannot be read.
        """
        verdict = self.verify()
        with self._alone():
            head, _ = self._checked_head()
            if not self._key_file.exists():
                self._make_key()
            with stored_rows(self._engine) as rows:
                report = check_chain(rows)
            note = {
                "at": time_text(utc_now()), "actor": actor, "reason": reason,
                "sealed_before": None if head is None else [head.sequence, head.hash, head.mac],
                "findings": [asdict(finding) for finding in verdict.findings],
            }  # fmt: skip
            accepted = [*(head.accepted if head else []), note][-MOST_ACCEPTED:]
            return self._write(
                Head(sequence=report.sequence, hash=report.hash, mac=report.mac, sealed_at="", accepted=accepted)
            )

    def head(self) -> Head | None:
        """Return the sealed head, or None before the first event."""
        return self._checked_head()[0]

    def public_key(self) -> str:
        """Return the public half of the sealing key in hexadecimal: with it, anybody can check a sealed head."""
        return self._key().public_key().public_bytes_raw().hex()

    def mac_of(self, event_hash: str) -> str:
        """Return the authentication code of an event's hash; empty, and logged, where the key cannot be had."""
        try:
            return self._mac_of(event_hash)
        except (OSError, SetupError) as fault:  # the change stands; the event shows from now on that it lacks its code
            log.error("audit.no_key", error=str(fault)[:300])
            return ""

    # -- parts

    def _mac_of(self, event_hash: str) -> str:
        if self._mac_key is None:
            if not self._key_file.exists():
                with self._alone():
                    self._make_first_key()
            private = self._key().private_bytes_raw()
            self._mac_key = hashlib.sha256(b"routing-ml audit mac\0" + private).digest()
        return hmac.digest(self._mac_key, event_hash.encode(), "sha256").hex()

    def _alone(self) -> Any:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return exclusive_lock(self._folder / ".lock", timeout_seconds=_LOCK_SECONDS)

    def _head_or_first(self) -> Head | None:
        """Return the sealed head; before the first event there is a head of none, made with the key."""
        head, trouble = self._checked_head()
        if trouble is not None:
            raise _broken(trouble)
        if head is None:
            self._make_first_key()
            return self._checked_head()[0]
        return head

    def _checked_head(self) -> tuple[Head | None, Finding | None]:
        """Return the sealed head where there is one to be trusted, and what is wrong with it otherwise."""
        try:
            data = self._head_file.read_bytes()[:MOST_HEAD_BYTES]
        except FileNotFoundError:
            if self._key_file.exists():
                return None, Finding(sequence=0, problem="the sealed head is missing, although its key is there")
            return None, None
        try:
            head = Head(**json.loads(data))
            if not self._key_file.exists():
                missing = "the key of the seal is missing, although a sealed head is there"
                return None, Finding(sequence=0, problem=missing) if head.sequence else None
            self._key().public_key().verify(bytes.fromhex(head.signature), head.signed_bytes())
        except (ValueError, TypeError, InvalidSignature):
            return None, Finding(sequence=0, problem="the sealed head was changed: its signature does not fit")
        return head, None

    def _since(self, head: Head) -> ChainReport:
        """Check the sealed event and all that follow it."""
        with stored_rows(self._engine, after=head.sequence - 1) as rows:
            if head.sequence:
                sealed = next(rows, None)
                if sealed is None or (sealed[HASH], sealed[MAC]) != (head.hash, head.mac):
                    report = ChainReport(sequence=head.sequence)
                    report.add(head.sequence, _NOT_SEALED if sealed is not None else _CUT_OFF)
                    return report
            previous = (head.hash, head.mac)
            return check_chain(rows, after=head.sequence, previous=previous, sealed=head.sequence, mac_of=self._mac_of)

    def _last_sequence(self) -> int:
        with self._engine.connect() as connection:
            return connection.execute(select(func.max(EVENTS.c.sequence))).scalar_one() or 0

    def _write(self, head: Head) -> Head:
        return self._write_signed(head, self._key())

    def _write_signed(self, head: Head, key: Ed25519PrivateKey) -> Head:
        head = replace(head, sealed_at=time_text(utc_now()), signature="")
        head = replace(head, signature=key.sign(head.signed_bytes()).hex())
        write_secret(self._head_file, orjson.dumps(asdict(head)))
        return head

    def _make_first_key(self) -> None:
        """Make the key where there is none, unless there was one: a new key must not hide that the old one is gone."""
        if self._key_file.exists():
            return
        if self._head_file.exists() and json.loads(self._head_file.read_bytes()).get("sequence") != 0:
            raise SetupError("The key of the audit's seal is missing.", remedy="Restore keys/audit from a backup.")
        self._make_key()

    def _make_key(self) -> None:
        """Make a key and a head that vouches for nothing; the key last, so that a key is never without a head."""
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._write_signed(Head(sequence=0, hash=NO_HASH, mac="", sealed_at=""), key)
        write_secret(self._key_file, pem)
        self._mac_key = None

    def _key(self) -> Ed25519PrivateKey:
        try:
            key = serialization.load_pem_private_key(self._key_file.read_bytes(), password=None)
        except (OSError, ValueError) as fault:
            raise SetupError(
                f"The key of the audit's seal cannot be read: {fault}.", remedy="Restore keys/audit from a backup."
            ) from fault
        if not isinstance(key, Ed25519PrivateKey):
            raise SetupError("keys/audit/seal.pem is not an Ed25519 key.", remedy="Restore keys/audit from a backup.")
        return key


_CUT_OFF = "it was the last one when the audit was sealed, and is not there any more: the end was cut off"
_NOT_SEALED = "it is not the event that was sealed: this part of the audit was written anew"


def _against(head: Head, report: ChainReport) -> list[Finding]:
    if head.sequence == 0 or report.at_seal == (head.hash, head.mac):
        return []
    problem = _CUT_OFF if report.at_seal is None else _NOT_SEALED
    return [Finding(sequence=head.sequence, problem=problem)]


def _is_accepted(finding: Finding, accepted: list[dict[str, Any]]) -> bool:
    return any(asdict(finding) in note["findings"] for note in accepted)


def _broken(finding: Finding) -> AuditBroken:
    return AuditBroken(
        f"The audit was touched: event {finding.sequence}: {finding.problem}.",
        remedy="`manage.py audit verify` tells all that is wrong; docs/AUDIT.md what to do then.",
        sequence=finding.sequence,
    )
