from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.erp.erp_support import DOCUMENT, TinyFactory


@pytest.fixture
def factory(tmp_path: Path) -> TinyFactory:
    """A tiny factory of three items, three planned steps and two reports."""
    return TinyFactory(tmp_path)


@pytest.fixture
def profile_text() -> Callable[..., str]:
    """Return the tiny profile as YAML with one text replaced by another."""

    def render(old: str = "", new: str = "") -> str:
        text = yaml.safe_dump(DOCUMENT, sort_keys=False, allow_unicode=True)
        assert old in text
        return text.replace(old, new, 1)

    return render
