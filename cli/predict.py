"""`predict`: routings for items, from the active model or any installed version."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from cli.output import JsonFlag, emit_json, remark, reports_errors, say, show_table, shown
from cli.services import current_services
from cli.sources import MAKING_IT_OWN, own_profile_name
from shared.bootstrap import Services
from shared.errors import InvalidInput, SourceError
from shared.prediction.answers import Candidate, ItemPrediction, ItemQuery, PredictionRequest

if TYPE_CHECKING:
    from shared.prediction.model import RoutingModel

NEW_ITEM = "(new item)"  # stands for the code of an item that has none yet


@reports_errors
def predict(
    codes: Annotated[list[str] | None, typer.Argument(help="Item codes.")] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option("--attribute", "-a", help="NAME=VALUE of one item, with its code or without."),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="JSON file with the body of POST /api/predictions.")] = None,
    candidates: Annotated[int, typer.Option(min=1, max=10)] = 3,
    quantity: Annotated[float, typer.Option(help="Pieces of the next order.")] = 1.0,
    as_if_unknown: Annotated[bool, typer.Option(help="Leave out the item's own routings and results.")] = False,
    version: Annotated[str | None, typer.Option(help="An installed version instead of the active one.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Propose routings for items.

    Example: manage.py predict 1A00000001 --as-if-unknown --quantity 20
    """
    asked = _request(codes or [], attribute or [], file, candidates, quantity, as_if_unknown)
    services = current_services()
    name, model = _model(services, version)
    predictions = _answers(services, model, asked, has_codes=bool(codes) or file is not None)
    if as_json:
        emit_json(
            {
                "model_version": name,
                "data_as_of": model.data_as_of.isoformat(),
                "predictions": [prediction.model_dump(mode="json") for prediction in predictions],
            }
        )
        return
    for prediction in predictions:
        _show(prediction, asked.quantity)
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


def _model(services: Services, version: str | None) -> "tuple[str, RoutingModel]":
    """Return the active model, or an installed one after every check that activation would make."""
    if version is None:
        served = services.serving.active()
        return served.version, served.model
    from shared.registry.store import ModelStore
    from shared.registry.verify import verify_folder

    folder = ModelStore(services.settings.models).require(version)
    return version, verify_folder(folder, services.keys, allow_unsigned=services.settings.allow_unsigned).model


def _request(
    codes: list[str], attributes: list[str], file: Path | None, candidates: int, quantity: float, as_if_unknown: bool
) -> PredictionRequest:
    if file is not None:
        try:
            return PredictionRequest.model_validate_json(file.read_bytes(), strict=True)
        except OSError as unreadable:
            raise SourceError(f"{file} cannot be read: {unreadable.strerror}.") from unreadable
    if not codes and not attributes:
        raise InvalidInput(
            "No item was given.",
            remedy="Name at least one code, describe a new item with -a NAME=VALUE, or give --file.",
        )
    if attributes and len(codes) > 1:
        raise InvalidInput("--attribute describes one item.", remedy="Name one code, or give --file.")
    values = dict(_pair(text) for text in attributes) if attributes else None
    items = [ItemQuery(item_code=code, attributes=values) for code in codes or [NEW_ITEM]]
    return PredictionRequest(items=items, candidates=candidates, quantity=quantity, as_if_unknown=as_if_unknown)


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
