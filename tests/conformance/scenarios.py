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
QUEUE_SCENARIOS = {
    15: Scenario(
        "Queue",
        "A success deletes",
        "The message is gone, and the returned text stands in base64 in a queue that was made for it.",
    ),
    16: Scenario(
        "Queue",
        "Metadata",
        "The function sees the message's id, a dequeue count of 1, a life of seven days, "
        "when it would be visible again, and a pop receipt.",
    ),
    17: Scenario(
        "Queue",
        "Tries, then poison",
        "A body that always fails runs with the dequeue counts 1, 2 and 3; "
        "then the same body lies in the poison queue and no more in the queue.",
    ),
    18: Scenario(
        "Queue", "Poison before a run", "A message that was received too often already is buried without a call."
    ),
    19: Scenario(
        "Queue", "No poison of a poison", "What fails in a poison queue stays there; no second poison queue is made."
    ),
    20: Scenario(
        "Queue", "Not base64", "A plain text is buried as it is, without a call; with messageEncoding none it runs."
    ),
    21: Scenario(
        "Queue",
        "Renewal",
        "A run three times as long as the visibility time runs once, its message is "
        "never visible, and the renewed receipt deletes it.",
    ),
    22: Scenario(
        "Queue",
        "A killed host",
        "The message of a host killed by SIGKILL comes again with dequeue count 2, "
        "within the visibility time and a second.",
    ),
    23: Scenario(
        "Queue",
        "Concurrency",
        "batchSize 2 with newBatchThreshold 1 runs three at once at most and at some "
        "moment; 1 with 0 never more than one.",
    ),
    24: Scenario(
        "Queue",
        "A graceful stop",
        "After SIGTERM nothing new begins, what runs is finished and deleted, the "
        "exit code is 0, and what was left is visible again.",
    ),
    25: Scenario(
        "Queue",
        "A queue that appears later",
        "A queue made after the start is read within the polling cap and a second, and its absence was no error.",
    ),
    26: Scenario(
        "Queue",
        "Several outputs",
        "A list of three makes three messages, None makes none, and a failure after it was set makes none.",
    ),
    27: Scenario("Queue", "No retry policy", "A retry policy on a queue function is refused by the function's name."),
    28: Scenario(
        "Queue",
        "Wake-up",
        "A message that a function of the same host puts into a queue runs at once, "
        "however long that queue's listener would have slept.",
    ),
}
BLOB_SCENARIOS = {
    29: Scenario(
        "Blob",
        "Blobs that exist",
        "They fire once at the first start, not at a restart, and once more under another host id.",
    ),
    30: Scenario(
        "Blob",
        "ETags",
        "A blob overwritten with the same bytes fires again, and each version has its "
        "receipt under the documented path.",
    ),
    31: Scenario("Blob", "Patterns", "A name in a path takes slashes too, and upper and lower case differ."),
    32: Scenario(
        "Blob",
        "Poison",
        "A handler that raises is called poisonBlobThreshold times; then one message "
        "with every documented field lies in the common poison queue.",
    ),
    33: Scenario(
        "Blob",
        "Changed in between",
        "Of a blob that was overwritten before its message was read only the "
        "last state is seen; a deleted one makes no call and no poison.",
    ),
    34: Scenario(
        "Blob", "Two hosts", "Fifty blobs make fifty calls, each of two hosts makes some, and one of them scans."
    ),
    35: Scenario("Blob", "Binary", "All 256 bytes arrive as they are, with length, URI, metadata and ETag."),
}
TIMER_SCENARIOS = {
    36: Scenario(
        "Timer",
        "NCRONTAB",
        "A table of expressions gives the same occurrences, and what NCRONTAB does not know is refused.",
    ),
    37: Scenario(
        "Timer",
        "Past due once",
        "Three missed slots make one run at the start, marked past due, and the "
        "next at its regular time; a changed schedule makes none.",
    ),
    38: Scenario(
        "Timer",
        "No overlap",
        "A body longer than its interval never runs beside itself and begins anew as soon as it has ended.",
    ),
    39: Scenario(
        "Timer",
        "run_on_startup",
        "It runs once at the start, not past due; a body that fails does not stop the schedule.",
    ),
    40: Scenario(
        "Timer",
        "One owner",
        "Of two hosts one runs each slot; when it is killed the other takes over within the lease and its retry.",
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

SCENARIOS: dict[int, Scenario] = {
    **HTTP_SCENARIOS,
    **QUEUE_SCENARIOS,
    **BLOB_SCENARIOS,
    **TIMER_SCENARIOS,
    **HOST_SCENARIOS,
}


def scenario(*numbers: int) -> pytest.MarkDecorator:
    """Mark a test as one that shows these scenarios; a scenario may need several."""
    unknown = [number for number in numbers if number not in SCENARIOS]
    if not numbers or unknown:
        raise ValueError(f"no such scenario: {unknown}")
    return pytest.mark.scenario(*numbers)
