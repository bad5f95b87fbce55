"""Mapping profiles: the YAML document that says how one factory's tables become the canonical ones.

Switching factories is switching a profile, never code. `docs/PROFILES.md` explains every field with examples.
"""

from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from shared.erp.canonical import ROUTING_SCHEMA, Attribute, AttributeKind
from shared.erp.profiles.errors import explain, nearest
from shared.erp.profiles.files import read_document
from shared.erp.profiles.filters import Filter
from shared.erp.profiles.parts import Column, DateForm, Encoding, Part, Positive, Texts, TimeUnit, Unit
from shared.erp.profiles.unit_changes import UnitChanges
from shared.errors import ProfileError
from shared.settings import PROJECT_DIR

PROFILES_DIR = PROJECT_DIR / "config" / "profiles"
NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"  # of a profile
DEFAULT_NULL_TOKENS = ("", "-", "--", "nan", "null", "none", "n/a", "#n/a")
DEFAULT_DATE_FORMATS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d")


class OdbcRules(Part):
    """How a database behind ODBC is asked; seconds."""

    login_timeout_seconds: int = Field(10, ge=1, le=600)
    statement_timeout_seconds: int = Field(600, ge=1, le=86_400)
    attempts: int = Field(3, ge=1, le=10)  # of a whole reading, where the database does not answer or goes away


class SourceRules(Part):
    """How the source's cells are understood; where it lies is said by settings or the command line."""

    delimiter: str = Field(",", min_length=1, max_length=1)  # of CSV files
    encoding: Encoding | None = None  # of CSV files; found out when left out
    skip_rows: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict
    )  # by file or sheet, above its header
    odbc: OdbcRules = OdbcRules()
    null_tokens: tuple[str, ...] = DEFAULT_NULL_TOKENS  # compared trimmed and without case
    date_formats: tuple[DateForm, ...] = DEFAULT_DATE_FORMATS  # of the day; a time of day behind it is cut off
    decimal_comma: bool = False
    item_code_case: Literal["keep", "upper", "lower"] = "keep"
    as_of: date | None = None  # the day of an old export

    def today(self, now: datetime) -> date:
        """Return the day that filters and rules call today: `as_of`, or else the day of reading."""
        return self.as_of or now.date()

    def skipped(self, table: str) -> int:
        """Return how many rows of a file or sheet lie above its header."""
        return next((rows for name, rows in self.skip_rows.items() if name.casefold() == table.casefold()), 0)


class Changes(Part):
    """How the rows that changed since the last reading are found, so that only these are read again."""

    changed_at: Column  # set at every insert and update of a row, never set back
    key: Texts  # columns that name a row
    overlap_hours: float = Field(24.0, ge=0, le=8_760)  # read again: a stamp may be older than the moment it is seen
    full_every_days: float = Field(7.0, gt=0, le=365)  # the whole table is read again when the last time is older


class SourceTable(Part):
    """Where a table's rows come from: a table by any of its names, several as one, or a query; and which rows count."""

    table: Column | None = None  # names of which the first that the source has is read
    tables: Texts | None = None  # all of these together, such as one a year
    sql: str | None = None  # runs where the data lies: the database's own dialect, or polars' over files
    filters: tuple[Filter, ...] = ()
    changes: Changes | None = None  # without it every extraction reads the whole table

    @model_validator(mode="after")
    def _one_origin(self) -> "SourceTable":
        if [self.table, self.tables, self.sql].count(None) != 2:
            raise ValueError(
                "give one of table (a table, view or file), tables (several as one) and sql (a query over them)"
            )
        return self

    @property
    def shown(self) -> str:
        """What messages call the table or query."""
        return " and ".join(self.tables) if self.tables else " or ".join(self.table or ("a query",))


class AttributeMapping(Part):
    """One attribute of an item: where it comes from and how it is understood."""

    column: Column | None = None  # the attribute's own name when left out
    kind: AttributeKind
    weight: float = Field(1.0, ge=0)
    unit: Unit | None = None
    unit_column: Column | None = None
    source_unit: Unit | None = None  # the unit where the source has no unit column or leaves its cell empty
    unit_spellings: dict[str, Unit] = Field(default_factory=dict)
    zero_is_unknown: bool = False
    minimum: float | None = None  # outside these, in the canonical unit, a value is impossible: counted and unknown
    maximum: float | None = None
    null_tokens: tuple[str, ...] = ()
    values: dict[str, str] = Field(default_factory=dict)  # spelling (any case) to the value meant
    case: Literal["keep", "upper", "lower"] = "keep"
    family: bool = False
    drawing: bool = False

    @model_validator(mode="after")
    def _fields_fit_the_kind(self) -> "AttributeMapping":
        measured = self.unit or self.unit_column or self.source_unit or self.unit_spellings
        bounded = self.zero_is_unknown or self.minimum is not None or self.maximum is not None
        if self.kind is not AttributeKind.NUMERIC and (measured or bounded):
            raise ValueError("unit, unit_column, zero_is_unknown, minimum and maximum belong to kind numeric")
        if self.kind in (AttributeKind.NUMERIC, AttributeKind.DATE) and (self.values or self.family or self.drawing):
            raise ValueError("values, family and drawing belong to kinds categorical, code and text")
        if measured and self.unit is None:
            raise ValueError("name the unit to convert to, such as unit: mm")
        return self


class ItemColumns(Part):
    """Where the item's key stands."""

    item_code: Column


class Keep(Part):
    """Which of several rows of one item counts."""

    highest: Column  # that in which this is highest, such as a revision


class ItemsTable(SourceTable):
    """The items and their attributes."""

    columns: ItemColumns
    keep: Keep | None = None  # the most complete row when left out
    attributes: dict[Annotated[str, Field(pattern=r"^[^\W\d]\w{0,63}$")], AttributeMapping] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_are_free(self) -> "ItemsTable":
        if "item_code" in self.attributes:
            raise ValueError("item_code is the key; an attribute needs another name")
        if sum(mapping.drawing for mapping in self.attributes.values()) > 1:
            raise ValueError("only one attribute can be the drawing")
        return self


class RoutingColumns(Part):
    """Source columns of the planned steps; times are in the table's time unit."""

    item_code: Column
    sequence: Column
    operation_code: Column
    routing_no: Column | None = None
    operation_name: Column | None = None
    resource_code: Column | None = None
    resource_name: Column | None = None
    inside: Column | None = None
    setup_minutes: Column | None = None
    run_minutes_per_unit: Column | None = None
    wait_minutes: Column | None = None
    move_minutes: Column | None = None
    queue_minutes: Column | None = None
    valid_from: Column | None = None
    valid_to: Column | None = None
    created_at: Column | None = None


class RoutingsTable(SourceTable):
    """The planned steps, one row each."""

    columns: RoutingColumns
    time_unit: TimeUnit
    time_unit_column: Column | None = None  # a column that states the unit row by row; an empty cell is `time_unit`
    setup_time_unit: TimeUnit | None = None  # of setup_minutes alone, where it is not that of the other times
    run_time: Literal["per_unit", "per_lot"] = "per_unit"
    lot_quantity: Column | None = None  # how many pieces one run time covers
    inside_values: tuple[str, ...] = ("사내", "Y", "1", "TRUE")
    outside_values: tuple[str, ...] = ("외주", "N", "0", "FALSE")
    carry: tuple[str, ...] = ()  # source columns taken along as text under their own names

    @model_validator(mode="after")
    def _lots_have_a_quantity(self) -> "RoutingsTable":
        if (self.run_time == "per_lot") != (self.lot_quantity is not None):
            raise ValueError("run_time: per_lot and lot_quantity belong together")
        taken = set(self.carry) & set(ROUTING_SCHEMA)
        if taken:
            raise ValueError(f"carry: {', '.join(sorted(taken))} is already a column of the routings")
        return self


class WorkResultColumns(Part):
    """Source columns of the reported work; times are in the table's time unit."""

    item_code: Column
    operation_code: Column
    reported_at: Column
    quantity: Column
    run_minutes: Column
    setup_minutes: Column | None = None
    routing_no: Column | None = None
    sequence: Column | None = None
    resource_code: Column | None = None
    order_no: Column | None = None
    bad_quantity: Column | None = None


class Believable(Part):
    """Which reported work is evidence; the rest is counted and left out. Minutes and days."""

    minimum_minutes: float = Field(0.0, ge=0)  # setup and run together must exceed this
    minimum_run_minutes: Annotated[float, Field(ge=0)] | None = None  # run time of the report must exceed this
    maximum_minutes: Positive | None = None  # setup and run together
    maximum_setup_minutes: Positive | None = None
    maximum_run_minutes_per_unit: Positive | None = None
    minimum_quantity: Positive | None = None
    maximum_quantity: Positive | None = None
    excluded_operations: tuple[str, ...] = ()  # codes whose booked times mean nothing, such as a waiting step
    maximum_age_days: Positive | None = None
    not_in_the_future: bool = True


class WorkResultsTable(SourceTable):
    """The reported work, one row an operation and order."""

    columns: WorkResultColumns
    time_unit: TimeUnit
    time_unit_column: Column | None = None
    setup_time_unit: TimeUnit | None = None  # as in the routings
    unit_changes: UnitChanges = ()  # reports in another unit from a day on; the last that speaks of a report counts
    run_time: Literal["per_order", "per_unit"] = "per_order"
    quantity_counts: Literal["good_and_bad", "good"] = "good_and_bad"  # whether the quantity holds bad_quantity
    undivided_time: bool = False  # one time holds setup and run; it is kept as run, and setup stays unknown
    believable: Believable = Believable()

    @model_validator(mode="after")
    def _undivided_has_no_setup(self) -> "WorkResultsTable":
        if self.undivided_time and self.columns.setup_minutes is not None:
            raise ValueError("undivided_time: true says that setup is not reported apart; leave setup_minutes out")
        return self

    @model_validator(mode="after")
    def _bad_pieces_are_known(self) -> "WorkResultsTable":
        if self.quantity_counts == "good" and self.columns.bad_quantity is None:
            raise ValueError("quantity_counts: good adds bad_quantity to the quantity; map bad_quantity too")
        return self


class Profile(Part):
    """One factory's mapping to the canonical tables."""

    name: str = Field(pattern=NAME)
    description: str = ""
    source: SourceRules = SourceRules()
    items: ItemsTable
    routings: RoutingsTable
    work_results: WorkResultsTable

    @cached_property
    def attributes(self) -> tuple[Attribute, ...]:
        """The declared attributes in the profile's order."""
        return tuple(
            Attribute(
                name=name,
                kind=mapping.kind,
                weight=mapping.weight,
                unit=mapping.unit,
                zero_is_unknown=mapping.zero_is_unknown,
                family=mapping.family,
                drawing=mapping.drawing,
            )
            for name, mapping in self.items.attributes.items()
        )


def known_profiles() -> tuple[str, ...]:
    """Return the names of the shipped profiles."""
    return tuple(sorted(path.stem for path in PROFILES_DIR.glob("*.yaml")))


def profile_path(name_or_path: str | Path) -> Path:
    """Return the file of a profile that is named as `load_profile` takes it.

    Raises:
        ProfileError: no shipped profile has this name.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        return path
    if str(name_or_path) not in known_profiles():
        raise ProfileError(
            f"There is no mapping profile {str(name_or_path)!r}{nearest(str(name_or_path), known_profiles())}.",
            remedy=f"Shipped are: {', '.join(known_profiles())}; or give the path of a .yaml file.",
        )
    return PROFILES_DIR / f"{name_or_path}.yaml"


def load_profile(name_or_path: str | Path) -> Profile:
    """Read and validate a profile.

    Args:
        name_or_path: the name of a shipped profile, or the path of a YAML file.

    Raises:
        ProfileError: the file is missing, is not YAML, or a field is wrong; the message names file, line and field.
    """
    path = profile_path(name_or_path)
    document, lines = read_document(path)
    return parse_profile(document, source=str(path), lines=lines)


def parse_profile(document: Any, *, source: str, lines: dict[tuple[str | int, ...], int] | None = None) -> Profile:
    """Validate a profile's document, such as the one that a snapshot keeps.

    Args:
        document: what the YAML file says.
        source: the name to blame in messages.
        lines: the line of each field, where known.

    Raises:
        ProfileError: a field is unknown, missing or wrong.
    """
    try:
        return Profile.model_validate(document)
    except ValidationError as error:
        raise explain(error, Profile, source=source, lines=lines or {}) from error
