"""A cycle's report in the form that was asked for."""

from collections.abc import Sequence

from sqlalchemy import Engine
from sqlmodel import col, select

from shared.database.engine import reading
from shared.database.tables import QualityCycle, WorkState
from shared.errors import InvalidInput
from shared.quality.reports.page import as_html
from shared.quality.reports.text import as_csv, as_json, as_markdown

FORMS = ("json", "csv", "md", "html")
HISTORY_CYCLES = 30


def render_report(row: QualityCycle, form: str, earlier: Sequence[QualityCycle] = ()) -> str:
    """Return the report as text in one of `FORMS`; the page shows `earlier` cycles as its history.

    Raises:
        InvalidInput: there is no such form.
    """
    if form == "html":
        return as_html(row, earlier)
    forms = {"json": as_json, "csv": as_csv, "md": as_markdown}
    if form not in forms:
        raise InvalidInput(f"A report has no form {form!r}.", remedy=f"Ask for {', '.join(FORMS)}.")
    return forms[form](row)


def cycles_before(engine: Engine, row: QualityCycle) -> list[QualityCycle]:
    """Return the last cycles that succeeded before `row`, without their reports."""
    done = (col(QualityCycle.state) == WorkState.SUCCEEDED, col(QualityCycle.created_at) < row.created_at)
    figures = select(QualityCycle.id, QualityCycle.created_at, QualityCycle.metrics).where(*done)
    with reading(engine) as session:
        found = session.exec(figures.order_by(col(QualityCycle.created_at).desc()).limit(HISTORY_CYCLES - 1)).all()
    return [QualityCycle(id=id_, created_at=at, metrics=dict(metrics or {})) for id_, at, metrics in found]
