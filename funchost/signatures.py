"""Whether Microsoft's Python runtime would index a function, by its own rules, and what the annotations choose.

One function that breaks a rule here refuses the whole app there, so it does here too: an app that runs on this host
must not be refused on the next.
"""

import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import azure.functions as func
from azure.functions.meta import Datum


class SignatureRefused(Exception):
    """The runtime would not index the function; the text says which part of it and why."""


class PlainValue:
    """The runtime's stand-in for a converter where a parameter is annotated `str` or `bytes`: the value as it is."""

    @classmethod
    def decode(cls, data: Datum, *, trigger_metadata: Any) -> Any:  # noqa: ARG003 - called as every converter
        """Return the value of a text, of bytes or of JSON.

        Raises:
            ValueError: it is of another kind, an HTTP request for instance.
        """
        if data.type not in ("string", "bytes", "json", None):
            raise ValueError(f"a parameter that is annotated as text or bytes cannot take a value of type {data.type}")
        return data.value

    @classmethod
    def encode(cls, obj: Any, *, expected_type: Any) -> Datum:  # noqa: ARG003 - called as every converter
        """Return the value with its type.

        Raises:
            NotImplementedError: it is of a type that the runtime does not send.
        """
        kinds: tuple[tuple[Any, str], ...] = (
            (str, "string"), ((bytes, bytearray), "bytes"), (dict, "dict"), (list, "list"), (int, "int"),
            (float, "double"),
        )  # fmt: skip
        for kind, name in kinds:
            if isinstance(obj, kind):
                return Datum(bytes(obj) if name == "bytes" else obj, name)
        raise NotImplementedError

    @classmethod
    def check_input_type_annotation(cls, pytype: type) -> bool:
        """Whether a parameter may have this type."""
        return issubclass(pytype, (str, bytes))

    @classmethod
    def check_output_type_annotation(cls, pytype: type) -> bool:
        """Whether an output may have this type."""
        return issubclass(pytype, (str, bytes, bytearray))


@dataclass(frozen=True, kw_only=True)
class Signature:
    """What a checked signature means: the converter of each parameter, and whether the context is wanted."""

    converters: Mapping[str, Any]
    wants_context: bool


def read_signature(function: Callable[..., Any], bindings: Sequence[Mapping[str, Any]]) -> Signature:
    """Check parameters and annotations against the bindings, as the runtime does.

    Raises:
        SignatureRefused: the runtime would refuse the function, and with it the app.
    """
    parameters = dict(inspect.signature(function).parameters)
    try:
        annotations = typing.get_type_hints(function)
    except Exception as error:
        raise SignatureRefused(f"its annotations cannot be read: {error}") from error
    bound = {str(binding["name"]): binding for binding in bindings if binding["name"] != "$return"}
    wants_context = "context" in parameters and "context" not in bound
    if wants_context:
        parameters.pop("context")
        _check_context(annotations)
    if unknown := set(parameters) - set(bound):
        raise SignatureRefused(f"its parameter {sorted(unknown)[0]!r} belongs to no binding")
    if missing := set(bound) - set(parameters):
        raise SignatureRefused(f"its binding {sorted(missing)[0]!r} is no parameter of the function")
    converters = {name: _converter(bound[name], annotations.get(name)) for name in parameters}
    _check_returned([binding for binding in bindings if binding["name"] == "$return"], annotations)
    return Signature(converters=converters, wants_context=wants_context)


def _check_context(annotations: Mapping[str, Any]) -> None:
    annotation = annotations.get("context", func.Context)
    if not isinstance(annotation, type) or annotation.__name__ != "Context":
        raise SignatureRefused(f"its 'context' is annotated {_shown(annotation)}; it must be azure.functions.Context")


def _converter(binding: Mapping[str, Any], annotation: Any) -> Any:
    registered = func.get_binding_registry().get(binding["type"])
    converter = PlainValue if registered is None else registered
    if annotation is None:
        return converter
    name, is_output = binding["name"], _is_out(annotation)
    if is_output != (binding.get("direction") == "OUT"):
        written = "an output needs azure.functions.Out" if not is_output else "an input cannot be azure.functions.Out"
        raise SignatureRefused(f"its {name!r} is annotated {_shown(annotation)}; {written}")
    kind = annotation
    if is_output:
        inner = typing.get_args(annotation)
        if len(inner) != 1:
            raise SignatureRefused(f"its output {name!r} is annotated Out without a type; write func.Out[str]")
        kind = inner[0]
    if not isinstance(kind, type) and not _is_generic(kind):
        raise SignatureRefused(
            f"its {name!r} is annotated {_shown(annotation)}, which is no class the runtime accepts"
            + ("; write typing.List" if isinstance(kind, types.GenericAlias) else "")
        )
    if kind in (str, bytes) and registered is not None and not _has_implicit_output(registered):
        converter = PlainValue
    if not _accepts(converter, kind, is_output=is_output):
        raise SignatureRefused(f"its {name!r} ({binding['type']}) cannot be annotated {_shown(annotation)}")
    return converter


def _check_returned(bindings: Sequence[Mapping[str, Any]], annotations: Mapping[str, Any]) -> None:
    if not bindings or "return" not in annotations:
        return
    annotation, kind = annotations["return"], str(bindings[-1]["type"])
    if not isinstance(annotation, type):
        raise SignatureRefused(f"it is annotated to return {_shown(annotation)}; with $return that must be one class")
    converter = func.get_binding_registry().get(kind) or PlainValue
    if not _accepts(converter, annotation, is_output=True):
        raise SignatureRefused(f"it is annotated to return {_shown(annotation)}, which is nothing for {kind}")


def _accepts(converter: Any, kind: Any, *, is_output: bool) -> bool:
    check = getattr(converter, "check_output_type_annotation" if is_output else "check_input_type_annotation", None)
    try:
        return check is not None and bool(check(kind))
    except TypeError:  # of issubclass, for what is no class
        return False


def _has_implicit_output(converter: Any) -> bool:
    return bool(getattr(converter, "has_implicit_output", lambda: False)())


def _is_out(annotation: Any) -> bool:
    origin = typing.get_origin(annotation) or annotation
    return isinstance(origin, type) and origin.__name__ == "Out"


def _is_generic(annotation: Any) -> bool:
    """Whether it is a generic type of `typing` (`typing.List[str]`, not `list[str]`, no union, tuple or callable)."""
    origin = typing.get_origin(annotation)
    if origin is None or isinstance(annotation, (types.GenericAlias, types.UnionType)):
        return False
    return origin not in (typing.Union, tuple, typing.ClassVar, Callable)


def _shown(annotation: Any) -> str:
    return annotation.__name__ if type(annotation) is type else str(annotation)
