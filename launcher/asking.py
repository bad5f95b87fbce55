"""What the supervisor asks of its own host over HTTP, and the line it shows a newcomer to try."""

import json
import sys
import urllib.error
import urllib.request

ANSWER_SECONDS = 5.0
# The host is on this machine: a proxy set for the network must not be asked for it.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def answer_status(url: str) -> int | None:
    """Return the HTTP status that a GET of `url` is answered with, None when nobody answers."""
    try:
        with _opener.open(url, timeout=ANSWER_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return int(error.code)
    except (OSError, ValueError):
        return None


def example_item(address: str) -> str | None:
    """Return an item code that the host can predict a routing for, None when it names none."""
    try:
        with _opener.open(f"{address}/api/items?limit=1", timeout=ANSWER_SECONDS) as answer:
            return str(json.load(answer)["items"][0]["item_code"])
    except (OSError, ValueError, LookupError, TypeError):
        return None


def first_command(address: str, item_code: str | None) -> str:
    """Return one `curl` line that this system's shell understands: a prediction, or health where there is no model."""
    if item_code is None:
        return f"curl {address}/api/health"
    body = json.dumps({"items": [{"item_code": item_code}]})
    quoted = '"' + body.replace('"', '\\"') + '"' if sys.platform == "win32" else f"'{body}'"
    header = '"content-type: application/json"'
    return f"curl {address}/api/predictions -H {header} -d {quoted}"
