"""Which columns of the routings and work results are what: by their names, or by their values where these say more."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.erp.infer.columns import Column
from shared.erp.infer.names import likeness, looks_like, spelled, time_unit_of
from shared.erp.infer.tables import Table, contained, times
from shared.erp.units import MINUTES_PER, TimeUnit, minutes_factor

LOOK_TWICE = "guessed from the name; look twice"
BY_VALUES = "guessed from the values; look twice"
BY_NAME = "by its name"
_FEW_VALUES = 6
_MOST_OPERATIONS = 5_000
_INSIDE = (
    "사내",
    "in",
    "inside",
    "inhouse",
    "in-house",
    "internal",
    "intern",
    "eigen",
    "e",
    "i",
    "make",
    "own",
    "자체",
)
_OUTSIDE = (
    "외주",
    "out",
    "outside",
    "outsourced",
    "external",
    "extern",
    "fremd",
    "f",
    "buy",
    "sub",
    "subcontract",
    "외부",
)
_YES, _NO = ("y", "yes", "j", "ja", "1", "true", "t", "x"), ("n", "no", "nein", "0", "false")
_LATE = r"end|finish|complet|report|book|actual|clos|meld|post|r(ue|ü)ck|ist|실적|완료"
_EARLY = r"start|begin|due|plan|sched|soll|target|creat|release|modif|chang|beginn|계획|납기"
_WHOLE_ORDER = r"total|order|made|produced|actual|ist|completed|실적"
_NOT_MADE = r"plan|target|soll|open|remain|requir|stock|계획"


@dataclass(frozen=True)
class Choice:
    """A column chosen for a field, and why."""

    column: str
    why: str


@dataclass
class Steps:
    """The columns chosen of one table."""

    table: Table
    chosen: dict[str, Choice] = field(default_factory=dict)
    lot_quantity: Choice | None = None
    time_unit: TimeUnit = TimeUnit.MINUTES
    time_unit_why: str = "no name says it; look twice"
    time_unit_column: str | None = None
    setup_time_unit: TimeUnit | None = None  # where it is another than that of the other times
    inside_values: tuple[str, ...] = ()
    outside_values: tuple[str, ...] = ()

    @property
    def taken(self) -> set[str]:
        """The columns that have a part already."""
        return {choice.column for choice in self.chosen.values()}

    @property
    def used(self) -> list[str]:
        """The columns that the profile names."""
        more = [self.time_unit_column, self.lot_quantity.column if self.lot_quantity is not None else None]
        return list(dict.fromkeys([*(c.column for c in self.chosen.values()), *(name for name in more if name)]))

    def free(self, wanted: Iterable[Column] | None = None) -> list[Column]:
        """Return the columns that have no part yet and are not empty."""
        among = self.table.columns.values() if wanted is None else wanted
        return [column for column in among if column.name not in self.taken and column.filled > 0]

    def choose(self, role: str, among: Sequence[Column], *, strongly: bool = False) -> Choice | None:
        """Choose for a role the column whose name speaks most for it; nothing where none does."""
        column = self.table.best(role, among, strongly=strongly)
        if column is None:
            return None
        why = BY_NAME if looks_like(role, column.name) else LOOK_TWICE
        self.chosen[role] = Choice(column.name, why)
        return self.chosen[role]


def routing_steps(table: Table, item: str) -> Steps:
    """Return the columns of planned steps."""
    steps = Steps(table)
    steps.chosen["item_code"] = Choice(item, "its values are the items' codes")
    for role in ("valid_from", "valid_to", "created_at"):
        steps.choose(role, [column for column in steps.free() if column.is_day], strongly=True)
    _choose_sequence(steps)
    _choose_times(steps, ("setup_minutes", "wait_minutes", "move_minutes", "queue_minutes"), "run_minutes_per_unit")
    _choose_lot(steps)
    _choose_operation(steps)
    _choose_routing_number(steps)
    _choose_inside(steps)
    return steps


def _choose_sequence(steps: Steps) -> None:
    whole = [column for column in steps.free() if column.is_whole and not column.is_day and not column.is_unique]
    whole = [
        column
        for column in whole
        if not looks_like("quantity", column.name) and not looks_like("lot_quantity", column.name)
    ]
    if steps.choose("sequence", whole):
        return
    item = steps.chosen["item_code"].column
    for column in sorted(whole, key=lambda column: column.distinct):
        pairs = len(set(zip(steps.table.columns[item].said, column.said, strict=True)))
        if 1 < column.distinct <= 300 and pairs >= 0.9 * steps.table.rows and not column.zero_share > 0.5:
            steps.chosen["sequence"] = Choice(column.name, BY_VALUES)
            return


def _choose_times(steps: Steps, others: Sequence[str], run: str) -> None:
    numeric = [column for column in steps.free() if column.is_number]
    for role in others:
        steps.choose(role, [column for column in numeric if column in steps.free()], strongly=True)
    candidates = [column for column in times(steps.table) if column.name not in steps.taken]
    candidates = [column for column in candidates if not looks_like("setup_minutes", column.name)]
    steps.choose(run, sorted(candidates, key=_planned_last if run == "run_minutes" else _actual_last))
    _tell_time_unit(steps)


def _planned_last(column: Column) -> int:
    return 1 if re.search(r"plan|soll|std_|standard|target|예정", spelled(column.name)) else 0


def _actual_last(column: Column) -> int:
    return 1 if re.search(r"(^|_)(act|actual|ist)(_|$)|실적", spelled(column.name)) else 0


def _tell_time_unit(steps: Steps) -> None:
    """Note the unit of the times: what a column says row by row, else what the names of the columns say."""
    for column in steps.free():
        if 0 < column.distinct <= _FEW_VALUES and not column.is_number:
            factors = [minutes_factor(text) for text in column.said.drop_nulls().unique()]
            if None not in factors and re.search(r"time|zeit|시간|^(vge|ile)0\d$", spelled(column.name)):
                steps.time_unit_column = column.name
                usual = minutes_factor(str(column.said.drop_nulls().mode()[0]))
                steps.time_unit = next(unit for unit, minutes in MINUTES_PER.items() if minutes == usual)
                steps.time_unit_why = f"where {column.name} is empty; it is the usual one there"
                return
    run = next((steps.chosen[role] for role in ("run_minutes", "run_minutes_per_unit") if role in steps.chosen), None)
    named = [run.column] if run else []
    named += [choice.column for role, choice in steps.chosen.items() if role.endswith("_minutes")]
    stated = next(((unit, name) for name in named if (unit := time_unit_of(name)) is not None), None)
    if stated is not None:
        steps.time_unit, steps.time_unit_why = stated[0], f"the name of {stated[1]} says so"
        setup = steps.chosen.get("setup_minutes")
        of_setup = time_unit_of(setup.column) if setup is not None else None
        steps.setup_time_unit = of_setup if of_setup is not steps.time_unit else None


def _choose_lot(steps: Steps) -> None:
    """Choose the number of pieces that a run time covers: a column named so in which there is more than one piece."""
    whole = [column for column in steps.free() if column.is_whole and column.filled > 0.5]
    more = [column for column in whole if column.numbers is not None and bool((column.numbers > 1).any())]
    found = steps.table.best("lot_quantity", more, strongly=True)
    if found is not None and "run_minutes_per_unit" in steps.chosen:
        steps.lot_quantity = Choice(found.name, "by its name: the run time is that of so many pieces; look twice")


def _codes(columns: Iterable[Column]) -> list[Column]:
    """Return the columns that may be codes or names: no days, no measured numbers, not all different."""
    return [
        column
        for column in columns
        if not column.is_day and (column.is_whole or not column.is_number) and column.distinct <= _MOST_OPERATIONS
    ]


def _choose_operation(steps: Steps) -> None:
    codes = [
        column for column in _codes(steps.free()) if not column.is_whole or likeness("operation_code", column.name)
    ]
    named = [column for column in codes if looks_like("operation_name", column.name)]
    plain = [column for column in codes if column not in named and not looks_like("inside", column.name)]
    steps.choose("operation_code", plain)
    steps.choose("operation_name", named)
    places = [column for column in _codes(steps.free()) if not looks_like("resource_name", column.name)]
    steps.choose("resource_code", places)
    steps.choose("resource_name", _codes(steps.free()), strongly=True)
    for stand_in in ("operation_name", "resource_code"):
        if "operation_code" not in steps.chosen and stand_in in steps.chosen:
            column = steps.chosen[stand_in].column
            steps.chosen["operation_code"] = Choice(column, "no other column names the operation; look twice")
    if "operation_code" not in steps.chosen:
        rest = sorted((c for c in _codes(steps.free()) if c.distinct > 1 and not c.is_unit), key=lambda c: c.distinct)
        if rest:
            steps.chosen["operation_code"] = Choice(rest[0].name, BY_VALUES)


def _choose_routing_number(steps: Steps) -> None:
    """Choose the routing's number where an item has a sequence more than once."""
    if "sequence" not in steps.chosen:
        return
    item, sequence = (steps.table.columns[steps.chosen[role].column].said for role in ("item_code", "sequence"))
    pairs = len(set(zip(item, sequence, strict=True)))
    if pairs >= 0.995 * steps.table.rows:
        steps.choose("routing_no", _codes(steps.free()), strongly=True)
        return
    if steps.choose("routing_no", _codes(steps.free())):
        return
    for column in sorted(_codes(steps.free()), key=lambda column: column.distinct):
        triples = len(set(zip(item, sequence, column.said, strict=True)))
        if triples >= 0.995 * steps.table.rows and column.distinct > 1:
            why = "guessed: it tells apart the steps of an item that have one sequence; look twice"
            steps.chosen["routing_no"] = Choice(column.name, why)
            return


def _choose_inside(steps: Steps) -> None:
    """Choose the flag of in-house and outsourced steps, and say which of its values are which."""
    few = [column for column in steps.free() if 0 < column.distinct <= _FEW_VALUES and not column.is_day]
    for column in sorted(few, key=lambda column: -likeness("inside", column.name)):
        values = sorted(column.said.drop_nulls().unique())
        outsourced = re.search(r"outsourc|fremd|extern|subcontract|외주", spelled(column.name)) is not None
        yes, no = (_OUTSIDE, _INSIDE) if outsourced else (_INSIDE, _OUTSIDE)
        if likeness("inside", column.name):
            yes, no = (*yes, *_YES), (*no, *_NO)
        inside = tuple(value for value in values if value.casefold() in (no if outsourced else yes))
        outside = tuple(value for value in values if value.casefold() in (yes if outsourced else no))
        known = likeness("inside", column.name) or (inside and outside and max(map(len, values)) > 1)
        if known and len(inside) + len(outside) == len(values):
            steps.chosen["inside"] = Choice(column.name, f"by its values {', '.join(values)}; look twice")
            steps.inside_values, steps.outside_values = inside, outside
            return


def work_steps(
    table: Table, item: str | None, header: Table | None, routing: Steps | None
) -> tuple[Steps, Steps | None]:
    """Return the columns of reported work, those of its own table and those that the table of orders lends it."""
    steps = Steps(table)
    lent = Steps(header) if header is not None else None
    if item is not None:
        steps.chosen["item_code"] = Choice(item, "its values are the items' codes")
    _choose_day(steps)
    order = steps.choose("order_no", _codes_or_keys(steps.free()), strongly=True)
    if order is None and lent is None:
        steps.choose("order_no", [column for column in _codes_or_keys(steps.free()) if not column.is_whole])
    _choose_same_step(steps, routing)
    numeric = [column for column in steps.free() if column.is_number]
    steps.choose("bad_quantity", numeric, strongly=True)
    _choose_times(steps, ("setup_minutes",), "run_minutes")
    _choose_quantity(steps)
    if lent is not None:
        if "reported_at" not in steps.chosen:
            _choose_day(lent)
        if "quantity" not in steps.chosen:
            _choose_quantity(lent)
        if "bad_quantity" not in steps.chosen:
            lent.choose("bad_quantity", [column for column in lent.free() if column.is_number], strongly=True)
    return steps, lent


def _codes_or_keys(columns: Iterable[Column]) -> list[Column]:
    return [column for column in columns if not column.is_day and (column.is_whole or not column.is_number)]


def _choose_day(steps: Steps) -> None:
    days = [column for column in steps.free() if column.is_day and column.filled > 0.5]
    days = [column for column in days if not any(looks_like(role, column.name) for role in ("valid_from", "valid_to"))]
    if days:
        best = max(
            days, key=lambda column: (_lateness(column.name), likeness("reported_at", column.name), column.filled)
        )
        why = BY_NAME if len(days) == 1 or _lateness(best.name) > 0 else LOOK_TWICE
        steps.chosen["reported_at"] = Choice(best.name, why)


def _lateness(name: str) -> int:
    words = spelled(name)
    return bool(re.search(_LATE, words)) - 2 * bool(re.search(_EARLY, words))


def _choose_quantity(steps: Steps) -> None:
    numeric = [column for column in steps.free() if column.is_number and likeness("quantity", column.name)]
    numeric = [column for column in numeric if not looks_like("bad_quantity", column.name)]
    if numeric:
        best = max(numeric, key=lambda column: (_madeness(column.name), likeness("quantity", column.name)))
        why = BY_NAME if len(numeric) == 1 else f"of {', '.join(column.name for column in numeric)}; look twice"
        steps.chosen["quantity"] = Choice(best.name, why)


def _madeness(name: str) -> int:
    words = spelled(name)
    return bool(re.search(_WHOLE_ORDER, words)) - 2 * bool(re.search(_NOT_MADE, words))


def _choose_same_step(steps: Steps, routing: Steps | None) -> None:
    """Choose operation, sequence, routing and resource: the columns that hold the routing's own values."""
    if routing is None:
        _choose_sequence_by_name(steps)
        _choose_operation(steps)
        return
    for role in ("operation_code", "sequence", "routing_no", "resource_code"):
        planned = routing.chosen.get(role)
        if planned is None:
            continue
        codes = routing.table.sets[planned.column]
        among = _codes(steps.free())
        if role in ("sequence", "routing_no"):
            same = [column for column in among if spelled(column.name) == spelled(planned.column)]
            among = same or [column for column in among if likeness(role, column.name)]
        fits = {c.name: contained(steps.table.sets[c.name], codes) for c in among if c.distinct}
        best = max(
            fits, key=lambda name: (round(fits[name], 1), likeness(role, name), name == planned.column), default=None
        )
        if best is not None and fits[best] >= 0.5:
            steps.chosen[role] = Choice(best, f"{fits[best]:.0%} of its values are in {planned.column} of the routings")


def _choose_sequence_by_name(steps: Steps) -> None:
    steps.choose(
        "sequence", [column for column in steps.free() if column.is_whole and not column.is_day], strongly=True
    )
