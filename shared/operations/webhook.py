"""Telling a webhook of alerts: one message at a time, within a bounded time, never in anybody's way.

The sweep sends what the outbox (`shared.database.deliveries`) holds. The address may hold a secret, so it stands in no
log line, answer or stored error; its host does. Redirects are not followed, no proxy is used, and only a status of
200 to 299 counts as heard. Where a secret is set, each attempt is signed (`shared.operations.webhook_signature`).
"""

import base64
import http.client
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import structlog
from sqlalchemy import Engine

from shared.clock import Clock, utc_now
from shared.database.deliveries import Deliveries, Taken
from shared.errors import SetupError
from shared.operations.webhook_signature import signature_headers
from shared.settings import Settings, why_not_a_webhook

ANSWER_SECONDS = 5.0  # for one message: finding the host, connecting, sending and the answer together
ROUND_SECONDS = 10.0
MOST_A_ROUND = 20

log = structlog.get_logger()


@dataclass(frozen=True)
class Address:
    """Where a webhook listens."""

    secure: bool
    host: str
    port: int
    target: str = field(repr=False)  # path and query, which may hold a secret
    credentials: str = field(repr=False)  # of the Authorization header; empty for none

    @property
    def shown(self) -> str:
        """What may be shown of it."""
        return f"{self.host}:{self.port}"


def parse_address(url: str) -> Address:
    """Read a webhook's URL.

    Raises:
        SetupError: it is no http or https URL; the URL is not quoted.
    """
    problem = why_not_a_webhook(url)
    if problem is not None:
        raise SetupError(f"ROUTING_ALERT_WEBHOOK {problem}.", remedy="Set an http or https URL, or none.")
    parts = urlsplit(url)
    secure = parts.scheme.lower() == "https"
    credentials = ""
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        credentials = f"Basic {base64.b64encode(pair.encode()).decode()}"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(secure, parts.hostname or "", parts.port or (443 if secure else 80), target, credentials)


class Webhook:
    """Sends the outbox's messages; one object a process."""

    def __init__(self, settings: Settings, engine: Engine, clock: Clock = utc_now) -> None:
        """Send to the address of `settings`; without one, messages are forgotten."""
        url = settings.alert_webhook.get_secret_value()
        self._address = parse_address(url) if url else None
        self._secret = settings.alert_webhook_secret.get_secret_value()
        self._outbox = Deliveries(engine, clock)
        self._clock = clock
        self._attempt: _Attempt | None = None

    def run(self) -> int:
        """Send what is due, until something fails or the round's time is over; return how many were heard.

        After a failure the rest waits for the next round: a receiver that is away should cost one wait, not many.
        """
        if self._address is None:
            self._outbox.drop_waiting()
            return 0
        self._outbox.drop_old()
        ends_at = time.monotonic() + ROUND_SECONDS
        heard = 0
        for row in self._outbox.due(MOST_A_ROUND):
            if time.monotonic() + ANSWER_SECONDS > ends_at or self._hangs():
                break
            taken = self._outbox.take(row)
            if taken is None:
                continue
            if not self._send(self._address, taken):
                break
            heard += 1
        return heard

    def status(self) -> dict[str, Any] | None:
        """Return how telling the webhook goes, or None where there is none."""
        if self._address is None:
            return None
        state = self._outbox.state()
        part: dict[str, Any] = {
            "status": "degraded" if state.failing else "up",
            "host": self._address.shown,
            "waiting": state.waiting,
            "given_up": state.given_up,
        }
        if state.failing:
            part |= {
                "detail": f"The webhook did not take the last alert: {state.last_error}",
                "remedy": "Check ROUTING_ALERT_WEBHOOK and its receiver; GET /api/alerts shows the alerts themselves.",
            }
        return part

    def _hangs(self) -> bool:
        return self._attempt is not None and self._attempt.is_alive()

    def _send(self, address: Address, taken: Taken) -> bool:
        body = orjson.dumps({"delivery_id": taken.row.id, "attempt": taken.attempt} | taken.row.body)
        message_id = f"{taken.row.alert_id}-{taken.row.id}"
        headers = {"idempotency-key": message_id}
        if self._secret:
            headers |= signature_headers(self._secret, message_id, self._clock(), body)
        self._attempt = attempt = _Attempt(address, body, headers)
        why = attempt.outcome()
        facts = {"host": address.shown, "alert_id": taken.row.alert_id, "told": taken.row.event}
        if why is None:
            self._outbox.heard(taken)
            log.info("webhook.heard", **facts, attempt=taken.attempt)
            return True
        given_up = self._outbox.failed(taken, why)
        log.warning("webhook.failed", **facts, attempt=taken.attempt, reason=why, given_up=given_up)
        return False


class _Attempt(threading.Thread):
    """One message on its way, on a thread of its own: looking up a name cannot be given a time limit."""

    def __init__(self, address: Address, body: bytes, headers: dict[str, str]) -> None:
        super().__init__(name="alert-webhook", daemon=True)
        self._address = address
        self._body = body
        self._headers = headers | {
            "content-type": "application/json",
            "user-agent": "routing-ml",
            "connection": "close",
        }
        if address.credentials:
            self._headers["authorization"] = address.credentials
        self._connection: http.client.HTTPConnection | None = None
        self._why: str | None = "it did not end"

    def outcome(self) -> str | None:
        """Send and wait; return why it failed, or None when it was heard."""
        self.start()
        self.join(ANSWER_SECONDS)
        if not self.is_alive():
            return self._why
        connection = self._connection
        if connection is not None and connection.sock is not None:
            _cut(connection.sock)
        return _too_late()

    def run(self) -> None:
        try:
            self._why = self._post()
        except ssl.SSLCertVerificationError as error:
            self._why = f"its certificate is not trusted: {error.verify_message}"
        except TimeoutError:
            self._why = _too_late()
        except OSError as error:
            self._why = f"it could not be reached: {error.strerror or type(error).__name__}"
        except (http.client.HTTPException, UnicodeError, ValueError) as error:
            self._why = f"it did not speak HTTP: {type(error).__name__}"  # its text may quote the address
        finally:
            if self._connection is not None:
                self._connection.close()

    def _post(self) -> str | None:
        address = self._address
        self._connection = (
            http.client.HTTPSConnection(
                address.host, address.port, timeout=ANSWER_SECONDS, context=ssl.create_default_context()
            )
            if address.secure
            else http.client.HTTPConnection(address.host, address.port, timeout=ANSWER_SECONDS)
        )
        self._connection.request("POST", address.target, body=self._body, headers=self._headers)
        answer = self._connection.getresponse()
        if 200 <= answer.status < 300:
            return None
        return f"it answered {answer.status}" + ("; redirects are not followed" if 300 <= answer.status < 400 else "")


def _too_late() -> str:
    return f"no answer within {ANSWER_SECONDS:g} s"


def _cut(connection: socket.socket) -> None:
    """End a connection that another thread waits on, so that the thread ends too."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        connection.close()
