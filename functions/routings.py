"""Planners' working copies as files: written in every form of an export, and read back. Nothing of them is stored."""

from typing import TYPE_CHECKING

import azure.functions as func

from functions.access import Access
from functions.http import Call, Reply, endpoint
from shared.errors import NotFound
from shared.prediction.exports.importing import ImportedCopies
from shared.prediction.exports.working import WorkingCopies

if TYPE_CHECKING:
    from shared.database.tables import ModelVersion

blueprint = func.Blueprint()


@endpoint(
    blueprint,
    "POST",
    "routings/exports/{form}",
    access=Access.READ,
    summary="Working copies as a file: csv, xlsx, json, xml, erp.csv or erp.xlsx",
    body=WorkingCopies,
    media_type="application/octet-stream",
)
def export_routings(call: Call) -> Reply:
    """Write routings as a planner left them, in the form of the predictions' exports; nothing is stored.

    What only a model can say of a routing stays empty. In the ERP's layout, a time that is not given is 0, and columns
    that the profile carries along come from the item's own steps where the ERP has them.
    """
    from shared.prediction.exports.carried import Carried, carried_from
    from shared.prediction.exports.entries import Head, entries_of_copies
    from shared.prediction.exports.exporting import Form, export, reference_items

    asked: WorkingCopies = call.body
    forms = {form.value: form for form in Form}
    if call.params["form"] not in forms:
        raise NotFound(f"There is no form {call.params['form']!r}.", remedy=f"Ask for {', '.join(forms)}.")
    form, entries = forms[call.params["form"]], entries_of_copies(asked.items)
    version = _version(call, asked.model_version)
    carried: Carried | None = None
    if form.is_erp_layout and version is not None:
        carried = carried_from(call.services.settings, call.services.engine, version.fingerprint)
        carried.read(reference_items(entries))
    head = Head(model_version=asked.model_version, data_as_of=None if version is None else version.data_as_of)
    headers = {"content-disposition": f'attachment; filename="routings.{form.value}"'}
    return Reply(body=export(entries, form, head, carried=carried), media_type=form.media_type, headers=headers)


def _version(call: Call, name: str | None) -> "ModelVersion | None":
    """Return the row of the version that the copies began from; None where none is named, or it is gone."""
    return None if name is None else call.services.model_versions.find(name)


@endpoint(
    blueprint,
    "POST",
    "routings/imports",
    access=Access.READ,
    summary="A file's routings as working copies",
    body_bytes=True,
    answer=ImportedCopies,
)
def import_routings(call: Call) -> Reply:
    """Read a file of at most 5 MiB: XLSX, CSV or JSON as an export wrote it, or the ERP's layout; nothing is stored.

    A fault names its sheet, row and column. What an export wrote comes back to the last digit.
    """
    from shared.prediction.exports.importing import read_copies

    return Reply(body=read_copies(call.body))
