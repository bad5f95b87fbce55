"""Who may call what, written out by hand and tried in full against the running app."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

import function_app  # noqa: F401 - declares the endpoints
from functions.http import ENDPOINTS
from shared.identity.callers import Role
from tests.access.conftest import RunningApp
from tests.conformance.hosts import PROJECT

# A row: an endpoint, and everybody who may call it where reads are open, as they are on loopback. Not in it: refused.
NOBODY, VIEWER, PLANNER, OPERATOR, ADMINISTRATOR, AUDITOR = (
    "nobody", "viewer", "planner", "operator", "administrator", "auditor",
)  # fmt: skip
ALL = (NOBODY, VIEWER, PLANNER, OPERATOR, ADMINISTRATOR, AUDITOR)
PLANS = (PLANNER, OPERATOR, ADMINISTRATOR)
OPERATES = (OPERATOR, ADMINISTRATOR)
ADMINISTERS = (ADMINISTRATOR,)
MATRIX = {
    "GET health/live": ALL,
    "GET health/ready": ALL,
    "GET health": ALL,
    "GET metrics": ALL,
    "GET openapi.json": ALL,
    "GET docs": ALL,
    "POST session": ALL,  # whoever has a key signs in with it
    "GET session": ALL,
    "DELETE session": ALL,
    # predictions
    "POST predictions": ALL,
    "GET predictions/{id}": ALL,
    "GET predictions/{id}/{export}": ALL,
    "POST predictions/{id}/decisions": PLANS,
    "GET decisions": ALL,
    "POST time-summaries": ALL,
    "POST routings/exports/{form}": ALL,  # of what is sent; nothing is stored
    "POST routings/imports": ALL,
    "GET items": ALL,
    "GET items/{item_code}": ALL,
    "GET attributes": ALL,
    "GET operations": ALL,
    "GET items/{item_code}/similar": ALL,
    "GET items/{item_code}/orders": ALL,
    # data
    "GET data/snapshots": ALL,
    "POST data/snapshots": OPERATES,
    "GET data/extracts": ALL,
    "GET data/extracts/{id}": ALL,
    "GET data/quality": ALL,
    # models
    "GET models": ALL,
    "GET models/active": ALL,
    "GET models/{version}": ALL,
    "GET models/{version}/bom": ALL,
    "GET models/{version}/lineage": ALL,
    "POST models/{version}/verify": OPERATES,
    "POST models/{version}/activate": OPERATES,
    "POST models/{version}/reject": OPERATES,
    "POST models/{version}/pin": OPERATES,
    "POST models/{version}/unpin": OPERATES,
    "POST models/{version}/remove": ADMINISTERS,
    "POST models/rollback": OPERATES,
    "GET registrations": ALL,
    # quality, alerts, training
    "GET quality/cycles": ALL,
    "POST quality/cycles": OPERATES,
    "GET quality/cycles/{id}": ALL,
    "GET quality/cycles/{id}/{report}": ALL,
    "GET alerts": ALL,
    "GET alerts/{id}": ALL,
    "POST alerts/{id}/acknowledge": OPERATES,
    "POST alerts/{id}/close": OPERATES,
    "GET training/jobs": ALL,
    "POST training/jobs": OPERATES,
    "GET training/jobs/{id}": ALL,
    "GET training/jobs/{id}/log": ALL,
    "DELETE training/jobs/{id}": OPERATES,
    # the installation
    "POST caches/clear": OPERATES,
    "GET config": ALL,
    "PATCH config": OPERATES,
    "GET config/history": ALL,
    "GET logs": OPERATES,
    "GET logs/download": OPERATES,
    "GET audit": ("auditor",),
    "GET poison": ALL,
    "POST poison/{id}/replay": OPERATES,
    "GET keys": ADMINISTERS,
    "POST keys": ADMINISTERS,
    "POST keys/{id}/rotate": ADMINISTERS,
    "DELETE keys/{id}": ADMINISTERS,
}
LOOKS_AT_NO_KEY = {
    "GET health/live", "GET health/ready", "GET openapi.json", "GET docs", "GET session", "POST session",
    "DELETE session",
}  # fmt: skip
# In a process of its own: a function app lists its functions once only.
LIST_HTTP_FUNCTIONS = """
import json, function_app
triggers = {f.get_function_name(): f.get_trigger().get_dict_repr()["type"] for f in function_app.app.get_functions()}
print(json.dumps([name for name, kind in triggers.items() if kind == "httpTrigger"]))
"""
NO_BODY_FITS = {"no such field": 1}  # whoever may call is told that the body is wrong: nothing is started or changed


@pytest.fixture(scope="module")
def client(app: RunningApp) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{app.url}/api/", timeout=30) as client:
        yield client


def refused_with(client: httpx.Client, endpoint: str, key: str | None) -> int | None:
    """Return the status that a caller is refused with, None where access is granted."""
    method, route = endpoint.split(" ")
    answer = client.request(
        method,
        re.sub(r"\{\w+\}", "none-such", route),
        json=NO_BODY_FITS if method in ("POST", "PATCH") else None,
        headers={"x-api-key": key} if key is not None else {},
    )
    assert answer.status_code != 500, (endpoint, answer.text)
    assert answer.status_code != 404 or answer.json()["detail"] != "There is no such address.", endpoint
    return answer.status_code if answer.status_code in (401, 403, 421) else None


@pytest.mark.parametrize("who", ALL)
def test_everybody_may_call_exactly_what_the_table_says(client: httpx.Client, app: RunningApp, who: str) -> None:
    key = None if who == NOBODY else app.keys[who]
    refusal = 401 if who == NOBODY else 403
    tried = {endpoint: refused_with(client, endpoint, key) for endpoint in MATRIX}
    assert tried == {endpoint: None if who in allowed else refusal for endpoint, allowed in MATRIX.items()}


def test_a_key_that_nobody_gave_out_opens_nothing_that_a_key_opens(client: httpx.Client) -> None:
    for endpoint in MATRIX:
        looks_at_keys = endpoint not in LOOKS_AT_NO_KEY
        assert refused_with(client, endpoint, "rml_0123456789ab_wrong") == (401 if looks_at_keys else None), endpoint


def test_the_table_has_every_endpoint_of_the_running_app(client: httpx.Client) -> None:
    paths = client.get("openapi.json").json()["paths"]
    served = {f"{method.upper()} {path.removeprefix('/api/')}" for path, methods in paths.items() for method in methods}
    assert served == set(MATRIX)


def test_no_function_answers_requests_beside_the_declared_endpoints() -> None:
    """One that is declared otherwise would have no rule: one says "not found", one gives pages to anybody."""
    words = [sys.executable, "-c", LIST_HTTP_FUNCTIONS]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True)
    answering = set(json.loads(done.stdout.splitlines()[-1]))
    assert answering == set(ENDPOINTS) | {"wrong_address", "get_page"}


def test_what_the_command_prints_is_the_table() -> None:
    words = [sys.executable, "-m", "cli", "access", "matrix", "--json"]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=True)
    printed = {
        f"{row['method']} {row['route']}": {who for who, allowed in row["allowed"].items() if allowed != "no"}
        for row in json.loads(done.stdout)["items"]
    }
    assert printed == {endpoint: set(allowed) for endpoint, allowed in MATRIX.items()}


def test_what_the_issue_asks_for_by_name(client: httpx.Client, app: RunningApp) -> None:
    """A planner cannot activate, a viewer cannot start a job, and nobody without a key can change anything."""
    activation = {"reason": "because I can"}
    refused = client.post("models/v1/activate", json=activation, headers={"x-api-key": app.keys["planner"]})
    assert (refused.status_code, refused.json()["code"], refused.json()["least_role"]) == (403, "forbidden", "operator")
    job = client.post("training/jobs", json={"kind": "refit"}, headers={"x-api-key": app.keys["viewer"]})
    assert (job.status_code, job.json()["code"]) == (403, "forbidden")
    assert client.get("training/jobs").json()["total"] == 0
    harmless = {"predictions", "time-summaries", "session", "routings/exports/{form}", "routings/imports"}
    changes = [
        endpoint for endpoint in MATRIX if not endpoint.startswith("GET") and endpoint.split()[1] not in harmless
    ]
    assert {refused_with(client, endpoint, None) for endpoint in changes} == {401}


def test_the_first_starts_key_is_one_of_the_keys(client: httpx.Client, app: RunningApp) -> None:
    first = app.services.settings.administrator_key.read_text().strip()
    listed = client.get("keys", params={"user": "administrator"}, headers={"x-api-key": first})
    assert [(row["label"], row["role"], row["state"]) for row in listed.json()["items"]] == [
        ("administrator.key", "administrator", "live")
    ]


def test_keys_over_http_are_made_listed_rotated_and_revoked(client: httpx.Client, app: RunningApp) -> None:
    as_administrator = {"x-api-key": app.keys["administrator"]}
    asked = {"user": "Kim Minji", "role": "operator", "label": "tablet"}
    made = client.post("keys", json=asked, headers=as_administrator)
    assert made.status_code == 201
    assert made.headers["cache-control"] == "no-store"
    key = made.json()
    assert refused_with(client, "PATCH config", key["key"]) is None
    rotated = client.post(f"keys/{key['id']}/rotate", json={"grace_hours": 1}, headers=as_administrator).json()
    assert refused_with(client, "PATCH config", key["key"]) is None
    assert refused_with(client, "PATCH config", rotated["key"]) is None
    assert client.delete(f"keys/{rotated['id']}", headers=as_administrator).json()["revoked_by"] == "the administrator"
    assert refused_with(client, "PATCH config", rotated["key"]) == 401
    listed = client.get("keys", params={"user": "Kim Minji"}, headers=as_administrator)
    assert [(row["id"], row["state"]) for row in listed.json()["items"]] == [
        (rotated["id"], "revoked"),
        (key["id"], "live"),
    ]
    for secret in (key["key"], rotated["key"]):
        assert secret not in listed.text
        assert secret not in app.host.log_text(), "no key stands in a log"


def test_a_change_is_made_under_the_name_of_the_keys_user(client: httpx.Client, app: RunningApp) -> None:
    change = client.patch(
        "config", json={"quality": {"sample_size": 61}}, headers={"x-api-key": app.keys[Role.OPERATOR]}
    )
    assert change.status_code == 200
    assert client.get("config/history").json()["items"][0]["actor"] == "the operator"
