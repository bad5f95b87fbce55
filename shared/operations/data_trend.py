"""How the key figures of one snapshot's data compare with another's."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

Figures = Mapping[str, Any]  # as `shared.erp.quality.summary.summarise` makes them: `rows` and `shares` by name

_ROWS = "rows of "


@dataclass(frozen=True, kw_only=True)
class Change:
    """One figure of two snapshots: a share of 0 to 1, or a table's rows."""

    figure: str
    before: float
    now: float

    @property
    def gain(self) -> float:
        """How much better it is now: a difference of shares, and for rows a share of what was there before."""
        difference = self.now - self.before
        if not self.figure.startswith(_ROWS):
            return round(difference, 4)
        return round(difference / self.before, 4) if self.before else 0.0

    @property
    def sentence(self) -> str:
        """The figure with both values."""
        if self.figure.startswith(_ROWS):
            return f"{self.figure} ({self.before:,.0f} before, {self.now:,.0f} now)"
        return f"{self.figure} ({100 * self.before:.3g} % before, {100 * self.now:.3g} % now)"

    def as_json(self) -> dict[str, Any]:
        """Return the stored form."""
        return asdict(self)


def changes(before: Figures, now: Figures) -> list[Change]:
    """Return every figure that both have and that differs, what got worse most first."""
    old, new = _values(before), _values(now)
    found = [Change(figure=name, before=old[name], now=new[name]) for name in new if name in old]
    return sorted((change for change in found if change.gain), key=lambda change: (change.gain, change.figure))


def fallen(before: Figures, now: Figures, maximum_drop: float) -> list[Change]:
    """Return the figures that lost more than `maximum_drop`, the most first."""
    return [change for change in changes(before, now) if -change.gain > maximum_drop]


def recovered(change: Change, now: Figures, maximum_drop: float) -> bool:
    """Return whether a figure that fell is back within `maximum_drop` of where it was, or is no longer measured."""
    value = _values(now).get(change.figure)
    return value is None or -Change(figure=change.figure, before=change.before, now=value).gain <= maximum_drop


def _values(figures: Figures) -> dict[str, float]:
    return {f"{_ROWS}{table}": rows for table, rows in figures["rows"].items()} | dict(figures["shares"])
