"""Secrets are left out by name and by form, and what is taken for harmless holds none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.audit.redaction import LEFT_OUT, is_harmless, redacted

FORMS = {
    "AccountName=a;AccountKey=QUJDREVGRw==;": "QUJDREVGRw",
    "SharedAccessSignature=sv=1&x": "sv=1",
    "Driver=x;PWD={se cret};Server=y": "se cret",
    "password=hunter22 next": "hunter22",
    "pa\u017f\u017fword=hunter22": "hunter22",
    "https://x/y?a=1&SIG=abc%3D&b=2": "abc%3D",
    "https://x/api?code=abcdefg": "abcdefg",
    "https://user:pass@host/": "pass",
    "Authorization: Bearer abc.def": "abc.def",
    "token eyJhbGciOiJI.eyJzdWIiOiIx.SflKxwRJ": "eyJzdWIiOiIx",
    "key rml_0123456789ab_AbCdEfGhIj": "AbCdEfGhIj",
    "whsec_MfKQ9r8GKYqrTwjU": "MfKQ9r8GKYqrTwjU",
    "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----": "MC4CAQ",
}
NAMES = ("api_key", "apikey", "Secret", "PASSWORD", "pwd", "access_token", "credentials", "connection", "authorization",
         "set-cookie", "signature", "private", "sas", "my_sas_url", "pa\u017f\u017fword")  # fmt: skip


@pytest.mark.parametrize("text", sorted(FORMS))
def test_what_has_a_secrets_form_is_left_out_wherever_it_stands(text: str) -> None:
    document = {"note": [f"before {text} after"]}
    assert FORMS[text] not in json.dumps(redacted(document))
    assert LEFT_OUT in json.dumps(redacted(document))
    assert not is_harmless(json.dumps(document, ensure_ascii=False))


@pytest.mark.parametrize("name", NAMES)
def test_what_has_a_secrets_name_is_left_out(name: str) -> None:
    document = {"inner": {name: "open sesame"}}
    assert redacted(document) == {"inner": {name: LEFT_OUT}}
    assert not is_harmless(json.dumps(document, ensure_ascii=False))


pieces = st.sampled_from(
    [*FORMS, *NAMES, "a", "=", "?sig=", "code", "://u:p", "@", "key", "\u212aey", "eyJ", "rml_", " "]
)
texts = st.lists(pieces | st.text(max_size=5), max_size=4).map("".join)


@given(st.dictionaries(texts, st.integers() | texts | st.dictionaries(texts, texts, max_size=2), max_size=4))
def test_redacting_changes_nothing_of_what_is_called_harmless(document: dict[str, object]) -> None:
    if is_harmless(json.dumps(document, ensure_ascii=False)):
        assert redacted(document) == document


def test_an_ordinary_line_of_the_log_is_harmless() -> None:
    line = {"event": "http.answered", "level": "info", "function": "get_health", "status": 200, "latency_ms": 1.5}
    assert is_harmless(json.dumps(line))
