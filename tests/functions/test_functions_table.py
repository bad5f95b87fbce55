"""Every trigger of the app stands in the table of docs/ARCHITECTURE.md, and the other way round."""

import json
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
LIST_FUNCTIONS = """
import json, function_app
rows = []
for f in function_app.app.get_functions():
    trigger = f.get_trigger().get_dict_repr()
    kind = trigger["type"].removesuffix("Trigger")
    where = trigger.get("queueName") or trigger.get("schedule") or trigger.get("path")
    if kind == "http":
        where = f"{trigger['methods'][0]} {trigger['route']}"
        where = where.replace("HttpMethod.", "")
        assert trigger["authLevel"] in ("ANONYMOUS", "anonymous") or "ANONYMOUS" in str(trigger["authLevel"]).upper()
    names = [b["name"] for b in f.get_raw_bindings() and json.loads(f.get_raw_bindings()[0] and "[]")]
    rows.append([f.get_function_name(), kind, where, [json.loads(b)["name"] for b in f.get_raw_bindings()],
                 bool(f.get_settings_dict("retry_policy"))])
print(json.dumps(rows))
"""


def _functions() -> list[tuple[str, str, str, list[str], bool]]:
    done = subprocess.run(
        [sys.executable, "-c", LIST_FUNCTIONS], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [tuple(row) for row in json.loads(done.stdout.splitlines()[-1])]


def test_the_documented_table_is_the_app() -> None:
    text = (PROJECT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    documented = {
        (name, kind, where)
        for name, kind, where in re.findall(
            r"^\| `(\w+)` \| (http|timer|queue|blob) \| `([^`]+)` \|", text, re.MULTILINE
        )
    }
    assert {(name, kind, where) for name, kind, where, _, _ in _functions()} == documented


def test_the_real_host_would_take_every_function() -> None:
    """Binding names hold letters and digits only, names are unique without case, and no queue function retries."""
    rows = _functions()
    assert len({name.lower() for name, *_ in rows}) == len(rows)
    for name, kind, _where, bindings, retries in rows:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,127}", name)
        assert all(binding == "$return" or re.fullmatch(r"[A-Za-z][A-Za-z0-9]*", binding) for binding in bindings), name
        assert not (retries and kind in {"queue", "blob"}), name
