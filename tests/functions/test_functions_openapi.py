"""The documentation is made from the declared endpoints, so it cannot forget one."""

import json
import re

from functions.http import ENDPOINTS
from tests.functions.conftest import Ask


def test_every_endpoint_stands_in_the_openapi_document(ask: Ask) -> None:
    document = json.loads(ask("get_openapi").get_body())
    described = {op["operationId"] for path in document["paths"].values() for op in path.values()}
    assert described == set(ENDPOINTS)


def test_every_reference_in_the_document_resolves(ask: Ask) -> None:
    text = ask("get_openapi").get_body().decode()
    schemas = json.loads(text)["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert references
    assert references <= set(schemas)


def test_the_page_loads_nothing_from_elsewhere(ask: Ask) -> None:
    response = ask("get_docs")
    page = response.get_body().decode()
    assert "<script" not in page
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page)
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert all(f"/api/{declared.route}".replace("{", "{") in page for declared in ENDPOINTS.values())
