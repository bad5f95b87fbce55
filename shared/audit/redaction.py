"""Keeps secrets out of the audit: by the name of a value, by its form, and by what this process knows to be secret."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

LEFT_OUT = "(left out)"
SHORTEST_SECRET = 8  # characters: a shorter text would stand in ordinary words, too

_SECRET_NAME = re.compile(
    r"secret|passw|pwd|token|credential|connection|authorization|cookie|signature|api_?key|private|(^|_)sas($|_)", re.I
)
# A text in which none of these stands, folded, holds no such name: they are found far faster. None has an i, which
# patterns that ignore case take for letters that folding keeps.
_NAME_MARKS = ("secret", "passw", "pwd", "token", "creden", "connec", "author", "cook", "nature", "key", "vate", "sas")
# What a secret looks like, each form beside such texts.
_SECRET_FORMS = (
    (("vate key",), re.compile(
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
    )),
    (("key=", "nature="),
     re.compile(r"(?i)(?<=AccountKey=)[^;\s]+|(?<=SharedAccessKey=)[^;\s]+|(?<=SharedAccessSignature=)[^;\s]+")),
    (("pwd=", "word="), re.compile(r"(?i)(?<=Pwd=)(\{[^}]*\}|[^;\s]+)|(?<=Password=)(\{[^}]*\}|[^;\s]+)")),
    (("g=", "code="), re.compile(r"(?i)(?<=[?&]sig=)[^&\s]+|(?<=[?&]code=)[^&\s]+")),
    (("://",), re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")),
    (("bearer ",), re.compile(r"(?i)(?<=bearer )\S+")),
    (("eyj",), re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")),  # a JSON web token
    (("rml_",), re.compile(r"\brml_[0-9a-f]{6,}_[\w-]{8,}")),  # an API key of this product
    (("whsec_",), re.compile(r"\bwhsec_[A-Za-z0-9+/=]+")),
)  # fmt: skip


class Secrets:
    """The secrets that this process knows; a text that holds one is recorded without it."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def learn(self, values: Iterable[str]) -> None:
        """Recognise these from now on, and the keys that stand in connection strings among them."""
        for value in values:
            parts = re.findall(r"(?i)(?:Key|Pwd|Password|Signature)=([^;]+)|://[^/\s:@]*:([^/\s@]+)@", value)
            for secret in (value, *(part for found in parts for part in found)):
                if len(secret.strip()) >= SHORTEST_SECRET:
                    self._known.add(secret.strip())

    def removed_from(self, text: str) -> str:
        """Return the text without known secrets and without what has a secret's form."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, LEFT_OUT)
        folded = text.casefold()
        for marks, form in _SECRET_FORMS:
            if any(mark in folded for mark in marks):
                text = form.sub(LEFT_OUT, text)
        return text


SECRETS = Secrets()


def redacted(value: Any, name: str = "") -> Any:
    """Return plain JSON values with every secret left out; `name` is the value's own."""
    if name and _SECRET_NAME.search(name) and value not in (None, "", True, False):
        return LEFT_OUT
    if isinstance(value, Mapping):
        return {clean_text(str(key)): redacted(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(inner) for inner in value]
    if isinstance(value, bool | int | float) or value is None:
        return value
    return clean_text(str(value))


def is_harmless(json_text: str) -> bool:
    """Return whether a JSON document surely holds no secret, by name or by form: then `redacted` would change nothing.

    Faster than redacting it; false also where one cannot be sure without reading it, as where characters are escaped.
    """
    folded = json_text.casefold()
    marked = "\\" in json_text or any(mark in folded for mark in _NAME_MARKS)
    return not marked and clean_text(json_text) == json_text


def clean_text(text: str) -> str:
    """Return a text that every database can store, with secrets left out."""
    storable = text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    return SECRETS.removed_from(storable)
