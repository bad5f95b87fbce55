"""A request's path as a route meets it: what is decoded, and what stays."""

import pytest

from funchost.routes import compile_route, decoded_path


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/api/ping", "api/ping"),
        (b"/", ""),
        (b"/api/p/%ED%95%9C%20x", "api/p/한 x"),
        (b"/api/p/a+b", "api/p/a+b"),
        (b"/api/p/a%2Fb%2fc", "api/p/a%2Fb%2fc"),
        (b"/api/p/%252F", "api/p/%2F"),
        (b"/api/p/100%", "api/p/100%"),
        (b"//api/ping", "/api/ping"),
    ],
)
def test_everything_but_a_slash_is_decoded(raw: bytes, path: str) -> None:
    assert decoded_path(raw) == path


def test_a_value_with_an_encoded_slash_is_one_segment() -> None:
    assert compile_route("api/p/{name}").match(decoded_path(b"/api/p/a%2Fb")) == {"name": "a%2Fb"}
