"""The whole app in Microsoft's own runtime on Python 3.13, beside the same app in this project's host."""

import os
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.hosts import PROJECT
from tests.conformance.microsoft import (
    AppRefused,
    MicrosoftRuntime,
    catalogue_of_this_host,
    need_microsoft,
)
from tests.conformance.scenarios import scenario

NOWHERE = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;" + ";".join(
    f"{kind}Endpoint=http://127.0.0.1:9/a" for kind in ("Blob", "Queue", "Table")
)
SCHEDULES = {f"ROUTING_{what}_SCHEDULE": "0 0 1 1 1 *" for what in ("EXTRACT", "QUALITY", "TRAINING", "SWEEP")}
RETRIES = """
    import azure.functions as func

    app = func.FunctionApp()
    blueprint = func.Blueprint()

    @app.timer_trigger(arg_name="timer", schedule="%EVERY%")
    @app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:05")
    def steady(timer: func.TimerRequest) -> None:
        pass

    @app.timer_trigger(arg_name="timer", schedule="0 */5 * * * *", run_on_startup=True, use_monitor=False)
    @app.retry(
        strategy="exponential_backoff", max_retry_count="-1", minimum_interval="00:00:02", maximum_interval="00:01:00"
    )
    def patient(timer: func.TimerRequest) -> None:
        pass

    @blueprint.route(route="things/{kind:alpha}/{number:int?}", methods=["PUT"], auth_level=func.AuthLevel.ADMIN)
    @blueprint.queue_output(arg_name="out", queue_name="out", connection="AzureWebJobsStorage")
    def put(req: func.HttpRequest, out: func.Out[str], context: func.Context) -> func.HttpResponse:
        return func.HttpResponse("put")

    app.register_functions(blueprint)
"""
REFUSED_BY_BOTH = {
    "a parameter of no binding": """
        @app.route(route="x")
        def x(req: func.HttpRequest, other: int = 1) -> func.HttpResponse:
            return func.HttpResponse("x")
    """,
    "a binding of no parameter": """
        @app.route(route="x")
        @app.queue_output(arg_name="out", queue_name="out", connection="AzureWebJobsStorage")
        def x(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("x")
    """,
    "one name twice": """
        @app.function_name("x")
        @app.route(route="x")
        def x(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("x")

        @app.function_name("x")
        @app.route(route="y")
        def y(req: func.HttpRequest) -> func.HttpResponse:
            return func.HttpResponse("y")
    """,
    "two app objects": "second = func.FunctionApp()",
    "a failing import": "import no_such_module",
}


@pytest.fixture(scope="module", autouse=True)
def _needs_the_runtime() -> None:
    need_microsoft()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """What an app that is only looked at needs of its surroundings."""
    passed = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {
        **passed, **SCHEDULES, "AzureWebJobsStorage": NOWHERE, "ROUTING_DATA_DIR": str(tmp_path / "data"),
        "EVERY": "0 0 * * * *",
    }  # fmt: skip


@pytest.fixture
def loaded(tmp_path: Path, environment: dict[str, str]) -> Iterator[Callable[[Path], dict[str, Any]]]:
    """Load an app's folder in Microsoft's runtime and return what it found."""
    runtimes: list[MicrosoftRuntime] = []

    def load(app_folder: Path) -> dict[str, Any]:
        runtimes.append(MicrosoftRuntime(app_folder, environment, tmp_path / "microsoft.log"))
        return runtimes[-1].load()

    yield load
    for runtime in runtimes:
        runtime.close()


def _app(folder: Path, source: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "function_app.py").write_text(textwrap.dedent(source))
    (folder / "host.json").write_text('{"version": "2.0"}')
    return folder


@scenario(48)
def test_both_find_the_same_functions_with_the_same_bindings(
    loaded: Callable[[Path], dict[str, Any]], environment: dict[str, str]
) -> None:
    theirs = loaded(PROJECT)
    ours = catalogue_of_this_host(PROJECT, environment)
    assert theirs["python"].startswith("3.13.")
    assert len(theirs["functions"]) > 80
    assert {one["name"]: one["bindings"] for one in theirs["functions"]} == {
        one["name"]: one["bindings"] for one in ours
    }
    assert {one["name"]: one["errors"] for one in ours if one["errors"]} == {}
    assert {one["name"]: one["retry"] for one in theirs["functions"]} == {one["name"]: one["retry"] for one in ours}


@scenario(48)
def test_the_apps_names_are_such_as_microsofts_host_takes(loaded: Callable[[Path], dict[str, Any]]) -> None:
    """The runtime itself takes names that the host then drops."""
    functions = loaded(PROJECT)["functions"]
    names = [str(one["name"]) for one in functions]
    assert len({name.lower() for name in names}) == len(names)
    assert [name for name in names if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,127}", name) or name == "host"] == []
    for one in functions:
        bindings = [str(binding["name"]) for binding in one["bindings"]]
        assert [
            name for name in bindings if name != "$return" and not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", name)
        ] == []
        assert len({name.lower() for name in bindings}) == len(bindings), one["name"]
        triggers = [binding for binding in one["bindings"] if binding["type"].endswith("Trigger")]
        assert [binding["direction"] for binding in triggers] == ["IN"], one["name"]
        assert not str(triggers[0].get("route", "")).startswith(("admin", "runtime")), one["name"]
        assert triggers[0]["type"] == "timerTrigger" or one["retry"] is None, one["name"]


@scenario(48)
def test_both_find_the_same_retry_options_and_blueprints(
    loaded: Callable[[Path], dict[str, Any]], environment: dict[str, str], tmp_path: Path
) -> None:
    folder = _app(tmp_path / "retries", RETRIES)
    theirs = {one["name"]: one for one in loaded(folder)["functions"]}
    ours = {one["name"]: one for one in catalogue_of_this_host(folder, environment)}
    assert {name: one["bindings"] for name, one in theirs.items()} == {
        name: one["bindings"] for name, one in ours.items()
    }
    assert {name: _comparable(one["retry"]) for name, one in theirs.items()} == {
        name: _comparable(one["retry"]) for name, one in ours.items()
    }
    assert _comparable(ours["steady"]["retry"])["max_retry_count"] == 3


def _comparable(retry: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return retry options with their intervals in seconds, under the names that the runtime gives them."""
    if retry is None:
        return {}
    options: dict[str, Any] = {"strategy": retry.get("retry_strategy", retry.get("strategy"))}
    options["max_retry_count"] = int(retry["max_retry_count"])
    for name in ("delay_interval", "minimum_interval", "maximum_interval"):
        if name in retry:
            hours, minutes, seconds = (int(part) for part in str(retry[name]).split(":"))
            options[name] = hours * 3600 + minutes * 60 + seconds
    return options


@scenario(48)
def test_what_microsofts_runtime_refuses_this_host_refuses(
    loaded: Callable[[Path], dict[str, Any]], environment: dict[str, str], tmp_path: Path
) -> None:
    for number, (what, source) in enumerate(REFUSED_BY_BOTH.items()):
        text = "import azure.functions as func\napp = func.FunctionApp()\n" + textwrap.dedent(source)
        folder = _app(tmp_path / f"bad{number}", text)
        with pytest.raises(AppRefused):
            loaded(folder)
        assert _refused_here(folder, environment), what


def _refused_here(folder: Path, environment: Mapping[str, str]) -> bool:
    try:
        return any(one["errors"] for one in catalogue_of_this_host(folder, environment))
    except AppRefused as refusal:
        return "AppLoadError" in str(refusal)
