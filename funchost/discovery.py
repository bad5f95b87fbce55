"""Finds the functions of an app, in a worker: imports it once and asks it once."""

import importlib.util
import inspect
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func

from funchost.errors import AppLoadError
from funchost.invocation import BindingSpec, Plan
from funchost.signatures import Signature, SignatureRefused, read_signature

SUPPORTED_TRIGGERS = ("httpTrigger", "queueTrigger", "blobTrigger", "timerTrigger")
SUPPORTED_OUTPUTS = ("http", "queue", "blob")
SUPPORTED_INPUTS = ("blob",)


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """One function as the app declares it: what the host needs (JSON) and how to call it."""

    name: str
    bindings: tuple[dict[str, Any], ...]
    retry: dict[str, Any] | None
    errors: tuple[str, ...]
    plan: Plan | None

    def describe(self) -> dict[str, Any]:
        """Return what the host gets to know."""
        return {"name": self.name, "bindings": list(self.bindings), "retry": self.retry, "errors": list(self.errors)}


def index_app(app_dir: Path) -> list[Indexed]:
    """Import the app and return its functions in the order of their declaration.

    Raises:
        AppLoadError: it cannot be imported, or has not exactly one top-level app object, or holds a function that
            Microsoft's runtime would not index.
    """
    script = app_script(app_dir)
    module = _import(script)
    apps = [value for name, value in vars(module).items() if isinstance(value, func.FunctionRegister)]
    if len(apps) != 1:
        what = "holds no top-level FunctionApp" if not apps else "holds more than one top-level app object or name"
        raise AppLoadError(f"{script}: {what}; it needs exactly one")
    try:
        functions = apps[0].get_functions()
    except Exception as error:
        raise AppLoadError(f"{script}: the app cannot be indexed: {error}") from error
    indexed: list[Indexed] = []
    refused: list[str] = []
    for function in functions:
        try:
            indexed.append(_index(function, app_dir))
        except SignatureRefused as error:
            refused.append(f"{function.get_function_name()}: {error}")
    if refused:
        raise AppLoadError(f"{script}: Microsoft's runtime refuses the whole app for this: {'; '.join(refused)}")
    return indexed


def app_script(app_dir: Path) -> Path:
    """Return the file that is the app's module; it is imported under its name without the ending."""
    return app_dir / (os.environ.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py")


def _import(script: Path) -> Any:
    if not script.is_file():
        raise AppLoadError(f"{script}: there is no such file; give the folder of the function app with --app-dir")
    name = script.stem
    spec = importlib.util.spec_from_file_location(name, script)
    if spec is None or spec.loader is None:
        raise AppLoadError(f"{script}: is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise AppLoadError(f"{script}: cannot be imported: {type(error).__name__}: {error}") from error
    return module


def _index(function: Any, app_dir: Path) -> Indexed:
    name = function.get_function_name()
    bindings = tuple(json.loads(text) for text in function.get_raw_bindings())
    retry = function.get_settings_dict("retry_policy")
    if retry is not None:
        retry = {key: value for key, value in retry.items() if key != "setting_name"}
    user_function = function.get_user_function()
    signature = read_signature(user_function, bindings)
    errors: list[str] = []
    plan = None
    try:
        plan = make_plan(name, user_function, bindings, signature, app_dir)
    except ValueError as error:
        errors.append(str(error))
    return Indexed(name=name, bindings=bindings, retry=retry, errors=tuple(errors), plan=plan)


def make_plan(
    name: str, function: Any, bindings: tuple[dict[str, Any], ...], signature: Signature, app_dir: Path
) -> Plan:
    """Work out once how a function is called.

    Raises:
        ValueError: a binding has a type this host does not have.
    """
    triggers = [binding for binding in bindings if binding["type"].endswith("Trigger")]
    if len(triggers) != 1 or triggers[0]["type"] not in SUPPORTED_TRIGGERS:
        kinds = ", ".join(binding["type"] for binding in triggers) or "none"
        raise ValueError(f"its trigger is {kinds}; this host runs {', '.join(SUPPORTED_TRIGGERS)}")
    inputs: list[BindingSpec] = []
    outputs: list[BindingSpec] = []
    for binding in bindings:
        if binding is not triggers[0]:
            (inputs if binding.get("direction") == "IN" else outputs).append(_spec(binding, signature))
    return Plan(
        name=name,
        function=function,
        is_async=inspect.iscoroutinefunction(function),
        trigger_name=triggers[0]["name"],
        trigger_type=triggers[0]["type"],
        converter=signature.converters[triggers[0]["name"]],
        inputs=tuple(inputs),
        outputs=tuple(output for output in outputs if output.name != "$return"),
        returned=next((output for output in outputs if output.name == "$return"), None),
        wants_context=signature.wants_context,
        directory=str(app_dir),
    )


def _spec(binding: dict[str, Any], signature: Signature) -> BindingSpec:
    name, kind, direction = str(binding["name"]), str(binding["type"]), binding.get("direction")
    allowed = {"OUT": SUPPORTED_OUTPUTS, "IN": SUPPORTED_INPUTS}
    if kind not in allowed.get(str(direction), ()):
        raise ValueError(f"its binding {name!r} ({kind}) is of a kind this host does not have")
    converter = signature.converters.get(name) or func.get_binding_registry().get(kind)
    return BindingSpec(name=name, type=kind, converter=converter)
