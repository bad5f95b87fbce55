"""The catalogue of messages holds every code that the Python side can answer, and none that it cannot."""

import ast
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

import function_app  # noqa: F401 - declares what the functions raise
import shared.training.jobs  # noqa: F401 - declares an error of its own
from shared.configuration import Configuration
from shared.database.tables import AlertState, RegistrationState, VersionState, WorkState
from shared.errors import RoutingError
from shared.identity.callers import Role

PROJECT = Path(__file__).resolve().parents[2]
LANGUAGES = ("en", "ko")
OF_THE_PAGES = {"other", "request", "unreachable"}  # said where no problem document came


def catalogue(language: str) -> dict[str, Any]:
    text = (PROJECT / "frontend" / "src" / "i18n" / f"{language}.json").read_text("utf-8")
    read: dict[str, Any] = json.loads(text)
    return read


def every_error() -> set[type[RoutingError]]:
    found: set[type[RoutingError]] = set()
    waiting = [RoutingError]
    while waiting:
        error = waiting.pop()
        found.add(error)
        waiting += [kind for kind in error.__subclasses__() if not kind.__module__.startswith(("tests", "test_"))]
    return found


def alert_kinds() -> set[str]:
    """Every kind that an alert is raised with: read from the calls, names resolved in their own module."""
    return {
        kind for folder in ("shared", "functions") for path in (PROJECT / folder).rglob("*.py") for kind in _kinds(path)
    }


def _kinds(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        at = {"raise_alert": 0, "raise_in": 1}.get(node.func.attr)
        if at is None or len(node.args) <= at or path.name == "alerts.py":  # there the kind is handed through
            continue
        kind = node.args[at]
        if isinstance(kind, ast.Constant):
            yield str(kind.value)
        else:
            assert isinstance(kind, ast.Name), f"{path}: an alert's kind is a constant or its name"
            module = importlib.import_module(".".join(path.relative_to(PROJECT).with_suffix("").parts))
            yield str(getattr(module, kind.id))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_has_its_message(language: str) -> None:
    assert set(catalogue(language)["errors"]) - OF_THE_PAGES == {error.code for error in every_error()}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("part", ["alertKind", "alertMeans", "alertDo"])
def test_every_kind_of_alert_has_a_name_a_meaning_and_what_to_do(language: str, part: str) -> None:
    kinds = alert_kinds()
    assert {"quality", "poison-message", "audit-broken"} <= kinds, "the search finds what is known to be there"
    assert set(catalogue(language)["operations"][part]) == kinds


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_state_and_role_has_a_word(language: str) -> None:
    said = catalogue(language)
    states = {str(state) for kind in (WorkState, RegistrationState, VersionState, AlertState) for state in kind}
    assert states - set(said["operations"]["state"]) == set()
    assert set(said["roles"]) == {str(role) for role in Role}


def _settings(model: type[BaseModel], before: str = "") -> Iterator[tuple[str, str]]:
    """Yield every field of the configuration with its description; of the sections those that the page heads."""
    for name, field in model.model_fields.items():
        path, inner = before + name, field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            if not before:
                yield path, inspect.getdoc(inner) or ""
            yield from _settings(inner, f"{path}/")
        else:
            yield path, field.description or ""


def test_every_setting_is_said_in_every_language() -> None:
    settings = dict(_settings(Configuration))
    assert len(settings) > 40
    assert catalogue("en")["operations"]["settingSays"] == settings
    korean = catalogue("ko")["operations"]["settingSays"]
    assert set(korean) == set(settings)
    assert [path for path, text in korean.items() if not re.search("[가-힣]", text)] == []
