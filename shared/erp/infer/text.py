"""Writing a proposed profile as commented YAML."""

import re
from collections.abc import Iterator, Sequence

import yaml

from shared.erp.infer.draft import Draft
from shared.erp.infer.items import Guess
from shared.erp.infer.queries import WORK_REQUIRED
from shared.erp.infer.steps import Choice, Steps
from shared.erp.infer.tables import Table
from shared.erp.profiles.model import DEFAULT_NULL_TOKENS, RoutingColumns, WorkResultColumns

_SQL_WIDTH = 110
_KEY_ORDER = ("item_code", "routing_no", "sequence", "operation_code")


def profile_text(draft: Draft) -> str:
    """Return the draft as YAML."""
    return "\n".join(_lines(draft)) + "\n"


def _lines(draft: Draft) -> Iterator[str]:
    yield "# A first proposal, guessed from the source. Read it: every guess says what it rests on. Then:"
    yield "#   manage.py profiles check FILE --source SOURCE"
    if draft.notes:
        yield "#"
        yield from (f"# - {' '.join(note.split())}" for note in draft.notes)
    yield f"name: {_value(draft.name)}"
    yield f"description: {_value(f'proposed for {draft.location.shown}')}"
    yield from _source(draft)
    yield ""
    yield from _items(draft)
    yield ""
    yield from _routings(draft)
    yield ""
    yield from _work_results(draft)


def _value(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _source(draft: Draft) -> Iterator[str]:
    lines = []
    if draft.delimiter != ",":
        lines.append(f"  delimiter: {_value(draft.delimiter)} # by the files' headers")
    if draft.decimal_comma:
        lines.append("  decimal_comma: true # numbers are written 1,5")
    if draft.null_words:
        words = _value([*DEFAULT_NULL_TOKENS, *draft.null_words])
        lines.append(f"  null_tokens: {words} # the last ones were found; look twice")
    if draft.day_forms:
        lines.append(f"  date_formats: {_value(list(draft.day_forms))} # the first ones were found")
    if draft.upper_codes:
        lines.append("  item_code_case: upper # the tables write the same code in different case")
    if lines:
        yield "source:"
        yield from lines


def _items(draft: Draft) -> Iterator[str]:
    roles = draft.roles
    yield "items:"
    if roles.items_are_within:
        used = [column for guess in draft.attributes for column in (guess.column, guess.fields.get("unit_column"))]
        others = [str(name) for name in dict.fromkeys(used) if name and name != roles.item_key]
        yield from _origin(roles.items, draft.dialect.grouped(roles.items.name, roles.item_key, others))
    else:
        key = roles.items.columns[roles.item_key]
        once = (
            "every"
            if key.is_unique
            else f"nearly every ({key.distinct:,} in {key.rows:,} rows; the others are left out)"
        )
        yield f"  table: {_value(roles.items.name)} # {once} {roles.item_key} once, and other tables refer to it"
    yield "  columns:"
    yield f"    item_code: {_value(roles.item_key)}"
    yield "  attributes:"
    nothing_else = Guess("code", roles.item_key, {"kind": "code"}, "no other column tells items apart")
    for guess in draft.attributes or [nothing_else]:
        fields = ({} if guess.name == guess.column else {"column": guess.column}) | guess.fields
        yield f"    {_value(guess.name)}: {_value(fields)} # {guess.why}"
    if draft.left_out:
        yield f"    # Left out: {', '.join(draft.left_out)}."


def _origin(table: Table, sql: str | None) -> Iterator[str]:
    if sql is None:
        yield f"  table: {_value(table.name)}"
        return
    yield "  sql: >-"
    line = ""
    for piece in re.split(r" (?=FROM |LEFT JOIN |WHERE )|(?<=,) ", sql):
        if line and len(line) + len(piece) >= _SQL_WIDTH:
            yield f"    {line}"
            line = piece
        else:
            line = f"{line} {piece}".strip()
    yield f"    {line}"


def _columns(chosen: dict[str, Choice], known: Sequence[str]) -> Iterator[str]:
    yield "  columns:"
    for role in dict.fromkeys((*_KEY_ORDER, *known)):
        if role in chosen:
            yield f"    {role}: {_value(chosen[role].column)} # {chosen[role].why}"


def _routings(draft: Draft) -> Iterator[str]:
    routing = draft.routing
    assert routing is not None  # the draft found or made one
    yield "routings:"
    yield from _origin(routing.table, draft.routing_sql)
    if "valid_to" in routing.chosen:
        ends = [role for role in ("valid_from", "valid_to") if role in routing.chosen]
        validity = ", ".join(f"{role}: {_value(routing.chosen[role].column)}" for role in ends)
        yield "  # To read only what is valid today; older steps tell what earlier work belongs to, so they are read:"
        yield f"  # filters: [{{{validity}}}]"
    yield from _columns(routing.chosen, list(RoutingColumns.model_fields))
    yield from _time_unit(routing)
    if routing.lot_quantity is not None:
        lot = routing.lot_quantity
        if draft.divide_by_lot:
            yield f"  run_time: per_lot # {draft.lot_why or lot.why}"
            yield f"  lot_quantity: {_value(lot.column)}"
        else:
            yield f"  # {lot.column} is not what the run time covers: {draft.lot_why}"
    if routing.inside_values or routing.outside_values:
        yield f"  inside_values: {_value(list(routing.inside_values))}"
        yield f"  outside_values: {_value(list(routing.outside_values))}"


def _time_unit(steps: Steps) -> Iterator[str]:
    yield f"  time_unit: {steps.time_unit.value} # {steps.time_unit_why}"
    if steps.setup_time_unit is not None:
        setup = steps.chosen["setup_minutes"].column
        yield f"  setup_time_unit: {steps.setup_time_unit.value} # the name of {setup} says so"
    if steps.time_unit_column is not None:
        yield f"  time_unit_column: {_value(steps.time_unit_column)}"


def _work_results(draft: Draft) -> Iterator[str]:
    yield "work_results:"
    work = draft.work
    if work is None or not draft.work_columns:
        yield "  # Nothing is read: no table of reported work was recognised, see above."
        yield from _origin(
            draft.roles.items, draft.dialect.no_rows(draft.roles.items.name, draft.roles.item_key, WORK_REQUIRED)
        )
        yield "  columns:"
        yield from (f"    {role}: {role} # of the query above" for role in WORK_REQUIRED)
        yield "  time_unit: minutes"
        return
    yield from _origin(work.table, draft.work_sql)
    yield from _columns(draft.work_columns, list(WorkResultColumns.model_fields))
    yield from _time_unit(work)
    if "setup_minutes" not in draft.work_columns:
        yield "  undivided_time: true # no column of setup was found, so the one time is taken to hold setup and run"
    if draft.has_future_reports:
        yield "  believable:"
        yield "    not_in_the_future: false # some reports are of days to come; look twice"
