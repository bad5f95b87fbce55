"""A few items with an attribute of every kind."""

from datetime import date
from typing import Any

import numpy as np

from shared.erp.canonical import Attribute, AttributeKind

ATTRIBUTES = (
    Attribute(name="PART", kind=AttributeKind.CATEGORICAL, weight=2.0),
    Attribute(name="MATERIAL", kind=AttributeKind.CODE),
    Attribute(name="SIZE", kind=AttributeKind.NUMERIC),
    Attribute(name="NOTE", kind=AttributeKind.TEXT),
    Attribute(name="RELEASED", kind=AttributeKind.DATE),
)


def make_columns(items: int = 300) -> dict[str, list[Any]]:
    """Return columns of every kind, some of their values missing."""
    rng = np.random.default_rng(3)
    words = ["shaft", "sleeve", "gland", "stationary", "rotating", "face", "spring", "pump", "mixer", "repair"]
    return {
        "PART": [None if n % 17 == 0 else f"P{n % 90}" for n in range(items)],
        "MATERIAL": [f"SUS{316 + n % 5}-{n % 7:02d}" for n in range(items)],
        "SIZE": [None if n % 11 == 0 else float(rng.lognormal(4, 0.7)) for n in range(items)],
        "NOTE": [" ".join(rng.choice(words, 3)) for _ in range(items)],
        "RELEASED": [date(2020 + n % 6, 1 + n % 12, 1) for n in range(items)],
    }
