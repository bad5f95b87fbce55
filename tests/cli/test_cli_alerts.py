"""`alerts` as an operator uses it: read, take on, close, and be told what went wrong."""

import json

import pytest

from shared.bootstrap import Services
from shared.database.tables import Alert
from tests.cli.conftest import Command


@pytest.fixture
def alert(services: Services) -> Alert:
    services.alerts.raise_alert("extract-failed", "", "The ERP does not answer.")
    services.alerts.raise_alert("quality", "mae", "The mean error is 61 minutes.", details={"mae": 61.2, "limit": 30})
    return services.alerts.raise_alert("quality", "mae", "The mean error is 62 minutes.", details={"mae": 62.5})


def test_alerts_are_listed_by_state_and_kind(alert: Alert, command: Command) -> None:
    every, quality = command("alerts", "list", "--json"), command("alerts", "list", "--kind", "quality", "--json")
    shown, closed = command("alerts", "list", "--state", "open"), command("alerts", "list", "--state", "closed")

    assert json.loads(every.stdout)["total"] == 2
    assert [row["id"] for row in json.loads(quality.stdout)["items"]] == [alert.id]
    assert alert.id in shown.stdout
    assert "2 alert(s)" in shown.stdout
    assert "0 alert(s)" in closed.stdout
    assert all(result.exit_code == 0 for result in (every, quality, shown, closed))


def test_an_alert_tells_its_whole_story(alert: Alert, command: Command) -> None:
    assert command("alerts", "acknowledge", alert.id).stdout == f"{alert.id} (quality) is acknowledged.\n"
    closed = command("alerts", "close", alert.id, "--note", "the view was repaired", "--json")
    story = command("alerts", "show", alert.id)

    assert json.loads(closed.stdout)["state"] == "closed"
    assert f"{alert.id} (quality about mae, warning) is closed.\nThe mean error is 62 minutes.\nRaised 2 times" in (
        story.stdout
    )
    assert "by command line: the view was repaired" in story.stdout
    assert "62.5" in story.stdout
    told = json.loads(command("alerts", "show", alert.id, "--json").stdout)
    assert [entry["event"] for entry in told["deliveries"]] == ["opened", "acknowledged", "closed"]
    assert all(event in story.stdout for event in ("opened", "acknowledged", "closed"))


def test_what_comes_from_outside_is_shown_as_it_is(services: Services, command: Command) -> None:
    raised = services.alerts.raise_alert("quality", "[bold]", "a\x1b[31mb", details={"[/x]": "[red]"})
    shown = command("alerts", "show", raised.id)

    assert shown.exit_code == 0
    assert "[bold]" in shown.stdout
    assert "[red]" in shown.stdout
    assert "\x1b" not in shown.stdout


@pytest.mark.parametrize("word", ["show", "acknowledge", "close"])
def test_an_alert_that_is_not_there_is_said_with_what_to_do(word: str, command: Command) -> None:
    done, document = command("alerts", word, "nothing"), command("alerts", word, "nothing", "--json")

    assert (done.exit_code, document.exit_code) == (4, 4)
    assert "There is no alert 'nothing'." in done.stderr
    assert "`manage.py alerts list` show" in done.stderr
    assert json.loads(document.stdout)["code"] == "not-found"


def test_a_closed_alert_cannot_be_taken_on(alert: Alert, command: Command) -> None:
    command("alerts", "close", alert.id)
    again, late = command("alerts", "close", alert.id), command("alerts", "acknowledge", alert.id)

    assert again.exit_code == 0  # it is closed, as was wished
    assert late.exit_code == 5
    assert "is closed, so there is nothing to acknowledge" in late.stderr
    assert "a new alert" in late.stderr


@pytest.mark.parametrize("words", [("--state", "lost"), ("--limit", "0"), ("--limit", "many")])
def test_options_outside_their_range_are_named(words: tuple[str, str], command: Command) -> None:
    done = command("alerts", "list", *words)

    assert done.exit_code == 2
    assert words[0] in done.stderr
