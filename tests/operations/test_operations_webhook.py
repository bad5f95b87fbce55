"""Alerts reach a real HTTP server once, whatever it does; its address stays secret and nobody waits for it long."""

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import Engine
from structlog.testing import capture_logs

from shared.database.alerts import Alerts
from shared.database.deliveries import Deliveries
from shared.database.engine import make_engine
from shared.operations import webhook
from shared.operations.webhook import Webhook, parse_address
from shared.operations.webhook_signature import signature_headers
from shared.platform import free_ports
from shared.settings import PROJECT_DIR, Settings
from tests.database.database_support import MovableClock
from tests.databases import set_up

SECRET = "T0pS3cretPath"


@dataclass
class Heard:
    path: str
    headers: dict[str, str]
    body: dict[str, object]
    sent: bytes


@dataclass
class Receiver:
    """An HTTP server that does what `answer` does with each request."""

    url: str = ""
    heard: list[Heard] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: _reply(handler, 204)


def _reply(handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str] | None = None) -> None:
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("content-length", "0")
    handler.end_headers()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            made.heard.append(Heard(self.path, headers, json.loads(sent), sent))
            made.answer(self)

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.url = f"http://anna:pass%20word@127.0.0.1:{server.server_port}/hooks/{SECRET}?key={SECRET}"
    yield made
    server.shutdown()
    server.server_close()


@dataclass
class Post:
    alerts: Alerts
    outbox: Deliveries
    clock: MovableClock
    engine: Engine
    folder: Path

    def sender(self, url: str, secret: str = "") -> Webhook:
        settings = Settings(data_dir=self.folder, alert_webhook=url, alert_webhook_secret=secret)
        return Webhook(settings, self.engine, self.clock)


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    url = f"sqlite:///{(tmp_path / 'routing.db').as_posix()}"
    set_up(url)
    engine, clock = make_engine(url), MovableClock()
    yield Post(Alerts(engine, clock), Deliveries(engine, clock), clock, engine, tmp_path)
    engine.dispose()


def test_an_alert_is_told_once_with_its_figures(receiver: Receiver, post: Post) -> None:
    alert = post.alerts.raise_alert("quality", "mae", "61 minutes", details={"mae": 61})
    sender = post.sender(receiver.url)

    assert [sender.run() for _ in range(3)] == [1, 0, 0]
    heard = receiver.heard[0]
    assert heard.path == f"/hooks/{SECRET}?key={SECRET}"
    assert heard.headers["authorization"] == "Basic " + base64.b64encode(b"anna:pass word").decode()
    assert heard.headers["idempotency-key"] == f"{alert.id}-{heard.body['delivery_id']}"
    assert heard.body["event"] == "opened"
    told = heard.body["alert"]
    assert isinstance(told, dict)
    assert (told["id"], told["details"]) == (alert.id, {"mae": 61})
    status = sender.status()
    assert status is not None
    assert (status["status"], status["waiting"], status["given_up"]) == ("up", 0, 0)


def test_a_receiver_that_fails_is_asked_again_under_the_same_key(receiver: Receiver, post: Post) -> None:
    receiver.answer = lambda handler: _reply(handler, 503)
    post.alerts.raise_alert("quality", "mae", "61 minutes")
    sender = post.sender(receiver.url)
    assert [sender.run() for _ in range(3)] == [0, 0, 0]
    assert len(receiver.heard) == 1  # not before its pause is over
    status = sender.status()
    assert status is not None
    assert (status["status"], status["detail"]) == (
        "degraded",
        "The webhook did not take the last alert: it answered 503",
    )
    receiver.answer = lambda handler: _reply(handler, 200)
    post.clock.advance(31)

    assert sender.run() == 1
    assert len({heard.headers["idempotency-key"] for heard in receiver.heard}) == 1
    assert [heard.body["attempt"] for heard in receiver.heard] == [1, 2]
    assert (sender.status() or {})["status"] == "up"


def test_a_redirect_is_not_followed(receiver: Receiver, post: Post) -> None:
    receiver.answer = lambda handler: _reply(handler, 307, {"location": receiver.url})
    post.alerts.raise_alert("quality", "mae", "61 minutes")

    assert post.sender(receiver.url).run() == 0
    assert len(receiver.heard) == 1
    assert post.outbox.state().last_error == "it answered 307; redirects are not followed"


@pytest.mark.parametrize("trickles", [False, True])
def test_a_receiver_that_hangs_costs_one_bounded_wait(
    receiver: Receiver, post: Post, monkeypatch: pytest.MonkeyPatch, trickles: bool
) -> None:
    """Also one that sends a byte now and then, so that no single wait is long."""
    monkeypatch.setattr(webhook, "ANSWER_SECONDS", 0.5)
    released = threading.Event()

    def dawdle(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.flush_headers()
        with contextlib.suppress(OSError):  # the sender hangs up
            while not released.wait(0.1):
                if trickles:
                    handler.wfile.write(b"x-slow: 1\r\n")

    receiver.answer = dawdle
    for subject in ("mae", "cv", "process_match"):
        post.alerts.raise_alert("quality", subject, "bad")
    sender = post.sender(receiver.url)

    assert sender.run() == 0
    assert len(receiver.heard) == 1  # the others were not tried in the same round
    assert post.outbox.state().last_error == "no answer within 0.5 s"
    assert post.outbox.state().waiting == 3
    released.set()
    deadline = time.monotonic() + 10
    while any(thread.name == "alert-webhook" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "the thread of the attempt did not end"
        time.sleep(0.05)


def test_a_receiver_that_is_away_or_speaks_no_http_is_said_plainly(post: Post) -> None:
    port = free_ports(1)[0]
    post.alerts.raise_alert("quality", "mae", "61 minutes")
    post.sender(f"http://127.0.0.1:{port}/{SECRET}").run()
    assert post.outbox.state().last_error == "it could not be reached: Connection refused"


def test_the_address_stands_in_no_log_and_no_error(receiver: Receiver, post: Post) -> None:
    receiver.answer = lambda handler: _reply(handler, 500)
    alert = post.alerts.raise_alert("quality", "mae", "61 minutes")
    key = base64.b64encode(b"a key that stays a secret").decode()
    sender = post.sender(receiver.url, key)
    with capture_logs() as lines:
        sender.run()
        receiver.answer = lambda handler: _reply(handler, 200)
        post.clock.advance(31)
        sender.run()
    said = repr((lines, sender.status(), [row.model_dump() for row in post.outbox.of(alert.id)], sender._address))
    said += repr(Settings(alert_webhook=receiver.url, alert_webhook_secret=key))

    assert "webhook.failed" in said
    assert "webhook.heard" in said
    assert SECRET not in said
    assert key not in said
    assert "pass" not in said.replace("passed", "")
    assert parse_address(receiver.url).shown in said


@pytest.mark.parametrize(
    "url", ["ftp://host/x", "file:///etc/passwd", "http:///", "https://host:x/", "host/path", "http://h/\r\nx: y"]
)
def test_only_http_addresses_are_settings_and_none_is_quoted(url: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(alert_webhook=url + SECRET)

    assert "alert_webhook" in str(refused.value)
    assert SECRET not in str(refused.value)


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The scheme's own published example."""
    headers = signature_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        datetime.fromtimestamp(1_614_265_330, UTC),
        b'{"test": 2432232314}',
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_signed_message_proves_itself_to_the_receiver_of_the_handbook(receiver: Receiver, post: Post) -> None:
    """By the very example that docs/OPERATIONS.md gives to receivers."""
    secret = "whsec_" + base64.b64encode(bytes(range(32))).decode()
    receiver.answer = lambda handler: _reply(handler, 503)
    post.alerts.raise_alert("quality", "mae", "61 minutes")
    sender = post.sender(receiver.url, secret)
    sender.run()
    post.clock.advance(31)
    sender.run()
    first, second = receiver.heard
    handbook = (PROJECT_DIR / "docs" / "OPERATIONS.md").read_text(encoding="utf-8")
    example: dict[str, Any] = {}
    exec(handbook.partition("```python\n")[2].partition("```")[0], example)
    is_genuine = example["is_genuine"]
    now = post.clock().timestamp()

    assert is_genuine(secret, second.headers, second.sent, now)
    assert not is_genuine(secret, second.headers, second.sent + b" ", now)
    assert not is_genuine("whsec_" + base64.b64encode(bytes(32)).decode(), second.headers, second.sent, now)
    assert not is_genuine(secret, second.headers, second.sent, now + 301)
    assert not is_genuine(secret, second.headers | {"webhook-timestamp": str(int(now) + 1)}, second.sent, now)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == second.headers["idempotency-key"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]


def test_without_a_secret_nothing_is_signed(receiver: Receiver, post: Post) -> None:
    post.alerts.raise_alert("quality", "mae", "61 minutes")
    post.sender(receiver.url).run()

    assert not [name for name in receiver.heard[0].headers if name.startswith("webhook-")]


@pytest.mark.parametrize("secret", ["short", "whsec_", "whsec_c2hvcnQ=", "not base64 at all, whatever it says"])
def test_a_secret_that_is_none_is_refused_and_not_quoted(secret: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(alert_webhook_secret=secret)

    assert "alert_webhook_secret" in str(refused.value)
    assert secret.removeprefix("whsec_") not in str(refused.value) or secret == "whsec_"


def test_without_a_webhook_nothing_is_kept_for_it(post: Post) -> None:
    post.alerts.raise_alert("quality", "mae", "61 minutes")
    sender = Webhook(Settings(data_dir=post.folder), post.engine, post.clock)

    assert sender.run() == 0
    assert sender.status() is None
    assert post.outbox.state().waiting == 0
