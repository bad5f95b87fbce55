"""Calls one user function: values in, converters on both sides, outputs out."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import azure.functions as func
from azure.functions.meta import Datum

from funchost.logs import current_invocation, own_threads


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingSpec:
    """One input or output binding beside the trigger."""

    name: str
    type: str
    converter: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to call a function, worked out once."""

    name: str
    function: Callable[..., Any]
    is_async: bool
    trigger_name: str
    trigger_type: str
    converter: Any
    inputs: tuple[BindingSpec, ...]
    outputs: tuple[BindingSpec, ...]
    returned: BindingSpec | None
    wants_context: bool
    directory: str


class TraceContext:
    """The caller's W3C trace headers."""

    __slots__ = ("_parent", "_state")

    def __init__(self, parent: str, state: str) -> None:
        self._parent = parent
        self._state = state

    @property
    def trace_parent(self) -> str:
        """The `traceparent` header, or an empty text."""
        return self._parent

    @property
    def trace_state(self) -> str:
        """The `tracestate` header, or an empty text."""
        return self._state

    @property
    def attributes(self) -> dict[str, str]:
        """Nothing is added by this host."""
        return {}

    Traceparent, Tracestate, Attributes = trace_parent, trace_state, attributes  # as Microsoft's documents spell them


@dataclass(frozen=True, slots=True)
class RetryContext:
    """How often this firing was tried before; `exception` is the text of the last failure."""

    retry_count: int
    max_retry_count: int
    exception: str | None


_NOT_RETRIED = RetryContext(0, 0, None)


class Context(func.Context):
    """What a function with a `context` parameter gets."""

    def __init__(self, plan: Plan, invocation_id: str, trace: TraceContext, retry: RetryContext | None) -> None:
        self._plan = plan
        self._invocation_id = invocation_id
        self._trace = trace
        self._retry = retry

    @property
    def invocation_id(self) -> str:
        """The id that stands in every log line of this invocation."""
        return self._invocation_id

    @property
    def thread_local_storage(self) -> Any:
        """A thread-local: what a thread of the function's own sets as its `invocation_id` stands in its log lines."""
        return own_threads

    @property
    def function_name(self) -> str:
        """The function's name."""
        return self._plan.name

    @property
    def function_directory(self) -> str:
        """The app's folder."""
        return self._plan.directory

    @property
    def trace_context(self) -> Any:
        """The caller's trace."""
        return self._trace

    @property
    def retry_context(self) -> Any:
        """How often this firing was tried before; zero where no retry policy is at work."""
        return self._retry or _NOT_RETRIED


class OutputValue(func.Out[Any]):
    """Collects what a function sets."""

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        """Keep a value; the last one counts."""
        self._value = val

    def get(self) -> Any:
        """Return what was set, or None."""
        return self._value


def arguments(
    plan: Plan, datum: Datum, metadata: Mapping[str, Datum], context: Context | None
) -> tuple[dict[str, Any], dict[str, OutputValue]]:
    """Return the keyword arguments of a call, and its output collectors by binding name.

    The context is needed only where the plan says that the function wants one.
    """
    collectors = {output.name: OutputValue() for output in plan.outputs}
    call: dict[str, Any] = {plan.trigger_name: plan.converter.decode(datum, trigger_metadata=metadata), **collectors}
    if plan.wants_context:
        call["context"] = context
    return call, collectors


def decode_inputs(plan: Plan, given: Mapping[str, Mapping[str, str]], metadata: Mapping[str, Datum]) -> dict[str, Any]:
    """Return the values of the input bindings by name; None for what does not exist."""
    values: dict[str, Any] = {}
    for spec in plan.inputs:
        item = given.get(spec.name)
        value: Any = None if item is None else base64.b64decode(item["value"])
        if item is not None and item["type"] == "string":
            value = value.decode("utf-8", "replace")
        datum = Datum(value, None if item is None else item["type"])
        values[spec.name] = spec.converter.decode(datum, trigger_metadata=metadata)
    return values


def call_sync(plan: Plan, call: dict[str, Any], invocation_id: str) -> Any:
    """Call a `def` function on this thread."""
    token = current_invocation.set((invocation_id, plan.name))
    own_threads.invocation_id = invocation_id
    try:
        return plan.function(**call)
    finally:
        own_threads.invocation_id = None
        current_invocation.reset(token)


async def call_async(plan: Plan, call: dict[str, Any], invocation_id: str) -> Any:
    """Await an `async def` function on the running loop."""
    token = current_invocation.set((invocation_id, plan.name))
    try:
        return await plan.function(**call)
    finally:
        current_invocation.reset(token)


def encode_outputs(plan: Plan, returned: Any, collectors: Mapping[str, OutputValue]) -> list[dict[str, Any]]:
    """Convert everything but an HTTP response to `{name, type, value}`; unset outputs are left out.

    Raises:
        TypeError: a value was returned without a `$return` binding.
        NotImplementedError: the converter refuses the value's type.
    """
    found: list[dict[str, Any]] = []
    for output in plan.outputs:
        value = collectors[output.name].get()
        if value is not None:
            found.append(_encode(output, value))
    if plan.returned is None:
        if returned is not None:
            raise TypeError(f"function {plan.name!r} returned a value but has no $return binding")
    elif plan.returned.type != "http" and returned is not None:
        found.append(_encode(plan.returned, returned))
    return found


def _encode(output: BindingSpec, value: Any) -> dict[str, Any]:
    datum = output.converter.encode(value, expected_type=None)
    if datum.type == "bytes":
        return {"name": output.name, "type": "bytes", "value": base64.b64encode(datum.value).decode()}
    if datum.type in ("dict", "list"):
        return {"name": output.name, "type": "json", "value": json.dumps(datum.value)}
    return {"name": output.name, "type": datum.type, "value": datum.value}
