"""Takes dropped packages in: noticed as a row, fetched into quarantine, verified, installed, and then pending.

A drop is one row, keyed by its version and its manifest's SHA-256; the message about it may come never, once or ten
times. Whatever a drop holds, an installed version is neither touched nor blocked by it.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import structlog
from sqlalchemy import CursorResult, Engine, and_, or_, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col

from shared.audit.recording import note
from shared.clock import Clock, utc_now
from shared.database.engine import writing
from shared.database.models import ModelVersions, add_first_event
from shared.database.tables import ModelVersion, Registration, RegistrationState, VersionState
from shared.database.work import Claim, WorkRows
from shared.errors import (
    Conflict,
    InvalidInput,
    LeaseLost,
    NotFound,
    PackageIncomplete,
    PackageRejected,
    RoutingError,
    StorageUnavailable,
    TooLarge,
)
from shared.platform import remove_tree
from shared.registry.installation import Installer, version_row
from shared.registry.intake import Intake, Spans
from shared.registry.manifest import MAX_MANIFEST_BYTES, sha256_hex
from shared.registry.signing import Keys
from shared.registry.store import STALE_SECONDS, ModelStore
from shared.registry.verify import CheckedPackage, Loading, check_package, loading_here
from shared.registry.versions import why_not_a_version_name
from shared.settings import Settings
from shared.storage.doorbells import Doorbells, growing_delay_seconds
from shared.storage.packages import Drop, Packages

log = structlog.get_logger()

ACTOR = "registration"
CURABLE = ("signature", "files", "runtime", "load", "golden", "incomplete")  # checks that may pass another day


def registration_id_of(version: str, manifest_sha256: str) -> str:
    """Return the id of a drop's row: the same for the same drop, in every process."""
    return f"reg_{sha256_hex(f'{version} {manifest_sha256}'.encode())[:32]}"


class Registrations:
    """Everything that may add a model version to this instance."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        work: WorkRows,
        doorbells: Doorbells,
        packages: Packages,
        *,
        keys: Keys | None = None,
        clock: Clock = utc_now,
        loading: Loading = loading_here,
    ) -> None:
        """Use the services of one process; keys are those below the data directory unless given.

        `loading` may load in another process (`loading_apart`), so that no package ends the one that serves.
        """
        self._settings = settings
        self._engine = engine
        self._work = work
        self._doorbells = doorbells
        self._packages = packages
        self._clock = clock
        self._keys = keys or Keys(settings.keys, clock=clock)
        self._store = ModelStore(settings.models)
        self._versions = ModelVersions(engine, clock=clock)
        self._installer = Installer(settings, engine, keys=self._keys, clock=clock, loading=loading)
        self._loading = loading
        self._intake = Intake(settings, packages, self._keys)
        self._seen: set[Drop] = set()
        self._worker = f"{socket.gethostname()}:{os.getpid()}"

    # -- noticing

    def notice(self, version: str, manifest: bytes) -> Registration:
        """Return the row of this drop, made and rung for when it is new; its files are not looked at.

        A drop that was rejected for something that may have been put right since (a file damaged on its way, a key
        not trusted yet) is looked at again when it is noticed again, under the same row; so is, at once, one that waits
        for files, since whoever drops a package again has sent them now.

        Raises:
            StorageUnavailable: never for the drop itself; a bell that could not be rung is left to the sweep.
        """
        row = self._new_row(version, sha256_hex(manifest))
        if not self._work.insert(row) and not self._reopen(row) and not self._hasten(row):
            return self._work.get(Registration, row.id)
        self._ring(row.id)
        log.info("registration.received", registration_id=row.id, version=version[:200])
        return self._work.get(Registration, row.id)

    def _reopen(self, row: Registration) -> bool:
        """Make an ended row claimable again where another look may end otherwise; tell whether it was.

        That is a rejected one unless its own bytes are what is wrong, and an installed one whose version was removed.
        """
        may_pass = and_(col(Registration.state) == RegistrationState.REJECTED, col(Registration.step).in_(CURABLE))
        known = self._versions.find(row.version)
        if known is not None and known.state == VersionState.REMOVED:
            may_pass = or_(may_pass, col(Registration.state) == RegistrationState.INSTALLED)
        fresh = {"state": RegistrationState.RECEIVED, "deadline": row.deadline, "ended_at": None, "error": None}
        statement = update(Registration).where(col(Registration.id) == row.id, may_pass)
        with writing(self._engine) as session:
            result = session.execute(statement.values(reason="", step="", attempt=0, **fresh))
            reopened = cast("CursorResult[Any]", result).rowcount == 1
            if reopened:
                after = {"state": RegistrationState.RECEIVED, "version": row.version}
                before = {"state": row.state}
                note(session, "registration.reopened", row.id, before=before, after=after, reason="dropped again")
        return reopened

    def _hasten(self, row: Registration) -> bool:
        """End the rest between two looks at a row that waits; tell whether it does."""
        mine = (col(Registration.id) == row.id, col(Registration.state) == RegistrationState.WAITING)
        with writing(self._engine) as session:
            result = session.execute(update(Registration).where(*mine).values(not_before=None))
        return cast("CursorResult[Any]", result).rowcount == 1

    def note_missed_drops(self) -> list[str]:
        """Notice every manifest in storage that has no row yet, and return the versions noticed.

        Raises:
            StorageUnavailable: storage did not answer.
        """
        noticed: list[str] = []
        for drop in self._packages.list_drops():
            if drop in self._seen:  # a manifest is read once by a process, not at every sweep
                continue
            if self._note_if_missed(drop):
                noticed.append(drop.version)
            self._seen.add(drop)
        return noticed

    def look_again(self) -> None:
        """Read the manifests of all drops again at the next sweep."""
        self._seen.clear()

    def _note_if_missed(self, drop: Drop) -> bool:
        if drop.is_zip:
            return self._note_zip(drop)
        try:
            data = self._packages.read_manifest(drop.version, MAX_MANIFEST_BYTES)
        except NotFound:
            return False  # removed between the listing and the reading
        except (TooLarge, InvalidInput) as fault:
            return self._note_unreadable(drop, fault)
        if not self._is_new(drop.version, sha256_hex(data)):
            return False
        self.notice(drop.version, data)
        return True

    def _note_zip(self, drop: Drop) -> bool:
        """Make the row of an archive, which is looked into by whoever works on the row: it may be large."""
        row = self._new_row(drop.version, sha256_hex(drop.etag.encode()), is_zip=True)
        if not self._work.insert(row):
            return False
        self._ring(row.id)
        log.info("registration.received", registration_id=row.id, version=row.version[:200], zip=True)
        return True

    def _note_unreadable(self, drop: Drop, fault: RoutingError) -> bool:
        row = self._new_row(drop.version, sha256_hex(drop.etag.encode()))
        if not self._work.insert(row):
            return False
        claim = self._claim(row.id)
        if claim is not None:
            self._reject(claim, fault)
        return True

    def _is_new(self, version: str, manifest_sha256: str) -> bool:
        try:
            self._work.get(Registration, registration_id_of(version, manifest_sha256))
        except NotFound:
            return True
        return False

    def _new_row(self, version: str, manifest_sha256: str, *, is_zip: bool = False) -> Registration:
        now = self._clock()
        return Registration(
            id=registration_id_of(version, manifest_sha256),
            state=RegistrationState.RECEIVED,
            version=version,
            manifest_sha256=manifest_sha256,
            is_zip=is_zip,
            created_at=now,
            deadline=now + timedelta(hours=self._settings.package_deadline_hours),
        )

    def _ring(self, id: str, *, delay_seconds: float = 0.0) -> None:  # noqa: A002 - the row's own word
        rung = self._doorbells.try_ring(Registration.QUEUE, [id], delay_seconds=delay_seconds)
        self._work.mark_rung(Registration, rung)

    # -- packages of this machine

    def register_local(self, folder: Path, *, actor: str, reason: str) -> ModelVersion:
        """Verify and install a package folder as a pending version; see `Installer.register_local`."""
        return self._installer.register_local(folder, actor=actor, reason=reason)

    def is_installed(self, version: str, manifest_sha256: str) -> bool:
        """Tell whether this very package lies installed; see `Installer.is_installed`."""
        return self._installer.is_installed(version, manifest_sha256)

    def finish_installation(self, version: str, *, job_id: str, reason: str) -> ModelVersion | None:
        """Give a folder that a job installed before it died its row; see `Installer.finish_installation`."""
        return self._installer.finish_installation(version, job_id=job_id, reason=reason)

    def free_version_name(self, label: str | None = None) -> str:
        """Return a version name that nothing has yet; see `Installer.free_version_name`."""
        return self._installer.free_version_name(label)

    def remove_stale_quarantine(self) -> list[str]:
        """Remove what killed workers left in quarantine six hours ago or earlier; return the folders' names."""
        removed = []
        quarantine = self._settings.quarantine
        for entry in quarantine.iterdir() if quarantine.is_dir() else ():
            if time.time() - entry.lstat().st_mtime > STALE_SECONDS:
                remove_tree(entry)
                removed.append(entry.name)
        self._store.remove_stale_incoming()
        return removed

    # -- registering a drop

    def register(self, registration_id: str) -> Registration:
        """Do what can be done now for one drop, and return its row as it stands then.

        The row ends `installed` or `rejected` with a reason, or is `waiting` for files and rung for again later. A
        row that is held elsewhere, ended, or not to be looked at yet is returned as it is.

        Raises:
            NotFound: there is no such row.
            StorageUnavailable: storage or the disk failed; another delivery may succeed.
        """
        claim = self._claim(registration_id)
        if claim is None:
            return self._work.get(Registration, registration_id)
        quarantine = self._settings.quarantine / f"{claim.id}-{claim.token}"
        try:
            with self._held(claim) as lost:
                self._take_in(claim, quarantine, lost)
        except PackageIncomplete as fault:
            self._wait(claim, fault)
        except (PackageRejected, InvalidInput, TooLarge, Conflict) as fault:
            self._reject(claim, fault)
        except LeaseLost:
            log.warning("registration.lease_lost", registration_id=claim.id)
        except Exception as fault:
            with suppress(LeaseLost):
                self._work.release(claim, error=str(fault), state=RegistrationState.RECEIVED)
            if isinstance(fault, OSError):
                raise StorageUnavailable(
                    f"The package could not be written: {fault}.", remedy="Free disk space below the data directory."
                ) from fault
            raise
        finally:
            remove_tree(quarantine)
        return self._work.get(Registration, registration_id)

    def _claim(self, id: str) -> Claim[Registration] | None:  # noqa: A002
        return self._work.claim(Registration, id, worker=self._worker, lease_seconds=self._settings.lease_seconds)

    def _take_in(self, claim: Claim[Registration], quarantine: Path, lost: threading.Event) -> None:
        _check_name(claim.row.version)
        unsigned, spans = self._settings.allow_unsigned, Spans()
        with ExitStack() as until_loaded:
            with self._intake.opened(claim.row, quarantine) as source:
                manifest, data = self._intake.read_manifest(claim.row, source)
                if self._installer.is_installed(manifest.version, sha256_hex(data)):
                    installed = self._store.require(manifest.version)
                    self._finish_installed(claim, check_package(installed, self._keys, allow_unsigned=unsigned))
                    return
                source.check(manifest)
                load = until_loaded.enter_context(self._loading())  # makes ready while the files come in
                folder = quarantine / manifest.version
                hashes = self._intake.fetch(manifest, data, source, folder)
                spans.end("fetch")
            package = self._installer.verified_by(load, folder, hashes)
            spans.end("check")
        if lost.is_set():
            raise LeaseLost(f"The registration {claim.id} was taken over while its files were verified.")
        self._installer.bring_back(package, actor=ACTOR, reason=f"dropped package {claim.id}")
        self._store.install(folder, manifest.version, package.manifest_sha256)
        spans.end("install")
        self._finish_installed(claim, package, spans.seconds)

    def _finish_installed(
        self, claim: Claim[Registration], package: CheckedPackage, seconds: Mapping[str, float] | None = None
    ) -> None:
        now = self._clock()
        version = package.manifest.version
        row = version_row(package, now=now) if self._versions.find(version) is None else None

        def with_its_event(session: Session) -> None:
            if row is not None:
                add_first_event(session, row, actor=ACTOR, reason=f"dropped package {claim.id}", at=now)

        self._work.finish(
            claim, RegistrationState.INSTALLED, add=[row] if row else [], also=with_its_event,
            reason="; ".join(package.warnings), error=None,
        )  # fmt: skip
        log.info("registration.installed", registration_id=claim.id, model_version=version, seconds=seconds)

    def _wait(self, claim: Claim[Registration], fault: PackageIncomplete) -> None:
        now = self._clock()
        if now >= claim.row.deadline:
            self._reject(claim, fault, check="incomplete", prefix="The package was waited for until its deadline. ")
            return
        delay = min(growing_delay_seconds(claim.attempt), max((claim.row.deadline - now).total_seconds(), 1.0))
        with suppress(LeaseLost):
            self._work.release(claim, error=str(fault), delay_seconds=delay, state=RegistrationState.WAITING)
            self._ring(claim.id, delay_seconds=delay + 1)  # a bell just before the row may be claimed is lost

    def _reject(
        self, claim: Claim[Registration], fault: RoutingError, *, check: str | None = None, prefix: str = ""
    ) -> None:
        reason = prefix + str(fault)
        failed = check or fault.facts.get("check", "")
        with suppress(LeaseLost):
            self._work.finish(claim, RegistrationState.REJECTED, reason=reason, error=reason, step=failed)
        version = claim.row.version
        log.warning("registration.rejected", registration_id=claim.id, version=version, check=failed, reason=reason)

    @contextmanager
    def _held(self, claim: Claim[Registration]) -> Iterator[threading.Event]:
        """Renew the lease in the background; the event is set when another worker owns the row."""
        done, lost = threading.Event(), threading.Event()

        def renew() -> None:
            while not done.wait(self._settings.heartbeat_seconds):
                try:
                    held = self._work.heartbeat(claim, lease_seconds=self._settings.lease_seconds).held
                except SQLAlchemyError as fault:  # the lease still runs; the next renewal may reach the database
                    log.warning("registration.heartbeat_failed", registration_id=claim.id, error=str(fault))
                    continue
                if not held:
                    lost.set()
                    return

        thread = threading.Thread(target=renew, name="registration-heartbeat", daemon=True)
        thread.start()
        try:
            yield lost
        finally:
            done.set()
            thread.join()


def _check_name(version: str) -> None:
    if problem := why_not_a_version_name(version):
        raise PackageRejected(
            f"{version!r:.100} cannot be the name of a model version: {problem}.",
            remedy="Drop the package under the version name that its manifest bears.",
            check="manifest",
        )
