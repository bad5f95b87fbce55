"""The catalogue of messages holds every code that the Python side can answer, and none that it cannot."""

import json
from pathlib import Path
from typing import Any

import pytest

import function_app  # noqa: F401 - declares what the functions raise
import shared.training.jobs  # noqa: F401 - declares an error of its own
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


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_error_has_its_message(language: str) -> None:
    assert set(catalogue(language)["errors"]) - OF_THE_PAGES == {error.code for error in every_error()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_role_has_a_word(language: str) -> None:
    assert set(catalogue(language)["roles"]) == {str(role) for role in Role}
