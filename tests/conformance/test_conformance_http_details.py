"""What HTTP functions may rely on beyond the scenarios: paths, responses of every kind, context, outputs, limits."""

from typing import Any

import httpx
import pytest

from tests.conformance.account import Account
from tests.conformance.hosts import Host, eventually
from tests.conformance.workshop import Workshop

pytestmark = pytest.mark.azurite

APP = """
    import asyncio, threading

    def answer(text="ok", **options):
        return func.HttpResponse(text, **options)

    @app.route(route="ping")
    async def ping(req: func.HttpRequest) -> func.HttpResponse:
        return answer("pong")

    @app.route(route="")
    def unnamed(req: func.HttpRequest) -> func.HttpResponse:
        return answer("by its name")

    @app.route(route="both", methods=["GET"])
    def both_get(req: func.HttpRequest) -> func.HttpResponse:
        return answer("get")

    @app.route(route="both", methods=["POST", "PUT"])
    def both_post(req: func.HttpRequest) -> func.HttpResponse:
        return answer("post or put")

    @app.route(route="value/{x}")
    def value(req: func.HttpRequest) -> func.HttpResponse:
        return answer(json.dumps(dict(req.route_params)))

    @app.route(route="files/{name}.{ending}/{*rest}")
    def files(req: func.HttpRequest) -> func.HttpResponse:
        return answer(json.dumps(dict(req.route_params)))

    @app.route(route="echo")
    def echo(req: func.HttpRequest) -> func.HttpResponse:
        return answer(req.get_body(), mimetype="application/octet-stream")

    @app.route(route="query")
    def query(req: func.HttpRequest) -> func.HttpResponse:
        return answer(json.dumps(dict(req.params)))

    RESPONSES = {
        "text": lambda: func.HttpResponse("gr\\u00fcn"),
        "latin": lambda: func.HttpResponse("gr\\u00fcn", charset="latin-1"),
        "bytes": lambda: func.HttpResponse(bytes(range(256)), mimetype="application/octet-stream"),
        "none": lambda: func.HttpResponse(None),
        "json": lambda: func.HttpResponse('{"a": 1}', mimetype="application/json", status_code=202),
        "header": lambda: func.HttpResponse("x", headers={"Content-Type": "text/csv; charset=utf-8", "X-A": "1"}),
        "204": lambda: func.HttpResponse(status_code=204),
        "304": lambda: func.HttpResponse("not sent", status_code=304, headers={"ETag": '"1"'}),
        "503": lambda: func.HttpResponse("later", status_code=503, headers={"Retry-After": "3"}),
        "999": lambda: func.HttpResponse("no such status", status_code=999),
        "split": lambda: func.HttpResponse("x", headers={"X-A": "1\\r\\nX-B: 2"}),
        "korean": lambda: func.HttpResponse("x", headers={"X-A": "\\uae38"}),
        "nothing": lambda: None,
    }

    @app.route(route="respond/{kind}")
    def respond(req: func.HttpRequest):
        return RESPONSES[req.route_params["kind"]]()

    @app.route(route="text")
    def text(req: func.HttpRequest) -> str:
        return req.get_body().decode()

    ERRORS = {
        "exit": SystemExit(3), "interrupt": KeyboardInterrupt(), "cancelled": asyncio.CancelledError(),
        "stop": StopIteration(), "reset": ConnectionResetError("by the function"),
    }

    @app.route(route="raise/{what}")
    def raises(req: func.HttpRequest) -> func.HttpResponse:
        raise ERRORS[req.route_params["what"]]

    @app.route(route="araise/{what}")
    async def araises(req: func.HttpRequest) -> func.HttpResponse:
        raise ERRORS[req.route_params["what"]]

    @app.route(route="context")
    def context_of(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        def aside():
            context.thread_local_storage.invocation_id = context.invocation_id
            logging.info("from a thread of its own")
        thread = threading.Thread(target=aside)
        thread.start()
        thread.join()
        logging.info("from its thread")
        logging.debug("not written")
        return answer(json.dumps({
            "name": context.function_name, "directory": context.function_directory, "id": context.invocation_id,
            "parent": context.trace_context.trace_parent, "state": context.trace_context.trace_state,
            "spelled": context.trace_context.Traceparent, "retries": context.retry_context.retry_count,
            "most": context.retry_context.max_retry_count,
        }))

    @app.route(route="emit/{name}")
    @app.queue_output(arg_name="messages", queue_name="out-TAG", connection="AzureWebJobsStorage")
    @app.blob_output(arg_name="blob", path="out-TAG/{name}.txt", connection="AzureWebJobsStorage")
    def emit(
        req: func.HttpRequest, messages: func.Out[typing.List[str]], blob: func.Out[str]
    ) -> func.HttpResponse:
        messages.set(["one", "two"])
        blob.set("of " + req.route_params["name"])
        if req.params.get("fail"):
            raise ValueError("after it has set its outputs")
        return answer("sent", status_code=201)
"""


@pytest.fixture(scope="module")
def host(shared_workshop: Workshop) -> Any:
    """One host for all tests of this file that only ask."""
    return shared_workshop.run(APP)


# ------------------------------------------------------------------------------------------------ paths and requests


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("/api/value/a%20b", {"x": "a b"}),
        ("/api/value/%EA%B8%B8", {"x": "길"}),
        ("/api/value/a%2Fb", {"x": "a%2Fb"}),
        ("/api/value/a+b%25", {"x": "a+b%"}),
        ("/api/value/%00", {"x": "\0"}),
        ("/api/value/a/", {"x": "a"}),
        ("/api/files/a.b.c/d/e/", {"name": "a.b", "ending": "c", "rest": "d/e/"}),
        ("/api/files/a.b", {"name": "a", "ending": "b"}),
        ("/api/value//a", None),
        ("/api/value", None),
        ("/api/value/a/b", None),
        ("/api", None),
    ],
)
def test_a_path_gives_the_routes_values_decoded(host: Host, path: str, values: dict[str, str] | None) -> None:
    answer = host.get(path)
    assert answer.status_code == (404 if values is None else 200)
    assert (answer.json() if values else answer.content) == (values or b"")


def test_one_route_may_have_a_function_for_each_method(host: Host) -> None:
    assert host.get("/api/both").text == "get"
    assert host.post("/api/both").text == "post or put"
    assert httpx.put(host.url + "/api/both").text == "post or put"
    assert httpx.delete(host.url + "/api/both").status_code == 404


def test_an_empty_route_is_the_functions_name_and_the_root_is_a_homepage(host: Host) -> None:
    assert host.get("/api/unnamed").text == "by its name"
    assert "running" in host.get("/").text
    assert host.get("/").headers["content-type"].startswith("text/html")


def test_without_a_list_of_methods_all_reach_the_function(host: Host) -> None:
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert httpx.request(method, host.url + "/api/ping").text == "pong"
    head = httpx.head(host.url + "/api/ping")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "4")


def test_a_body_of_any_bytes_arrives_and_returns_whole(host: Host) -> None:
    body = bytes(range(256)) * 5000
    assert host.post("/api/echo", content=body).content == body
    assert host.post("/api/echo", content=b"").content == b""


def test_names_of_the_query_are_one_whatever_their_case(host: Host) -> None:
    assert host.get("/api/query?A=1&a=2&b=&c=x%2Cy&c=%F0%9F%94%A7").json() == {"A": "1,2", "c": "x,y,🔧"}
    assert host.get("/api/query?" + "a" * 7000 + "=1").json() == {"a" * 7000: "1"}


def test_a_request_that_is_too_long_is_refused_as_kestrel_does(host: Host) -> None:
    assert host.get("/api/query?a=" + "1" * 9000).status_code == 414
    assert host.get("/api/ping", headers={"x-long": "1" * 33000}).status_code == 431
    assert host.get("/api/ping", headers={f"x-{number}": "1" for number in range(101)}).status_code == 431
    assert host.get("/api/ping", headers={f"x-{number}": "1" for number in range(80)}).status_code == 200


# --------------------------------------------------------------------------------------------------------- responses


@pytest.mark.parametrize(
    ("form", "status", "content_type", "body"),
    [
        ("text", 200, "text/plain; charset=utf-8", "grün".encode()),
        ("latin", 200, "text/plain; charset=latin-1", "grün".encode("latin-1")),
        ("bytes", 200, "application/octet-stream", bytes(range(256))),
        ("none", 200, "text/plain; charset=utf-8", b""),
        ("json", 202, "application/json", b'{"a": 1}'),
        ("header", 200, "text/csv; charset=utf-8", b"x"),
        ("204", 204, None, b""),
        ("304", 304, None, b""),
        ("503", 503, "text/plain; charset=utf-8", b"later"),
        ("999", 500, None, b""),
        ("split", 500, None, b""),
        ("korean", 500, None, b""),
        ("nothing", 500, None, b""),
    ],
)
def test_a_response_is_sent_as_it_was_made(
    host: Host, form: str, status: int, content_type: str | None, body: bytes
) -> None:
    answer = host.get(f"/api/respond/{form}")
    assert (answer.status_code, answer.content) == (status, body)
    assert content_type is None or answer.headers["content-type"] == content_type
    assert "x-b" not in answer.headers
    if form == "304":
        assert answer.headers["etag"] == '"1"'


@pytest.mark.parametrize(
    ("returned", "status", "body"),
    [
        ({"status": 418, "body": {"a": 1}, "headers": {"X-Trap": "yes"}}, 418, b'{"a": 1}'),
        ({"statusCode": "201", "Body": "x", "Headers": {"X-Trap": "yes"}}, 201, b"x"),
        ({"body": None, "status": "soon", "headers": {"X-Trap": "yes"}}, 200, b""),
    ],
)
def test_a_text_that_looks_like_a_response_is_taken_for_one(
    host: Host, returned: dict[str, Any], status: int, body: bytes
) -> None:
    answer = host.post("/api/text", json=returned)
    assert (answer.status_code, answer.content.replace(b" ", b"")) == (status, body.replace(b" ", b""))
    assert answer.headers["x-trap"] == "yes"
    assert host.post("/api/text", content=b"just a text").text == "just a text"


@pytest.mark.parametrize("route", ["raise", "araise"])
@pytest.mark.parametrize("what", ["exit", "interrupt", "cancelled", "stop", "reset"])
def test_whatever_a_function_raises_is_an_empty_500(host: Host, route: str, what: str) -> None:
    answer = host.get(f"/api/{route}/{what}")
    assert (answer.status_code, answer.content) == (500, b"")
    assert host.get("/api/ping").text == "pong"


@pytest.mark.embedded("its status tells of restarts")
def test_no_error_of_a_function_ended_the_worker(host: Any) -> None:
    for what in ("exit", "interrupt"):
        host.get(f"/api/raise/{what}")
    assert host.admin("GET", "host/status").json()["workers"]["http"]["restarts"] == 0


# ---------------------------------------------------------------------------------------------- context and outputs


def test_the_context_tells_who_is_called_and_where(host: Host) -> None:
    trace = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=b"}
    seen = host.get("/api/context", headers=trace).json()
    assert seen["name"] == "context_of"
    assert seen["directory"] == str(host.app_dir)
    assert seen["parent"].split("-")[1] == trace["traceparent"].split("-")[1]
    assert seen["spelled"] == seen["parent"]
    assert (seen["retries"], seen["most"]) == (0, 0)


@pytest.mark.embedded("a log of one JSON object a line")
def test_what_a_function_logs_carries_its_invocation(host: Any) -> None:
    seen = host.get("/api/context").json()
    lines = eventually(
        lambda: len(found := [one for one in host.log() if one.get("invocation_id") == seen["id"]]) == 3 and found
    )
    assert [line["event"] for line in lines] == ["from a thread of its own", "from its thread", "function.succeeded"]
    assert all(line["function"] == "context_of" for line in lines[1:])
    assert (lines[2]["trigger"], lines[2]["attempt"], lines[2]["status"]) == ("http", 1, 200)


def test_outputs_are_written_when_the_function_succeeds_only(host: Host, shared_account: Account) -> None:
    assert host.get("/api/emit/b?fail=1").status_code == 500
    assert host.get("/api/emit/a").status_code == 201
    assert eventually(lambda: len(shared_account.waiting("out")) == 2)
    assert sorted(shared_account.waiting("out")) == ["one", "two"]
    container = shared_account.blobs.get_container_client(shared_account.name("out"))
    assert container.download_blob("a.txt").readall() == b"of a"
    assert [blob.name for blob in container.list_blobs()] == ["a.txt"]


# ------------------------------------------------------------------------------------------------ whole applications


def test_an_asgi_application_runs_whole(workshop: Workshop) -> None:
    host = workshop.run(
        """
        del app
        started = []

        async def inner(scope, receive, send):
            if scope["type"] == "lifespan":
                while True:
                    message = await receive()
                    started.append(message["type"])
                    await send({"type": message["type"] + ".complete"})
                    if message["type"].endswith("shutdown"):
                        return
            headers = [(b"x-inner", b"1"), (b"x-started", ",".join(started).encode())]
            await send({"type": "http.response.start", "status": 207, "headers": headers})
            await send({"type": "http.response.body", "body": scope["method"].encode() + b" ", "more_body": True})
            body = (await receive())["body"]
            rest = scope["path"].encode() + b"?" + scope["query_string"] + body
            await send({"type": "http.response.body", "body": rest})

        outer = func.AsgiFunctionApp(inner, http_auth_level=func.AuthLevel.ANONYMOUS)
        """,
        host_json={"extensions": {"http": {"routePrefix": ""}}},
    )
    answer = host.post("/deep/path?a=1", content=b"!")
    assert (answer.status_code, answer.headers["x-inner"], answer.text) == (207, "1", "POST /deep/path?a=1!")
    assert host.get("/").headers["x-started"] == "lifespan.startup"


def test_a_wsgi_application_runs_whole(workshop: Workshop) -> None:
    host = workshop.run(
        """
        del app

        def inner(environ, start_response):
            start_response("203 Fine", [("X-Inner", "1"), ("Content-Type", "text/plain")])
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            return [environ["REQUEST_METHOD"].encode(), b" ", environ["PATH_INFO"].encode(), b" ", body]

        outer = func.WsgiFunctionApp(inner, http_auth_level=func.AuthLevel.ANONYMOUS)
        """,
        host_json={"extensions": {"http": {"routePrefix": ""}}},
    )
    answer = host.post("/deep/path", content=b"sent")
    assert (answer.status_code, answer.headers["x-inner"], answer.text) == (203, "1", "POST /deep/path sent")
