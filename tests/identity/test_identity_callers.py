"""Who may do what, written out: roles that include others, and the one that stands apart."""

import pytest

from shared.identity.callers import Role

MAY = {
    "viewer": {"viewer"},
    "planner": {"viewer", "planner"},
    "operator": {"viewer", "planner", "operator"},
    "administrator": {"viewer", "planner", "operator", "administrator"},
    "auditor": {"viewer", "auditor"},
}


@pytest.mark.parametrize("role", Role)
def test_a_role_includes_what_stands_here_and_nothing_else(role: Role) -> None:
    assert {least.value for least in Role if role.includes(least)} == MAY[role.value]
