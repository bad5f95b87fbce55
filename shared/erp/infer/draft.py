"""A proposed profile before it is written: which table or query each part reads, and what is not there at all."""

from dataclasses import dataclass, field

from shared.erp.infer.items import Guess
from shared.erp.infer.queries import WORK_REQUIRED, Dialect, WorkQuery
from shared.erp.infer.steps import Choice, Steps
from shared.erp.infer.tables import Roles, contained
from shared.erp.sources.location import Location

_NO_PLAN = "No table looks like planned steps"
_NAME_IT = "Name the table of routings when there is one."


@dataclass
class Draft:
    """Everything that the proposal says."""

    name: str
    location: Location
    delimiter: str
    decimal_comma: bool
    roles: Roles
    routing: Steps | None
    work: Steps | None
    lent: Steps | None
    notes: list[str]
    attributes: list[Guess] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    null_words: tuple[str, ...] = ()
    day_forms: tuple[str, ...] = ()
    upper_codes: bool = False
    has_future_reports: bool = False
    divide_by_lot: bool = False
    lot_why: str | None = None
    work_sql: str | None = None
    work_columns: dict[str, Choice] = field(default_factory=dict)  # empty where no work is read
    routing_sql: str | None = None

    @property
    def dialect(self) -> Dialect:
        """How names are written in queries."""
        return Dialect(self.location)

    def settle(self) -> None:
        """Decide how each table is read, a table or a query, and say what is not there at all."""
        self.divide_by_lot = self.routing is not None and self.routing.lot_quantity is not None
        if self.roles.items_are_within:
            self.notes.append(
                f"No table holds the items: they are what the rows of {self.roles.items.name} say of them. Name the "
                "table of items when there is one."
            )
        self._settle_work()
        if self.routing is None:
            self._settle_routing()
        elif self.routing.table.origin is not None:
            self.routing_sql = self.routing.table.picked(self.routing.used)

    def _settle_work(self) -> None:
        if self.work is None:
            self.notes.append(
                "No table looks like reported work, so times will rest on the plan alone: work_results is an empty "
                "query here. Name the table of confirmations or bookings there when there is one."
            )
            return
        query = WorkQuery(self.dialect, self.work, self._lent(), self.roles.header_link, self._naming_plan())
        query.one_piece = not {"quantity"} & query.columns().keys()
        missing = [role for role in WORK_REQUIRED if role not in query.columns()]
        if missing:
            self.notes.append(
                f"{self.work.table.name} looks like reported work, but no column of it was recognised as "
                f"{' or '.join(missing)}: work_results is an empty query here. Complete it by hand."
            )
            return
        self.work_columns = query.columns()
        if query.routing:
            self.notes.append(
                "work_results: a report names no operation, so its item and sequence are looked up in the plan: that "
                "all reports join the plan then says nothing, and a report of an older plan gets today's operation."
            )
        if query.lent or query.routing or query.one_piece or self.work.table.picked(self.work.used):
            self.work_sql = query.sql()

    def _lent(self) -> dict[str, Choice]:
        """Return what the table of orders lends to the reports."""
        if self.lent is None or self.work is None:
            return {}
        lent = {role: choice for role, choice in self.lent.chosen.items() if role not in self.work.chosen}
        if "item_code" not in self.work.chosen:
            codes = self.roles.items.keys[self.roles.item_key]
            sets = self.lent.table.sets
            lent["item_code"] = Choice(
                max(sets, key=lambda name: contained(sets[name], codes)), "the item of its order"
            )
        return lent

    def _naming_plan(self) -> Steps | None:
        """Return the plan where a report says only the sequence, and the operation is the plan's."""
        named = self.work is not None and "operation_code" in self.work.chosen
        placed = self.work is not None and "sequence" in self.work.chosen
        return self.routing if placed and not named else None

    def _settle_routing(self) -> None:
        """Derive the routings from reported work, or leave them empty."""
        known = self.work_columns or ({} if self.work is None else self.work.chosen)
        if not {"item_code", "operation_code"} <= known.keys() or self.work is None:
            self._no_routing()
            return
        self.notes.append(f"{_NO_PLAN}: an item's routing is what its reported work went through. {_NAME_IT}")
        roles = [role for role in ("item_code", "sequence", "operation_code", "resource_code") if role in known]
        chosen: dict[str, Choice] = {role: known[role] for role in roles}
        columns = [self.dialect.quoted(choice.column) for choice in chosen.values()]
        if "sequence" not in known:
            # Nothing says the order of operations: each is a routing of its own, rather than one of them lost.
            columns.append("'10' AS sequence")
            chosen["sequence"] = Choice("sequence", "no column says the order of the operations; look twice")
            chosen["routing_no"] = Choice(chosen["operation_code"].column, "so that no operation replaces another")
        origin = self.dialect.table(self.work.table.name) if self.work_sql is None else f"({self.work_sql}) AS w"
        self.routing_sql = self.dialect.distinct(columns, origin)
        self.routing = Steps(self.roles.items, chosen, time_unit_why="no times are planned")

    def _no_routing(self) -> None:
        self.notes.append(f"{_NO_PLAN}, and routings is an empty query here: nothing can be learnt without. {_NAME_IT}")
        roles = ("item_code", "sequence", "operation_code")
        self.routing_sql = self.dialect.no_rows(self.roles.items.name, self.roles.item_key, roles)
        chosen: dict[str, Choice] = {role: Choice(role, "of the query above") for role in roles}
        self.routing = Steps(self.roles.items, chosen, time_unit_why="no times are planned")
