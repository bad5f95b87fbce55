"""`storage`: what an Azure SDK client needs to reach this installation's blobs and queues."""

import typer

from cli.output import JsonFlag, emit_json, reports_errors
from shared.bootstrap import current_services

app = typer.Typer(help="Blob and queue storage.", no_args_is_help=True)


@app.command("connection-string")
@reports_errors
def connection_string(as_json: JsonFlag = False) -> None:
    """Print the connection string; it holds this installation's storage key.

    Example: AZURE_STORAGE_CONNECTION_STRING="$(python3 manage.py storage connection-string)" python3 drop.py
    """
    value = current_services().settings.storage_connection.get_secret_value()
    if as_json:
        emit_json({"connection_string": value, "container": "model-drop"})
    else:
        typer.echo(value)
