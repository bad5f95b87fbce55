"""The parts of the HTTP worker that no test can wait for."""

import json

import pytest

from funchost.http_server import AZURE_CUTS_AFTER_SECONDS, warn_where_azure_cuts


def test_a_call_that_azure_would_have_cut_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    warn_where_azure_cuts("patient", "an-id", AZURE_CUTS_AFTER_SECONDS)
    assert capsys.readouterr().out == ""
    warn_where_azure_cuts("patient", "an-id", AZURE_CUTS_AFTER_SECONDS + 0.5)
    line = json.loads(capsys.readouterr().out)
    assert (line["level"], line["event"], line["duration_ms"]) == ("warning", "function.late_for_azure", 230500)
    assert (line["function"], line["invocation_id"]) == ("patient", "an-id")
