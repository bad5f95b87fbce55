"""Which items are asked about: distinct ones, in an order fixed by a seed, each taken once."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

QUANTITY = 10.0
CANDIDATES = 3


class Questions:
    """Hands out the codes of routed items, none twice."""

    def __init__(self, codes: Sequence[str], seed: int) -> None:
        self._codes = [codes[place] for place in np.random.default_rng(seed).permutation(len(codes))]
        self._taken = 0

    def take(self, count: int) -> list[str]:
        """Return the next `count` codes.

        Raises:
            SystemExit: the factory has too few routed items.
        """
        codes = self._codes[self._taken : self._taken + count]
        self._taken += count
        if len(codes) < count:
            raise SystemExit(f"The factory has {len(self._codes):,} routed items, too few to ask about each once.")
        return codes


def known_body(codes: Sequence[str]) -> str:
    """Return the request for items of the snapshot, answered as if the ERP had no routing of them."""
    return _body([{"item_code": code} for code in codes], as_if_unknown=True)


def new_body(number: int, attributes: Mapping[str, Any]) -> str:
    """Return the request for an item that nobody has, given by its attributes."""
    return _body([{"item_code": f"new {number}", "attributes": attributes}], as_if_unknown=False)


def _body(items: list[dict[str, Any]], *, as_if_unknown: bool) -> str:
    asked = {"items": items, "candidates": CANDIDATES, "quantity": QUANTITY, "as_if_unknown": as_if_unknown}
    return json.dumps(asked, default=str)


def given(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return an item's attributes as a planner would send them: those that have a value, days as text."""
    return {
        name: value if isinstance(value, str | int | float) else value.isoformat()
        for name, value in attributes.items()
        if value is not None
    }
