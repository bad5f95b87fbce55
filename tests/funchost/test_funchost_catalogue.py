"""Which functions of an app the host runs, and what it says of those that it does not."""

from typing import Any

import pytest

from funchost.catalogue import Entry, make_catalogue
from funchost.hostjson import HostJson


def _http(name: str, route: str | None = None, *, methods: tuple[str, ...] = (), **trigger: Any) -> dict[str, Any]:
    bindings = [
        {"name": "req", "type": "httpTrigger", "direction": "IN", "route": route, "methods": list(methods), **trigger},
        {"name": "$return", "type": "http", "direction": "OUT"},
    ]
    return {"name": name, "bindings": bindings, "retry": None, "errors": []}


def _catalogue(*documents: dict[str, Any], **host_json: Any) -> dict[str, Entry]:
    return {entry.name: entry for entry in make_catalogue(documents, HostJson(**host_json), {"SET": "value"})}


@pytest.mark.parametrize("name", ["a", "A-b_c9", "hosts", "a" * 128])
def test_a_proper_name_runs(name: str) -> None:
    assert _catalogue(_http(name))[name].errors == ()


@pytest.mark.parametrize("name", ["1a", "_a", "a b", "a.b", "host", "HOST", "ä", "a" * 129])
def test_a_name_that_microsofts_host_drops_is_an_error(name: str) -> None:
    (error,) = _catalogue(_http(name))[name].errors
    assert "its name must begin with a letter" in error


def test_names_are_one_whatever_their_case() -> None:
    first, second = make_catalogue([_http("same", "a"), _http("SAME", "b")], HostJson(), {})
    assert (first.errors, second.errors) == ((), ("its name is used by 'same' as well",))


@pytest.mark.parametrize("route", ["admin", "administration/x", "/Admin/x", "runtime/x", "RuntimeX"])
def test_a_reserved_route_is_an_error_whatever_the_prefix(route: str) -> None:
    assert "keeps for itself" in _catalogue(_http("f", route), route_prefix="v1")["f"].errors[0]


@pytest.mark.parametrize(
    ("first", "second", "is_taken"),
    [
        ((), (), True),
        (("GET",), (), True),
        (("GET", "POST"), ("POST", "PUT"), True),
        (("get",), ("GET",), True),
        (("GET",), ("POST",), False),
    ],
)
def test_one_route_has_one_function_for_a_method(
    first: tuple[str, ...], second: tuple[str, ...], is_taken: bool
) -> None:
    found = _catalogue(_http("a", "X/{y}/", methods=first), _http("b", "/x/{Y}", methods=second))
    assert found["a"].errors == ()
    assert ("taken by 'a'" in "".join(found["b"].errors)) is is_taken


def test_a_route_of_a_function_with_an_error_is_free() -> None:
    found = _catalogue(_http("a", "x", authLevel="nobody"), _http("b", "x"))
    assert "authLevel" in found["a"].errors[0]
    assert found["b"].runs


@pytest.mark.parametrize(("route", "meant"), [(None, "f"), ("", "f"), (" ", "f"), ("%SET%/x", "value/x"), ("/a", "/a")])
def test_the_route_is_the_name_where_it_says_nothing(route: str | None, meant: str) -> None:
    assert _catalogue(_http("f", route))["f"].route == meant


def test_a_setting_that_is_not_there_is_an_error_of_its_function() -> None:
    found = _catalogue(_http("a", "%NONE%"), _http("b"))
    assert "NONE" in found["a"].errors[0]
    assert found["b"].runs


def test_only_the_functions_of_the_list_are_known() -> None:
    assert set(_catalogue(_http("a"), _http("B"), _http("c"), functions=("A", "b"))) == {"a", "B"}
