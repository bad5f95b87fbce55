"""Routings for a whole list of items, from a file into a file."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cli.output import emit_json, progress_bar, remark, say, shown
from shared.errors import InvalidInput
from shared.platform import open_atomically

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.prediction.batch.answering import BatchAnswers
    from shared.prediction.batch.rows import BatchRow
    from shared.prediction.exports.entries import Entry, Head
    from shared.prediction.exports.exporting import Form
    from shared.prediction.model import RoutingModel

_MOST_SHOWN = 20  # wrong rows on a terminal


@dataclass(frozen=True)
class BatchOptions:
    """How a batch is asked and where its answers go."""

    output: Path
    form: "Form"
    candidates: int
    quantity: float
    as_if_unknown: bool


def form_of(output: Path, layout: str | None) -> "Form":
    """Return the form that a file's ending and the layout's name ask for.

    Raises:
        InvalidInput: there is no such form.
    """
    from shared.prediction.exports.exporting import Form

    ending = output.suffix.lower().removeprefix(".")
    if layout not in (None, "erp"):
        raise InvalidInput(f"There is no layout {layout!r}.", remedy="Leave --layout out, or write --layout erp.")
    forms = {form.value: form for form in Form if not form.is_erp_layout}
    found = forms.get(ending) if layout is None else {"csv": Form.ERP_CSV, "xlsx": Form.ERP_XLSX}.get(ending)
    if found is None:
        possible = ", ".join(f".{known}" for known in forms) if layout is None else ".csv and .xlsx"
        raise InvalidInput(f"{output.name} ends in no form of an export.", remedy=f"Possible here: {possible}.")
    return found


def check_output(output: Path, source: Path | None) -> None:
    """Refuse a place that cannot be written, before anything is computed.

    Raises:
        InvalidInput: its folder is missing, or it is the input itself.
    """
    if not output.resolve().parent.is_dir():
        raise InvalidInput(f"The folder {output.resolve().parent} does not exist.", remedy="Make it, or name another.")
    if source is not None and source.resolve() == output.resolve():
        raise InvalidInput(f"{output} is the input, too.", remedy="Name another --output.")


def read_rows(model: "RoutingModel", source: Path, quantity: float) -> "list[BatchRow]":
    """Return the rows of an input file, saying what of it is left out.

    Raises:
        InvalidInput: there is no row.
    """
    from shared.prediction.batch.reading import read_batch

    batch = read_batch(source, model.attributes, quantity=quantity)
    for said in batch.remarks:
        remark(said)
    if not batch.rows:
        raise InvalidInput(f"{source.name} holds no item.", remedy="Below its header, write one item a row.")
    return batch.rows


def predict_rows(
    services: "Services",
    version: str,
    model: "RoutingModel",
    rows: "Sequence[BatchRow]",
    options: BatchOptions,
    *,
    as_json: bool,
) -> None:
    """Answer rows into the output file, whole or not at all, and sum up."""
    from shared.prediction.batch.answering import BatchAnswers
    from shared.prediction.exports.entries import Head

    answers = BatchAnswers(
        model,
        candidates=options.candidates,
        as_if_unknown=options.as_if_unknown,
        lookup=lambda: services.item_lookup,
    )
    head = Head(
        model_version=version,
        data_as_of=model.data_as_of,
        as_if_unknown=options.as_if_unknown,
        created_at=services.clock(),
    )
    started = time.perf_counter()
    with open_atomically(options.output) as stream:
        statuses, problems = _write(services, model, answers, rows, stream, options.form, head, hidden=as_json)
        if len(problems) == len(rows):
            raise _nothing_to_ask(problems)
    summary = {
        "output": str(options.output),
        "form": str(options.form),
        "model_version": version,
        "items": len(rows),
        "statuses": dict(sorted(statuses.items())),
        "seconds": round(time.perf_counter() - started, 2),
        "problems": problems,
    }
    _report(summary, as_json=as_json)


def _nothing_to_ask(problems: list[dict[str, Any]]) -> InvalidInput:
    return InvalidInput(
        f"No row can be asked, so nothing was written; the first: {problems[0]['message']}",
        remedy="Correct the rows.",
        errors=problems[:50],
    )


def _write(
    services: "Services",
    model: "RoutingModel",
    answers: "BatchAnswers",
    rows: "Sequence[BatchRow]",
    stream: IO[bytes],
    form: "Form",
    head: "Head",
    *,
    hidden: bool,
) -> tuple[Counter[str], list[dict[str, Any]]]:
    """Write the answers as they come; return how many ended how, and the rows that were refused."""
    from shared.prediction.exports.carried import Carried, carried_from
    from shared.prediction.exports.exporting import open_writer, reference_items

    carried = Carried()
    if form.is_erp_layout:
        carried = carried_from(services.settings, services.engine, model.fingerprint)
    writer = open_writer(stream, form, head, carried=carried)
    statuses: Counter[str] = Counter()
    problems: list[dict[str, Any]] = []
    done = 0
    with progress_bar(total=len(rows), hidden=hidden) as progress:
        for part in answers.parts(rows):
            if form.is_erp_layout:
                carried.read(reference_items(part))
            writer.add(part)
            statuses.update(entry.status for entry in part)
            problems += _problems(rows[done : done + len(part)], part)
            done += len(part)
            progress(done, f"{done:,} of {len(rows):,} items")
        progress(done, "writing")
        writer.finish()
    return statuses, problems


def _problems(rows: "Sequence[BatchRow]", part: "Sequence[Entry]") -> list[dict[str, Any]]:
    from shared.prediction.exports.entries import INVALID

    return [
        {"row": row.number, "item_code": entry.item_code, "message": entry.message}
        for row, entry in zip(rows, part, strict=True)
        if entry.status == INVALID
    ]


def _report(summary: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit_json(summary)
        return
    problems = summary["problems"]
    for problem in problems[:_MOST_SHOWN]:
        remark(f"{problem['item_code'] or 'no code'}, {problem['message']}")
    if len(problems) > _MOST_SHOWN:
        remark(f"{len(problems) - _MOST_SHOWN:,} more rows were refused; --json names every one.")
    counted = ", ".join(f"{count:,} {status.replace('_', ' ')}" for status, count in summary["statuses"].items())
    rate = summary["items"] / max(summary["seconds"], 0.01)
    say(f"[bold]{summary['items']:,}[/] item(s) in {summary['seconds']} s ({rate:,.0f}/s): {counted}.")
    say(f"Written to {shown(summary['output'])}; model {summary['model_version']}.")
