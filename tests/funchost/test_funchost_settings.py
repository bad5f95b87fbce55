"""The host's settings and host.json as they are read, and what its process imports."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from funchost.errors import ConfigurationError
from funchost.hostjson import read_host_json
from funchost.loglevels import LogLevels
from funchost.settings import (
    HostSettings,
    LocalSettings,
    apply_local_settings,
    find_connection,
    is_disabled,
    make_settings,
    resolve_names,
)
from tests.conformance.workshop import FAST


def _app_with(folder: Path, host_json: Any = None, local: Any = None) -> Path:
    text = host_json if isinstance(host_json, str) else json.dumps(FAST if host_json is None else host_json)
    (folder / "host.json").write_text(text)
    if local is not None:
        (folder / "local.settings.json").write_text(json.dumps(local))
    return folder


def test_the_environment_wins_over_the_local_settings_with_a_warning(tmp_path: Path) -> None:
    values = {"A": "file", "B": "file", "EMPTY_OUTSIDE": "file", "NOTHING": None, "BLANK": ""}
    app_dir = _app_with(tmp_path, local={"IsEncrypted": False, "Values": values, "ConnectionStrings": {"Db": "x"}})
    environment = {"A": "outside", "EMPTY_OUTSIDE": ""}
    found = apply_local_settings(app_dir, environment)
    assert environment == {
        "A": "outside",
        "B": "file",
        "EMPTY_OUTSIDE": "file",
        "BLANK": "",
        "ConnectionStrings:Db": "x",
    }
    assert [warning for warning in found.warnings if '"A"' in warning]


@pytest.mark.parametrize(
    ("local", "reason"),
    [
        ({"Values": {}}, "IsEncrypted"),
        ({"IsEncrypted": True, "Values": {}}, "IsEncrypted"),
        ({"IsEncrypted": False, "Values": {"A": {"b": 1}}}, "Values.A"),
        ({"IsEncrypted": False, "Host": {"LocalHttpPort": "x"}}, "LocalHttpPort"),
        ({"IsEncrypted": False, "Host": {"LocalHttpAddress": 127}}, "LocalHttpAddress"),
        ({"IsEncrypted": False, "Host": {"CORS": ["https://a.example"]}}, "Host.CORS"),
    ],
)
def test_local_settings_that_mean_something_else_are_refused(tmp_path: Path, local: Any, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        apply_local_settings(_app_with(tmp_path, local=local), {})
    assert "local.settings.json" in str(caught.value)


@pytest.mark.parametrize(
    ("document", "key", "reason"),
    [
        ({"version": "3.0"}, "version", "2.0"),
        ({}, "version", "missing"),
        ({"version": "2.0", "extensions": {"queues": {"batchSize": 33}}}, "extensions.queues.batchSize", "1 to 32"),
        (
            {"version": "2.0", "extensions": {"queues": {"maxPollingInterval": "00:00:00.010"}}},
            "extensions.queues.maxPollingInterval",
            "at least 0.1",
        ),
        ({"version": "2.0", "extensions": {"queues": {"batchSize": "many"}}}, "batchSize", "whole number"),
        ({"version": "2.0", "singleton": {"listenerLockPeriod": "00:05:00"}}, "listenerLockPeriod", "15 to 60"),
        ({"version": "2.0", "functionTimeout": "00:00:00"}, "functionTimeout", "at least 1"),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": 3}}}, "routePrefix", "text"),
        ('{"version": "2.0",', "host.json", "JSON"),
        ('{"a":' * 100_000, "host.json", "JSON"),
        ({"version": "2.0", "logging": {"logLevel": {"Function": "loud"}}}, "logging.logLevel.Function", "Critical"),
        ({"version": "2.0", "logging": {"logLevel": "Error"}}, "logging.logLevel", "object"),
        ({"version": "2.0", "extensions": {"http": {"customHeaders": {"a b": "c"}}}}, "customHeaders", "'a b'"),
        ({"version": "2.0", "extensions": {"http": {"customHeaders": {"a": "b\r\nc: d"}}}}, "customHeaders", "signs"),
    ],
)
def test_a_host_json_that_cannot_be_meant_names_file_key_and_reason(
    tmp_path: Path, document: Any, key: str, reason: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_host_json(_app_with(tmp_path, document), {})
    assert "host.json" in str(caught.value)
    assert key in str(caught.value)
    assert reason in str(caught.value)


def test_comments_are_allowed_unknown_keys_warn_and_settings_override(tmp_path: Path) -> None:
    text = """{ // the version
        "VERSION-is-not-this": "//", /* two
        lines */ "version": "2.0", "Extensions": {"Queues": {"BatchSize": 4, "surprise": 1}},
        "logging": {"logLevel": {"default": "Warning"}}}"""
    found = read_host_json(_app_with(tmp_path, text), {})
    assert (found.batch_size, found.route_prefix, found.max_dequeue_count) == (4, "api", 5)
    assert (found.log_levels, found.visibility_timeout.total_seconds()) == ({"default": "warning"}, 0)
    assert found.new_batch_threshold == 2 * (os.cpu_count() or 1)
    assert any("surprise" in warning for warning in found.warnings)
    environment = {
        "AzureFunctionsJobHost__extensions__queues__batchSize": "1",
        "AzureFunctionsJobHost__functionTimeout": "-1",
        "AzureFunctionsJobHost__extensions__queues__newBatchThreshold": "0",
    }
    over = read_host_json(tmp_path, environment)
    assert (over.batch_size, over.function_timeout, over.new_batch_threshold) == (1, None, 0)
    with pytest.raises(ConfigurationError, match="AzureFunctionsJobHost__extensions__queues__batchSize"):
        read_host_json(tmp_path, {"AzureFunctionsJobHost__extensions__queues__batchSize": "99"})


def test_a_host_json_may_begin_with_a_byte_order_mark_and_must_be_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "host.json"
    path.write_bytes(b"\xef\xbb\xbf" + b'{"VERSION": "2.0", "extensions": {"http": {"ROUTEPREFIX": ""}}}')
    assert read_host_json(tmp_path, {}).route_prefix == ""
    path.write_bytes('{"version": "2.0"}'.encode("utf-16"))
    with pytest.raises(ConfigurationError, match=r"host\.json: is not JSON: it is no UTF-8 text"):
        read_host_json(tmp_path, {})
    path.unlink()
    with pytest.raises(ConfigurationError, match=r"host\.json: cannot be read.*needs a host\.json"):
        read_host_json(tmp_path, {})


def test_settings_override_lists_headers_and_log_levels_of_host_json(tmp_path: Path) -> None:
    document = {
        "version": "2.0",
        "functions": ["a", "b"],
        "logging": {"logLevel": {"default": "Warning", "Function": "Error"}},
        "extensions": {"http": {"customHeaders": {"X-One": "1"}}},
    }
    found = read_host_json(
        _app_with(tmp_path, document),
        {
            "AzureFunctionsJobHost__functions__1": "c",
            "AzureFunctionsJobHost__functions__2": "d",
            "AzureFunctionsJobHost__logging__logLevel__Function.a.User": "Debug",
            "AzureFunctionsJobHost:logging:logLevel:Host.Results": "None",
            "azurefunctionsjobhost__extensions__http__customHeaders__X-Two": "2",
            "AzureFunctionsJobHost__surprise": "1",
        },
    )
    assert found.functions == ("a", "c", "d")
    assert found.custom_headers == {"X-One": "1", "X-Two": "2"}
    assert found.log_levels == {
        "default": "warning",
        "function": "error",
        "function.a.user": "debug",
        "host.results": "none",
    }
    assert any("AzureFunctionsJobHost__surprise" in warning for warning in found.warnings)
    with pytest.raises(ConfigurationError, match=r"logLevel__Function\.a"):
        read_host_json(tmp_path, {"AzureFunctionsJobHost__logging__logLevel__Function.a": "loud"})


def test_the_longest_beginning_of_a_category_gives_its_log_level() -> None:
    levels = LogLevels({"default": "Warning", "Function": "Error", "Function.loud": "Debug", "host.results": "None"})
    assert levels.of("Function.quiet.User") == logging.ERROR
    assert levels.of("FUNCTION.Loud.User") == logging.DEBUG
    assert levels.of("Worker") == logging.WARNING
    assert levels.lowest() == logging.DEBUG
    assert levels.of_result("loud") == 100
    assert LogLevels({"default": "Warning", "Host.Results": "Information"}).of_result("f") == logging.INFO
    assert LogLevels({"default": "Warning"}).of_result("f") == logging.WARNING
    assert LogLevels({"Function.f": "Error", "Host.Results": "Information"}).of_result("f") == logging.ERROR
    assert LogLevels().of("Function.f.User") == logging.INFO


def test_the_command_line_comes_before_local_settings_and_these_before_the_defaults(tmp_path: Path) -> None:
    local = LocalSettings(port=8001, address="127.0.0.2")
    assert (_settings(tmp_path).port, _settings(tmp_path).address) == (7071, "127.0.0.1")
    assert (_settings(tmp_path, local=local).port, _settings(tmp_path, local=local).address) == (8001, "127.0.0.2")
    told = _settings(tmp_path, local=local, port=0, address="::1")
    assert (told.port, told.address) == (0, "::1")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("AzureFunctionsWebHost__hostid", "Upper", "32 lower-case"),
        ("AzureFunctionsWebHost__hostid", "a--b", "32 lower-case"),
        ("AzureFunctionsWebHost__hostid", "-a", "32 lower-case"),
        ("AzureFunctionsWebHost__hostid", "a" * 33, "32 lower-case"),
        ("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "much", "must be a number"),
        ("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "-1", "from 0"),
        ("FUNCHOST_HTTP_WORKERS", "0", "from 1 to 32"),
        ("FUNCHOST_HTTP_WORKERS", "nan", "from 1 to 32"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused_by_name(tmp_path: Path, name: str, value: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason) as caught:
        _settings(tmp_path, environment={name: value})
    assert name in str(caught.value)


def test_without_a_host_id_machine_and_folder_make_one(tmp_path: Path) -> None:
    first, second = _settings(tmp_path).host_id, _settings(tmp_path / "other").host_id
    assert first != second
    assert first == _settings(tmp_path).host_id
    assert _settings(tmp_path, environment={"AzureFunctionsWebHost__hostid": first}).host_id == first


def _settings(
    app_dir: Path,
    *,
    local: LocalSettings | None = None,
    port: int | None = None,
    address: str | None = None,
    environment: dict[str, str] | None = None,
) -> HostSettings:
    return make_settings(
        app_dir=app_dir,
        state_dir=None,
        address=address,
        port=port,
        strict=False,
        local=local or LocalSettings(),
        environment=environment or {},
    )


def test_a_missing_extension_bundle_warns(tmp_path: Path) -> None:
    (warning,) = read_host_json(_app_with(tmp_path, {"version": "2.0"}), {}).warnings
    assert "extensionBundle" in warning
    assert read_host_json(_app_with(tmp_path, FAST), {}).warnings == ()


def test_settings_are_found_by_the_names_the_real_host_uses() -> None:
    environment = {
        "AzureWebJobsMine": "one",
        "Plain": "two",
        "ConnectionStrings:Both": "three",
        "AzureWebJobs.f.Disabled": "1",
    }
    assert find_connection("Mine", environment) == "one"
    assert find_connection("Plain", environment) == "two"
    assert find_connection("Both", environment) == "three"
    with pytest.raises(ValueError, match="AzureWebJobsStorage"):
        find_connection(None, environment)
    with pytest.raises(ValueError, match="identity"):
        find_connection("Id", {"Id__queueServiceUri": "https://x"})
    assert is_disabled("f", environment)
    assert is_disabled("g", {"AzureWebJobs_g_Disabled": "True"})
    assert not is_disabled("g", {"AzureWebJobs.g.Disabled": "yes"})
    assert resolve_names("%Plain%/x", environment) == "two/x"
    with pytest.raises(ValueError, match="NOPE"):
        resolve_names("%NOPE%", environment)


def test_the_host_process_imports_neither_the_app_nor_the_rest_of_the_project() -> None:
    code = (
        "import sys, funchost.supervisor, funchost.listeners\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}"
        " & {'shared', 'functions', 'cli', 'function_app', 'uvicorn'}))\n"
        "print('azure.functions' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    assert printed[:2] == ["[]", "False"]
