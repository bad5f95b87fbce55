"""Which tables of a folder a query names, however it writes the names."""

import re
from collections.abc import Sequence

# Comments and texts, which name nothing; then names in quotes of every dialect.
_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?P<double>(?:[^"]|"")*)"|`(?P<back>[^`]*)`|\[(?P<square>[^\]\n]*)\]""",
    re.DOTALL,
)


def named_tables(sql: str, known: Sequence[str]) -> tuple[str, list[str]]:
    """Return a query with `[name]` of a known table written as `"name"`, and the known tables that it names.

    A name may stand plain, or in double quotes, backticks or brackets, in any case. A column of the same name counts
    too.
    """
    folded = {name.casefold() for name in known}
    named = {word.casefold() for word in re.findall(r"\w+", _TOKEN.sub(" ", sql))}

    def noted(found: re.Match[str]) -> str:
        quoted = found["double"] or found["back"] or found["square"]
        if quoted is None:
            return found[0]
        name = quoted.replace('""', '"').casefold() if found["double"] else quoted.casefold()
        named.add(name)
        in_quotes = '"' + quoted.replace('"', '""') + '"'
        return in_quotes if found["square"] and name in folded else found[0]

    plain = _TOKEN.sub(noted, sql)
    return plain, [name for name in known if name.casefold() in named]
