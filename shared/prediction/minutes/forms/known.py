"""The forms that a package may hold."""

from typing import Any

from shared.prediction.minutes.forms.asks import Form
from shared.prediction.minutes.forms.lines import LinesForm
from shared.prediction.minutes.forms.near import NeighboursForm
from shared.prediction.minutes.forms.perceptron import PerceptronForm
from shared.prediction.minutes.forms.stack import StackForm


def form_from_state(state: dict[str, Any]) -> Form:
    """Return the form that a state of minutes describes; one that names none holds lines.

    Raises:
        ValueError: it is of a kind that this version does not know.
    """
    kind = state.get("kind", LinesForm.kind)
    for form in (LinesForm, NeighboursForm, PerceptronForm, StackForm):
        if form.kind == kind:
            return form.from_state(state)
    raise ValueError(f"The package holds minutes of the kind {kind!r}, which this version does not know.")
