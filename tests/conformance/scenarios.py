"""What a Functions host promises: fifty scenarios by number, which tests name with `@scenario(15)`."""

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Scenario:
    """One promise: its area, a short title, and what is seen where it is kept."""

    area: str
    title: str
    seen: str


HTTP_SCENARIOS = {
    1: Scenario(
        "HTTP",
        "The route prefix stands before every route",
        'routePrefix "", "v1" or absent: `ping` answers at /ping, /v1/ping or /api/ping, and only there.',
    ),
    2: Scenario(
        "HTTP",
        "Constraints and optional parameters",
        "`p/{line:alpha}/{n:int?}`: /p/ab/7 gives n as the text 7, /p/ab has no n, /p/1/7 is a 404, /P/ab/7 is found.",
    ),
    3: Scenario("HTTP", "A method that is not listed", "POST only, asked by GET: 404, not 405."),
    4: Scenario(
        "HTTP",
        "Routes are tried by the functions' names",
        "`aall` with `{*rest}` answers for `zone`, since its name comes first.",
    ),
    5: Scenario("HTTP", "Reserved routes", "`administration/x` is an error of that function; the others answer."),
    6: Scenario(
        "HTTP",
        "Keys",
        "Level function: 401 without or with a wrong key; 200 with the function's, the host's or the master key, by "
        "header or `code`; the header wins. Level admin: the master key only.",
    ),
    7: Scenario(
        "HTTP", "An exception", "500 with an empty body; the traceback stands in the log with the invocation's id."
    ),
    8: Scenario(
        "HTTP",
        "A disabled function",
        "`AzureWebJobs.ping.Disabled` = true: 404, but not for the master key; the value `yes` disables nothing.",
    ),
    9: Scenario(
        "HTTP",
        "Too many requests",
        "One at a time, two outstanding, five calls at once: two 200, three 429 with X-FUNCTION-SCALEOUT; "
        "/admin/host/ping answers meanwhile.",
    ),
    10: Scenario("HTTP", "A body over the limit", "One byte more than the limit: 413, and the function does not run."),
    11: Scenario("HTTP", "A chunked body", "Without Content-Length the function sees an empty body."),
    12: Scenario(
        "HTTP",
        "The shape of a request",
        "Header names in lower case, repeated headers and query keys joined by commas, empty query values absent, the "
        "whole URL, the body as bytes.",
    ),
    13: Scenario(
        "HTTP",
        "Cookies and headers",
        "Two Set-Cookie headers both arrive; a function's header wins over customHeaders.",
    ),
    14: Scenario(
        "HTTP",
        "A sync function that runs holds up no async one",
        "50 calls of an async function during a sync one that takes a second: p99 below 50 ms.",
    ),
}
HOST_SCENARIOS = {
    41: Scenario(
        "Host",
        "A schedule that names no setting",
        "`%X%` without a setting X is an error of that timer at /admin/functions/{name}/status; HTTP works.",
    ),
    42: Scenario(
        "Host",
        "Settings",
        "The environment wins over `Values`, with a warning; no `IsEncrypted` or a nested value is refused.",
    ),
    43: Scenario(
        "Host",
        "host.json",
        "A version that is not 2.0, batchSize 33, a polling interval of 10 ms and broken JSON stop the start and name "
        "file, key and reason; an unknown key warns; AzureFunctionsJobHost__… overrides.",
    ),
    44: Scenario(
        "Host",
        "functionTimeout",
        "2 s for a body of 10 s: it fails after 2 to 4 s, its worker is replaced, the message comes again with dequeue "
        "count 2, and other functions answer within 5 s.",
    ),
    45: Scenario(
        "Host",
        "A run by hand",
        "POST /admin/functions/{name}: 202 and one run of a timer, or of a queue function with the given text; 404 for "
        "an unknown name, 401 without a key.",
    ),
    46: Scenario(
        "Host",
        "Status, drain and resume",
        "Status says Running and the host's id; after drain (202) the queue rests, HTTP answers and the state becomes "
        "Completed; after resume the queue works.",
    ),
    47: Scenario(
        "Host",
        "One bad function",
        "A binding name with `_` is an error of that function; the rest runs; a strict start refuses the app.",
    ),
    48: Scenario(
        "Host",
        "Microsoft's runtime agrees",
        "azure-functions-runtime on Python 3.13 finds the same functions, bindings and retry policies, and their happy "
        "paths give the same outputs.",
    ),
    49: Scenario(
        "Host",
        "The app is imported lightly",
        "In a fresh process in less than 3 s, and without a library for learning.",
    ),
    50: Scenario(
        "Host", "No orphans", "After SIGKILL of the host, with a child under way, nothing of it is alive after 5 s."
    ),
}

SCENARIOS: dict[int, Scenario] = {**HTTP_SCENARIOS, **HOST_SCENARIOS}


def scenario(*numbers: int) -> pytest.MarkDecorator:
    """Mark a test as one that shows these scenarios; a scenario may need several."""
    unknown = [number for number in numbers if number not in SCENARIOS]
    if not numbers or unknown:
        raise ValueError(f"no such scenario: {unknown}")
    return pytest.mark.scenario(*numbers)
