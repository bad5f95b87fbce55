"""The one form of every list: `{"items", "total", "limit", "offset"}`."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field


class Page(BaseModel):
    """Where a list starts and how long it is."""

    limit: int = Field(50, ge=1, le=500)
    offset: int = Field(0, ge=0, le=10_000_000)


class Listing(BaseModel):
    """One page of a list."""

    items: list[Any]
    total: int
    limit: int
    offset: int


def listing(rows: Iterable[Any], total: int, page: Page) -> Listing:
    """Put rows and their page together."""
    return Listing(items=list(rows), total=total, limit=page.limit, offset=page.offset)
