"""What a Functions host promises: fifty scenarios by number, which tests name with `@scenario(15)`."""

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Scenario:
    """One promise: its area, a short title, and what is seen where it is kept."""

    area: str
    title: str
    seen: str


SCENARIOS: dict[int, Scenario] = {}


def scenario(*numbers: int) -> pytest.MarkDecorator:
    """Mark a test as one that shows these scenarios; a scenario may need several."""
    unknown = [number for number in numbers if number not in SCENARIOS]
    if not numbers or unknown:
        raise ValueError(f"no such scenario: {unknown}")
    return pytest.mark.scenario(*numbers)
