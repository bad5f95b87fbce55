"""`predict`: routings for items, from the active model or any installed version."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from cli.output import JsonFlag, emit_json, remark, reports_errors, say, show_table, shown
from cli.predict_batch import BatchOptions, check_output, form_of, predict_rows, read_rows
from cli.services import current_services, model_of
from cli.sources import MAKING_IT_OWN, own_profile_name
from shared.bootstrap import Services
from shared.errors import InvalidInput
from shared.prediction.answers import Candidate, ItemPrediction, ItemQuery, PredictionRequest

if TYPE_CHECKING:
    from shared.prediction.batch.rows import BatchRow
    from shared.prediction.model import RoutingModel

NEW_ITEM = "(new item)"  # stands for the code of an item that has none yet


@reports_errors
def predict(
    codes: Annotated[list[str] | None, typer.Argument(help="Item codes.")] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option("--attribute", "-a", help="NAME=VALUE of one item, with its code or without."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--input", "-i", help="Items in a .csv, .xlsx or .json file: codes, attributes, quantities."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write to a .csv, .xlsx, .json or .xml file.")
    ] = None,
    layout: Annotated[
        str | None, typer.Option(help="erp: the 52 columns that an ERP takes, in a .csv or .xlsx file.")
    ] = None,
    candidates: Annotated[int, typer.Option(min=1, max=10)] = 3,
    quantity: Annotated[float, typer.Option(help="Pieces of the next order.")] = 1.0,
    as_if_unknown: Annotated[bool, typer.Option(help="Leave out the item's own routings and results.")] = False,
    version: Annotated[str | None, typer.Option(help="An installed version instead of the active one.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Propose routings for items.

    Example: manage.py predict 1A00000001 --as-if-unknown --quantity 20

    Example of many: manage.py predict --input items.xlsx --output routings.xlsx
    """
    asked = _queries(codes or [], attribute or [], source)
    if output is None:
        if source is not None or layout is not None:
            raise InvalidInput("--input and --layout need a file to write to.", remedy="Add --output routings.xlsx.")
        request = PredictionRequest(items=asked, candidates=candidates, quantity=quantity, as_if_unknown=as_if_unknown)
        _print_answers(request, version, has_codes=bool(codes), as_json=as_json)
        return
    check_output(output, source)
    options = BatchOptions(output, form_of(output, layout), candidates, quantity, as_if_unknown)
    _write_answers(asked, source, options, version, as_json=as_json)


def _write_answers(
    asked: list[ItemQuery], source: Path | None, options: BatchOptions, version: str | None, *, as_json: bool
) -> None:
    services = current_services()
    name, model = model_of(services, version)
    rows = _rows(asked, options.quantity) if source is None else read_rows(model, source, options.quantity)
    predict_rows(services, name, model, rows, options, as_json=as_json)


def _print_answers(request: PredictionRequest, version: str | None, *, has_codes: bool, as_json: bool) -> None:
    services = current_services()
    name, model = model_of(services, version)
    predictions = _answers(services, model, request, has_codes=has_codes)
    if as_json:
        emit_json({"model_version": name, "data_as_of": model.data_as_of.isoformat(), "predictions": predictions})
        return
    for prediction in predictions:
        _show(prediction, request.quantity)
    say(f"[dim]model {name}, data as of {model.data_as_of:%Y-%m-%d %H:%M} UTC[/]")


def _answers(
    services: Services, model: "RoutingModel", asked: PredictionRequest, *, has_codes: bool
) -> list[ItemPrediction]:
    """Predict, and tell a person why the ERP was of no help where it was not: the answers themselves say less."""
    if not has_codes:
        return model.predict(asked.items, candidates=asked.candidates, quantity=asked.quantity)
    from shared.prediction.fresh import predict_asked

    predictions = predict_asked(model, asked, lambda: services.item_lookup)
    if all(model.knows(query.item_code) for query in asked.items):
        return predictions
    own, trouble = own_profile_name(services.settings), services.item_lookup.status()["last_error"]
    if own != model.profile:
        remark(
            f"The model was trained with {model.profile}, and this instance looks new codes up with its own profile, "
            f"{own}. {MAKING_IT_OWN}"
        )
    elif trouble is not None:
        remark(f"The ERP: {trouble}")
    return predictions


def _queries(codes: list[str], attributes: list[str], source: Path | None) -> list[ItemQuery]:
    """Return the items that the command line itself names; none where a file does."""
    if source is not None:
        if codes or attributes:
            raise InvalidInput("--input names the items.", remedy="Leave out codes and -a, or --input.")
        return []
    if not codes and not attributes:
        raise InvalidInput(
            "No item was given.",
            remedy="Name at least one code, describe a new item with -a NAME=VALUE, or give --input.",
        )
    if attributes and len(codes) > 1:
        raise InvalidInput("--attribute describes one item.", remedy="Name one code, or give --input.")
    values = dict(_pair(text) for text in attributes) if attributes else None
    return [ItemQuery(item_code=code, attributes=values) for code in codes or [NEW_ITEM]]


def _rows(asked: list[ItemQuery], quantity: float) -> "list[BatchRow]":
    from shared.prediction.batch.rows import make_row

    return [make_row(place + 1, one.item_code, one.attributes, quantity) for place, one in enumerate(asked)]


def _pair(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    if not separator or not name.strip():
        raise InvalidInput(f"{text!r} is not NAME=VALUE.", remedy="Write for example -a PART_TYPE=14 -a OUTDIAMETER=50")
    try:
        number = orjson.loads(value)
    except orjson.JSONDecodeError:
        return name.strip(), value
    return name.strip(), number if isinstance(number, int | float) else value


def _show(prediction: ItemPrediction, quantity: float) -> None:
    message = f" - {shown(prediction.message)}" if prediction.message else ""
    say(f"\n[bold]{shown(prediction.item_code)}[/]: {prediction.status}{message}")
    for candidate in prediction.candidates:
        _show_candidate(candidate, quantity)


def _show_candidate(candidate: Candidate, quantity: float) -> None:
    near = ", ".join(f"{shown(item.item_code)} ({item.similarity:.2f})" for item in candidate.evidence[:3])
    title = (
        f"{candidate.rank}. {candidate.source}, probability {candidate.probability:.2f} ({candidate.tier}); "
        f"{candidate.totals.lead_minutes:.1f} min for {quantity:g} piece(s)"
    )
    rows = [
        (
            operation.sequence,
            f"{operation.operation_code} {operation.operation_name or ''}",
            f"{operation.resource_code or ''}{'' if operation.inside is not False else ' (outsourced)'}",
            f"{operation.setup_minutes.value:.1f}",
            f"{operation.run_minutes_per_unit.value:.2f}",
            f"{operation.order_minutes.low:.1f} - {operation.order_minutes.high:.1f}",
            operation.samples,
        )
        for operation in candidate.operations
    ]
    show_table(title, ("seq", "operation", "work centre", "setup min", "run min/pc", "order min 80 %", "orders"), rows)
    if near:
        say(f"   because of {near}")
