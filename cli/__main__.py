"""The command line: the same services as the HTTP API. `manage.py COMMAND --help` shows an example of each."""

import sys

import typer

from cli import data, demo, keys, models, predict, quality, storage, train
from cli.settings import settings
from shared.logs import configure_logging
from shared.settings import current_settings

app = typer.Typer(
    name="manage.py",
    help="Proposes manufacturing routings from what the factory already made.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    add_completion=False,
)
app.command("train")(train.train)
app.command("predict")(predict.predict)
app.command("settings")(settings)
app.add_typer(models.app, name="models")
app.add_typer(quality.app, name="quality")
app.add_typer(train.jobs, name="jobs")
app.add_typer(data.app, name="data")
app.add_typer(demo.app, name="demo")
app.add_typer(keys.app, name="keys")
app.add_typer(storage.app, name="storage")


def main() -> None:
    """Run the command line; logs go to standard error, results to standard output."""
    configure_logging("WARNING" if current_settings().log_level == "INFO" else current_settings().log_level, sys.stderr)
    app()


if __name__ == "__main__":
    main()
