"""Signing in with a browser, against the running app: one key, then a cookie, and nothing for another site's page."""

from collections.abc import Iterator

import httpx
import pytest

from shared.identity.callers import Role
from tests.access.conftest import RunningApp

PAGE = {"x-requested-with": "1"}
CHANGE = {"quality": {"sample_size": 60}}


@pytest.fixture
def browser(app: RunningApp) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{app.url}/api/", timeout=30) as client:
        yield client


def sign_in(browser: httpx.Client, key: str, **headers: str) -> httpx.Response:
    return browser.post("session", json={"key": key}, headers=headers)


def test_a_key_signs_in_once_and_the_cookie_does_the_rest(browser: httpx.Client, app: RunningApp) -> None:
    assert browser.get("session").json() is None
    signed_in = sign_in(browser, app.keys[Role.OPERATOR])
    assert (signed_in.status_code, signed_in.headers["cache-control"]) == (201, "no-store")
    name, *attributes = signed_in.headers["set-cookie"].split("; ")
    assert name.startswith(f"routing_session_{httpx.URL(app.url).port}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", f"Max-Age={12 * 3600}"} == set(attributes)
    me = browser.get("session").json()
    assert (me["name"], me["role"]) == ("the operator", "operator")
    assert me["expires_at"] == signed_in.json()["expires_at"]
    assert browser.patch("config", json=CHANGE, headers=PAGE).status_code == 200
    assert browser.post("models/v1/remove", json={"reason": "x"}, headers=PAGE).status_code == 403
    token = name.partition("=")[2]
    for secret in (token, app.keys[Role.OPERATOR]):
        assert secret not in app.host.log_text(), "neither key nor token stands in a log"

    assert browser.delete("session", headers=PAGE).status_code == 204
    assert not browser.cookies
    assert browser.get("session").json() is None
    stolen = {"cookie": f"{name.partition('=')[0]}={token}", **PAGE}
    assert browser.patch("config", json=CHANGE, headers=stolen).status_code == 401, "what was signed out stays out"


def test_another_sites_page_changes_nothing_for_who_is_signed_in(browser: httpx.Client, app: RunningApp) -> None:
    sign_in(browser, app.keys[Role.ADMINISTRATOR])
    before = browser.get("config").json()["version"]
    port = httpx.URL(app.url).port
    assert port is not None
    without_the_header = browser.patch("config", json=CHANGE)
    assert (without_the_header.status_code, without_the_header.json()["code"]) == (403, "cross-site")
    for origin in ("https://evil.example", f"http://127.0.0.1:{port + 1}", "null", "http://[", ""):
        for method, path in (("PATCH", "config"), ("DELETE", "session"), ("POST", "keys"), ("POST", "session")):
            answer = browser.request(method, path, json=CHANGE, headers=PAGE | {"origin": origin})
            assert (answer.status_code, answer.json()["code"]) == (403, "cross-site"), (origin, method, path)
    assert browser.get("config").json()["version"] == before
    own = browser.patch("config", json=CHANGE, headers=PAGE | {"origin": app.url})
    assert own.status_code == 200


def test_a_session_ends_with_its_key(browser: httpx.Client, app: RunningApp) -> None:
    made = app.services.api_keys.make("Lee", Role.OPERATOR, by="test")
    assert sign_in(browser, made.text).status_code == 201
    assert browser.patch("config", json=CHANGE, headers=PAGE).status_code == 200
    app.services.api_keys.revoke(made.key.id, by="test")
    assert browser.patch("config", json=CHANGE, headers=PAGE).status_code == 401


def test_behind_https_the_cookie_travels_encrypted_only(browser: httpx.Client, app: RunningApp) -> None:
    signed_in = sign_in(browser, app.keys[Role.VIEWER], **{"x-forwarded-proto": "https"})
    assert signed_in.headers["set-cookie"].endswith("; Secure")


def test_failed_sign_ins_are_slowed_down(browser: httpx.Client, app: RunningApp) -> None:
    """Only tries at this one key are refused here, by its prefix; ten failures a minute would refuse the client."""
    key = app.services.api_keys.make("Park", Role.VIEWER, by="test").text
    guess = key[:-4] + "AAAA"
    answers = [sign_in(browser, guess) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert answers[-1].json()["code"] == "too-many-attempts"
    assert guess not in answers[-1].text
    assert sign_in(browser, key).status_code == 429, "a right guess is not told from a wrong one"
    assert browser.get("models", headers={"x-api-key": key}).status_code == 200, "programs go on"
