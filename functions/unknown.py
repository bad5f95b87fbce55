"""What no function serves: an address that does not exist, or one that another method is for, is told so in words.

The host tries routes in the order of the functions' names, so this one's name must come after every other's.
"""

import re
from functools import cache

import azure.functions as func

from functions.http import API, ENDPOINTS, refuse
from shared.errors import NotFound

blueprint = func.Blueprint()

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]


@blueprint.function_name("wrong_address")
@blueprint.route(route=f"{API}/{{*path}}", methods=_METHODS, auth_level=func.AuthLevel.ANONYMOUS)
def wrong_address(req: func.HttpRequest) -> func.HttpResponse:
    """Answer 404 with a problem document, as for every other thing that does not exist."""
    path = req.route_params.get("path", "")
    served = sorted(method for method, pattern in _addresses() if pattern.fullmatch(path))
    if served:
        error = NotFound(f"{req.method} is not served at this address.", remedy=f"It answers {', '.join(served)}.")
    else:
        error = NotFound("There is no such address.", remedy="GET /api/openapi.json lists every one.")
    return refuse("wrong_address", req, error)


@cache
def _addresses() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return each endpoint's method and the pattern of its path."""
    return tuple(
        (declared.method, re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(declared.route)), re.IGNORECASE))
        for declared in ENDPOINTS.values()
    )
