"""Stored predictions: shown again, and exported for spreadsheets and for the ERP."""

import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import azure.functions as func
from pydantic import BaseModel, Field

from functions.access import Access
from functions.http import Call, Reply, endpoint
from shared.errors import NotFound

if TYPE_CHECKING:
    from shared.bootstrap import Services
    from shared.prediction.exports.stored import StoredAnswer

blueprint = func.Blueprint()

WAIT_SECONDS = 1.0  # for an answer that was just given: it is stored within a second
POLL_SECONDS = 0.05
_PREDICTION_ID = re.compile(r"pred_[0-9a-f]{32}")


class StoredItem(BaseModel):
    """One item of a stored answer."""

    item_code: str
    status: str = Field(description="ok, abstained or unknown_item")
    quantity: float = Field(description="pieces of the order that the minutes are for")
    candidates: list[dict[str, Any]] = Field(description="as POST /api/predictions answered them")
    message: str | None


class StoredPrediction(BaseModel):
    """An answer of `POST /api/predictions`, as it was given."""

    prediction_id: str
    model_version: str
    data_as_of: datetime | None = Field(description="of the version's data; null when the version is gone")
    as_if_unknown: bool
    created_at: datetime
    predictions: list[StoredItem]


@endpoint(
    blueprint,
    "GET",
    "predictions/{id}",
    access=Access.READ,
    summary="A stored prediction",
    answer=StoredPrediction,
)
def get_prediction(call: Call) -> Reply:
    """Show an answer as it was given; it is stored within a second of being given."""
    from shared.prediction.exports.exporting import Form, export

    stored = _stored(call.services, call.params["id"])
    body = export(stored.entries, Form.JSON, stored.head)
    return Reply(body=body, model_version=stored.head.model_version)


@endpoint(
    blueprint,
    "GET",
    "predictions/{id}/{export}",
    access=Access.READ,
    summary="A stored prediction as export.csv, export.xlsx, export.json, export.xml, export.erp.csv or .erp.xlsx",
    media_type="application/octet-stream",
)
def get_prediction_export(call: Call) -> Reply:
    """Write a stored answer as a file; the two `erp` forms have the 52 columns of the ERP's layout."""
    from shared.prediction.exports.carried import carried_from
    from shared.prediction.exports.exporting import Form, export, reference_items

    name, _, ending = call.params["export"].partition(".")
    forms = {form.value: form for form in Form}
    if name != "export" or ending not in forms:
        asked = ", ".join(f"export.{known}" for known in forms)
        raise NotFound(f"There is no {call.params['export']!r} of a prediction.", remedy=f"Ask for {asked}.")
    form, stored = forms[ending], _stored(call.services, call.params["id"])
    carried = None
    if form.is_erp_layout:
        carried = carried_from(call.services.settings, call.services.engine, stored.fingerprint)
        carried.read(reference_items(stored.entries))
    body = export(stored.entries, form, stored.head, carried=carried)
    file_name = f"{stored.head.prediction_id}.{form.value}"
    headers = {"content-disposition": f'attachment; filename="{file_name}"'}
    return Reply(body=body, media_type=form.media_type, headers=headers, model_version=stored.head.model_version)


def _stored(services: "Services", prediction_id: str) -> "StoredAnswer":
    """Return a stored answer, waiting a moment for one that was just given."""
    from shared.prediction.exports.stored import find_stored

    patience = WAIT_SECONDS if _PREDICTION_ID.fullmatch(prediction_id) else 0.0
    deadline = time.monotonic() + patience
    while True:
        stored = find_stored(services.engine, prediction_id)
        if stored is not None:
            return stored
        if time.monotonic() >= deadline:
            break
        time.sleep(POLL_SECONDS)
    raise NotFound(
        f"No prediction {prediction_id!r} is stored.",
        remedy="Take the prediction_id of an answer. One that is missing after some seconds was lost: ask again.",
    )
