"""The command line: the same services as the HTTP API. `manage.py COMMAND --help` shows an example of each."""

import sys

import typer
from pydantic import ValidationError

from cli import (
    access,
    alerts,
    audit,
    cache,
    configuration,
    data,
    demo,
    keys,
    models,
    predict,
    profiles,
    quality,
    storage,
    train,
)
from cli.health import health
from cli.output import report, settings_problem
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
app.command("health")(health)
app.add_typer(models.app, name="models")
app.add_typer(quality.app, name="quality")
app.add_typer(train.jobs, name="jobs")
app.add_typer(alerts.app, name="alerts")
app.add_typer(configuration.app, name="config")
app.add_typer(cache.app, name="cache")
app.add_typer(data.app, name="data")
app.add_typer(demo.app, name="demo")
app.add_typer(profiles.app, name="profiles")
app.add_typer(audit.app, name="audit")
app.add_typer(keys.app, name="keys")
app.add_typer(access.app, name="access")
app.add_typer(storage.app, name="storage")


def main() -> None:
    """Run the command line; logs go to standard error, results to standard output."""
    try:
        level = current_settings().log_level
    except ValidationError as invalid:
        problem = settings_problem(invalid)
        report(problem)
        sys.exit(problem.exit_code)
    # A person reads the error's own sentence; what the services log on the way is for whoever asks for it.
    configure_logging("ERROR" if level.upper() == "INFO" else level, sys.stderr)
    app(prog_name="manage.py")


if __name__ == "__main__":
    main()
