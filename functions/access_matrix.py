"""Who may call which endpoint, as one table."""

from typing import Any

from functions.access import Access, may
from functions.http import ENDPOINTS
from shared.identity.callers import Role


def access_matrix() -> list[dict[str, Any]]:
    """Return for every endpoint who may call it: `yes`, `no`, or `loopback` where reads are open."""
    return [
        {"method": declared.method, "route": declared.route, "function": declared.name, "rule": declared.access.value,
         "allowed": {"nobody": _for_nobody(declared.access)}
         | {role.value: "yes" if may(role, declared.access) else "no" for role in Role}}
        for declared in sorted(ENDPOINTS.values(), key=lambda declared: (declared.route, declared.method))
    ]  # fmt: skip


def _for_nobody(access: Access) -> str:
    return {Access.OPEN: "yes", Access.READ: "loopback"}.get(access, "no")
