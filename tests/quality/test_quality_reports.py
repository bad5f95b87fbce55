"""Reports that a person can read: whole, escaped, and with nothing loaded from anywhere."""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.database.tables import QualityCycle
from shared.quality.options import CycleOptions
from shared.quality.reports.charts import Bar, bars, history, scatter
from shared.quality.reports.labels import verdict
from shared.quality.reports.rendering import cycles_before, render_report


def parsed(page: str) -> ET.Element:
    """Return the page as XML: whatever is not escaped or not closed is an error."""
    assert page.startswith("<!DOCTYPE html>\n")
    return ET.fromstring(page.removeprefix("<!DOCTYPE html>\n"))


def headings(page: ET.Element) -> list[str]:
    return [heading.text or "" for heading in page.iter("h2")]


def test_the_page_shows_every_part_of_a_cycle_with_its_history(ward: Any) -> None:
    rows = [ward.cycles.run_now("a test", CycleOptions(sample_size=40, seed=seed)) for seed in (1, 2, 3)]
    streams = [
        {
            "test": "rise.mae",
            "family": "",
            "log_evidence": 1.5,
            "limit": 6.0,
            "items": 40,
            "needed": 120,
            "evident": False,
        }
    ]
    rows[-1].metrics = rows[-1].metrics | {"evidence": {"streams": streams}}
    page = parsed(render_report(rows[-1], "html", cycles_before(ward.engine, rows[-1])))
    titles = " ".join(headings(page))

    for part in (
        "Figures", "by family", "by operation", "Predicted against booked", "Orders inside their 80 % interval",
        "Trimmed mean absolute error of the last cycles", "Actual operations predicted in the last cycles", "Evidence",
        "How complete the actuals are", "Predictions given to planners", "Planners' decisions", "greatest errors",
    ):  # fmt: skip
        assert part in titles
    assert len(list(page.iter("svg"))) == 8
    history_points = [len(list(svg.iter("circle"))) for svg in page.iter("svg") if svg.find("polyline") is not None]
    assert history_points == [3, 3]
    assert not list(page.iter("script")) + list(page.iter("link")) + list(page.iter("img"))
    assert not [e for e in page.iter() for name in e.attrib if name in ("src", "href") or name.startswith("on")]
    lede = page.find(".//p[@class='verdict']")
    assert lede is not None
    assert lede.text == verdict(rows[-1])
    notes = [note.text or "" for note in page.iterfind(".//p[@class='note']")]
    assert notes[0].startswith(f"{rows[-1].evaluated} of 40 sampled items were predicted by the model version_test")
    assert "Not measured: no recorded prediction has been followed by a finished order." in notes
    assert "errors risen" in [text.text for text in page.iter("text")]


def test_evidence_of_nothing_is_a_sentence_and_no_chart(ward: Any) -> None:
    row = ward.cycles.run_now("a test", CycleOptions(sample_size=10, seed=1))
    stream = {"test": "rise.mae", "family": "", "log_evidence": -2.0, "limit": 6.0, "items": 0}
    with_stream = row.metrics | {"evidence": {"streams": [stream]}}
    row.metrics = row.metrics | {"evidence": {}}
    before = len(list(parsed(render_report(row, "html")).iter("svg")))
    row.metrics = with_stream
    page = parsed(render_report(row, "html"))

    assert len(list(page.iter("svg"))) == before
    assert any("nothing to test" in (note.text or "") for note in page.iterfind(".//p[@class='note']"))


def test_names_and_reasons_from_outside_cannot_become_markup(ward: Any) -> None:
    row = ward.cycles.run_now("<script>alert(1)</script> & more", CycleOptions(sample_size=30, seed=4))
    hostile = '"><img src=x onerror=alert(1)>|<b>'
    family = next(iter(row.metrics["by_family"].values()))
    row.metrics = row.metrics | {"by_family": {hostile: family}, "by_operation": {hostile: family}}
    row.report["items"][0] |= {"item_code": hostile, "family": hostile, "actual": hostile}
    page = render_report(row, "html")
    tree = parsed(page)

    assert not [element.tag for element in tree.iter() if element.tag in ("img", "script", "b")]
    assert hostile in [cell.text for cell in tree.iter("td")]
    assert "<script" not in render_report(row, "md")
    assert "<img" not in render_report(row, "md")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"state": "failed", "error": "no model is active"},
            "failed and says nothing about quality: no model is active",
        ),
        ({"state": "skipped", "reason": "No item has both"}, "nothing to judge: No item has both"),
        ({"state": "queued"}, "is queued"),
    ],
)
def test_the_verdict_of_a_cycle_without_figures_says_why(more: dict[str, Any], said: str) -> None:
    row = QualityCycle(id="c", created_at=datetime(2026, 1, 1, tzinfo=UTC), **more)

    assert said in verdict(row)
    assert said in render_report(row, "md")
    parsed(render_report(row, "html"))


def test_the_verdict_tells_an_alarm_from_a_doubt_and_from_good_figures() -> None:
    def cycle(*alerts: dict[str, Any]) -> QualityCycle:
        figure = {"value": 3.0, "n": 9, "low": 2.0, "high": 4.0}
        overall = {"trim_mae": figure, "process_match": figure | {"value": 0.9, "low": 0.8, "high": 0.95}}
        metrics = {"overall": overall, "quality": {"alerts": list(alerts)}}
        created = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=1)
        return QualityCycle(id="c", state="succeeded", evaluated=9, metrics=metrics, created_at=created)

    crossed = {"value": 9.0, "low": 8.0, "message": "The error is 9 min."}
    assert verdict(cycle()).startswith("All is as it should be: the trimmed error is 3 (2 to 4) minutes")
    assert "90.0% (80.0% to 95.0%)" in verdict(cycle())
    assert verdict(cycle(crossed | {"evident": True})).startswith("Alarm: The error is 9 min.")
    assert verdict(cycle(crossed | {"evident": False})).startswith("No alarm, though to be noted: The error is 9 min.")


def test_a_scatter_puts_equal_minutes_on_its_diagonal_and_leaves_out_what_has_no_logarithm() -> None:
    drawn = ET.fromstring(scatter([(1.0, 1.0, True), (10.0, 10.0, False), (100.0, 100.0, True), (5.0, 0.0, True)]))
    places = [(float(c.attrib["cx"]) - 70, 430 - float(c.attrib["cy"])) for c in drawn.iter("circle")]

    assert len(places) == 3
    assert all(x == pytest.approx(y, abs=0.2) for x, y in places)
    assert len({c.attrib["fill"] for c in drawn.iter("circle")}) == 2
    assert scatter([(0.0, 1.0, True)]) == ""


def test_bars_and_lines_are_in_proportion_to_their_values() -> None:
    drawn = ET.fromstring(bars([Bar(name="a", value=2.0, low=1.0, high=4.0), Bar(name="b", value=1.0)], mark=3.0))
    first, second = (float(rect.attrib["width"]) for rect in drawn.iter("rect"))
    line = ET.fromstring(history([("x", 1.0, None, None), ("y", 2.0, 1.5, 2.5)]))
    heights = [float(c.attrib["cy"]) for c in line.iter("circle")]

    assert first == pytest.approx(2 * second, abs=0.2)
    assert (170 - heights[1]) == pytest.approx(2 * (170 - heights[0]), abs=0.3)
    assert history([]) == ""
