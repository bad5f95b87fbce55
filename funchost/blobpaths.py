"""Blob trigger paths: a literal container and a pattern whose `{name}` is greedy and matches slashes too."""

import re
from dataclasses import dataclass

_TOKEN = re.compile(r"\{\{|\}\}|\{([A-Za-z_][A-Za-z0-9_-]*)\}|\{|\}")


@dataclass(frozen=True, kw_only=True)
class BlobPath:
    """A compiled path."""

    container: str
    prefix: str
    pattern: re.Pattern[str]
    names: tuple[str, ...]

    def match(self, blob: str) -> dict[str, str] | None:
        """Return the captured names when a blob matches (case counts), else None."""
        found = self.pattern.fullmatch(blob)
        if found is None:
            return None
        return {name: found.group(index) for index, name in enumerate(self.names, start=1)}


def compile_path(path: str) -> BlobPath:
    """Compile `container` or `container/pattern`.

    Raises:
        ValueError: there is no container, it holds braces, or the pattern's braces do not pair.
    """
    container, _, pattern = path.lstrip("/").partition("/")
    if not container or "{" in container or "}" in container:
        raise ValueError(f"the blob path {path!r} must begin with a literal container name")
    if not pattern:
        return BlobPath(container=container, prefix="", pattern=re.compile(".*", re.DOTALL), names=())
    expression, prefix, names = "", "", []
    position, only_literal = 0, True
    for token in _TOKEN.finditer(pattern):
        literal = pattern[position : token.start()]
        position = token.end()
        if token.group() in ("{{", "}}"):
            literal += token.group()[0]
        elif token.group(1) is None:
            raise ValueError(
                f"the blob path {path!r} has a brace that does not pair; write {{{{ or }}}} for a real one"
            )
        expression += re.escape(literal)
        prefix += literal if only_literal else ""
        if token.group(1) is not None:
            expression += "(.+)"
            names.append(token.group(1))
            only_literal = False
    expression += re.escape(pattern[position:])
    prefix += pattern[position:] if only_literal else ""
    return BlobPath(container=container, prefix=prefix, pattern=re.compile(expression, re.DOTALL), names=tuple(names))


def split_path(path: str) -> tuple[str, str]:
    """Split the path of a blob that a function reads or writes into container and blob.

    Raises:
        ValueError: one of both is missing.
    """
    container, _, blob = path.lstrip("/").partition("/")
    if not container or not blob:
        raise ValueError(f"the blob path {path!r} must be container/name")
    return container, blob
