"""Imports run one way, and reading the function app stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

# From the bottom floor up: a room may import rooms of lower floors only.
FLOORS = [
    {"schedules"},  # below everything, and the one room that the embedded host shares
    {"shared.errors", "shared.clock", "shared.platform_windows", "shared.logs"},
    {"shared.settings", "shared.platform", "shared.cores"},
    {"shared.audit", "shared.configuration", "shared.azurite"},
    {"shared.erp", "shared.database", "shared.storage", "shared.similarity"},
    {"shared.features", "shared.identity", "shared.learning", "shared.snapshots"},
    {"shared.prediction"},
    {"shared.quality", "shared.registry"},
    {"shared.training", "shared.operations"},
    {"shared.bootstrap"},
    {"shared.first_light"},
    {"functions"},
    {"function_app"},
    {"cli"},  # prints the endpoints' rules, and reads the app for them
    {"launcher"},
]
# The ERP room's own floors, the same way.
ERP_FLOORS = [
    {"canonical", "issues", "units", "parsing", "findings"},
    {"profiles", "day_forms"},
    {"sources", "odbc"},
    {"mapping"},
    {"snapshot"},
    {"mirror"},
    {"extract", "joins"},
    {"lookup", "quality"},
    {"infer", "check", "demo"},
]
ERP_PARTS = {part: floor for floor, parts in enumerate(ERP_FLOORS) for part in parts}
ROOMS = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
HEAVY = ("polars", "numpy", "scipy", "sklearn", "hnswlib", "joblib", "pyarrow", "pandas")


def _room_of(module: str) -> str | None:
    for length in (2, 1):
        name = ".".join(module.split(".")[:length])
        if name in ROOMS:
            return name
    return None


def _modules() -> list[tuple[str, Path]]:
    found = []
    for top in ("shared", "functions", "cli", "funchost", "launcher", "schedules"):
        for file in sorted((PROJECT / top).rglob("*.py")):
            found.append((".".join(file.relative_to(PROJECT).with_suffix("").parts), file))
    return [*found, ("function_app", PROJECT / "function_app.py")]


def _imports(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_room_imports_only_rooms_of_lower_floors() -> None:
    wrong = []
    for module, file in _modules():
        room = _room_of(module)
        if (
            module.startswith("funchost")
            or module in {"shared", "functions", "cli", "schedules"}
            or module.endswith("__init__")
        ):
            continue
        assert room is not None, f"{module} stands on no floor: add it to FLOORS"
        for imported in _imports(file):
            other = _room_of(imported)
            if other and other != room and ROOMS[other] >= ROOMS[room]:
                wrong.append(f"{module} imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_every_part_of_the_erp_room_imports_only_parts_of_its_own_or_lower_floors() -> None:
    wrong = []
    for module, file in _modules():
        if not module.startswith("shared.erp.") or module == "shared.erp.__init__":
            continue
        part = module.split(".")[2]
        assert part in ERP_PARTS, f"{module} stands on no floor: add it to ERP_FLOORS"
        for imported in _imports(file):
            others = imported.split(".")
            if imported.startswith("shared.erp.") and ERP_PARTS.get(others[2], -1) > ERP_PARTS[part]:
                wrong.append(f"{module} imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_the_host_and_the_product_know_nothing_of_each_other() -> None:
    wrong = []
    for module, file in _modules():
        for imported in _imports(file):
            top = imported.split(".")[0]
            if module.startswith("funchost") and top in {"shared", "functions", "cli", "launcher", "function_app"}:
                wrong.append(f"{module} imports {imported}")
            if not module.startswith("funchost") and top == "funchost":
                wrong.append(f"{module} imports {imported}")
            if module.startswith("shared") and imported.startswith("azure.functions"):
                wrong.append(f"{module} imports {imported}")
    assert not wrong, "\n".join(wrong)


def test_no_module_can_read_pickles() -> None:
    """Nothing imports a pickle reader, and NumPy is told each time that it may not use its own."""
    for module, file in _modules():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        imported = {name.split(".")[0] for name in _imports(file)}
        assert not imported & {"pickle", "cloudpickle", "dill", "marshal", "shelve"}, module
        assert "joblib.load" not in {ast.unparse(call.func) for call in calls}, module
        for call in calls:
            if ast.unparse(call.func) == "np.load":
                assert "allow_pickle=False" in {ast.unparse(keyword) for keyword in call.keywords}, module


@pytest.mark.parametrize("statement", ["import function_app", "import cli.__main__"])
def test_reading_the_app_pulls_in_no_learning_library(statement: str) -> None:
    program = f"import sys; {statement}; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_no_module_has_grown_beyond_reading() -> None:
    long = {m: n for m, f in _modules() if (n := len(f.read_text(encoding="utf-8").splitlines())) > 500}
    assert not long, f"split these: {long}"
