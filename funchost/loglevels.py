"""Which log lines are written: `logging.logLevel` of host.json, whose keys are the beginnings of categories.

A function's own lines belong to `Function.{name}.User`, those that it writes outside of a call to `Worker`. The line
that tells how a call went belongs to `Function.{name}` and to `Host.Results`. What the host says about itself (that it
is ready and where, what it refuses) is always written.
"""

from collections.abc import Mapping

LEVELS = {
    "trace": 5,
    "debug": 10,
    "information": 20,
    "info": 20,
    "warning": 30,
    "error": 40,
    "critical": 50,
    "none": 100,
}


class LogLevels:
    """Levels by category: the longest key that a category begins with counts, without regard to case."""

    def __init__(self, levels: Mapping[str, str] | None = None) -> None:
        """Take names of levels by category; `default` is for all others, information where it is not given."""
        named = {category.lower(): LEVELS[name.lower()] for category, name in (levels or {}).items()}
        self._default = named.pop("default", LEVELS["information"])
        self._rules = sorted(named.items(), key=lambda rule: len(rule[0]), reverse=True)
        self._known: dict[str, int] = {}

    def of(self, category: str) -> int:
        """Return the lowest level that is written for a category, in the numbers of `logging`."""
        if (known := self._known.get(category)) is None:
            rule = self._rule(category)
            known = self._known[category] = self._default if rule is None else rule
        return known

    def of_result(self, function: str) -> int:
        """Return the lowest level that is written of how a function's calls went."""
        rules = [rule for rule in map(self._rule, (f"Function.{function}", "Host.Results")) if rule is not None]
        return max(rules, default=self._default)

    def lowest(self) -> int:
        """Return the lowest level that is written of anything."""
        return min([self._default, *(level for _, level in self._rules)])

    def _rule(self, category: str) -> int | None:
        lowered = category.lower()
        return next((level for beginning, level in self._rules if lowered.startswith(beginning)), None)
