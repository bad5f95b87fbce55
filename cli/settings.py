"""`settings`: what this process reads from its environment."""

from pydantic import SecretStr

from cli.output import JsonFlag, emit_json, reports_errors, show_table
from shared.settings import Settings, current_settings


@reports_errors
def settings(as_json: JsonFlag = False) -> None:
    """Print every setting, its variable and its value; secrets are masked.

    Example: manage.py settings --json
    """
    values = {
        _variable(name): "***" if isinstance(value, SecretStr) else str(value)
        for name, value in ((name, getattr(current_settings(), name)) for name in Settings.model_fields)
    }
    if as_json:
        emit_json(values)
        return
    descriptions = {_variable(name): field.description for name, field in Settings.model_fields.items()}
    rows = [(variable, value, descriptions[variable]) for variable, value in values.items()]
    show_table("Settings", ("variable", "value", "meaning"), rows)


def _variable(name: str) -> str:
    return f"ROUTING_{name.upper()}"
