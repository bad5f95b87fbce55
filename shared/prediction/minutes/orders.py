"""Work orders of the current routings: what each operation of an order really took, and how far it is believed.

An order may be booked in many reports, a shift or a person each: they are summed before anything is learned from them.
A source that reports one undivided time has no setup of its own. Where the quantities differ, setup and run come from a
regression of the order's minutes on its quantity; elsewhere the planned setup is taken off, as long as it is less than
half of the order. A setup of zero means that none was booked: it is counted apart and stays out of
every logarithm. Orders of one operation are trimmed by their ratio to its median, and weighted by recency.
"""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from shared.prediction.memory import SETUP, Floats, Ints, Items, Routings
from shared.prediction.minutes.reports import booked_orders, sound_reports

Flags = npt.NDArray[np.bool_]

LEAST_SETUP = 0.05  # minutes; below it no setup was booked
RUN_OFFSET = 1e-4  # minutes of a piece added before taking logarithms
_GRID_STEP = 0.35  # of the logarithm of pieces
_PIECES = np.concatenate([[0.0], 0.1 * np.exp(_GRID_STEP * np.arange(28))])  # up to some 1,300
_LEAST_SPREAD = 1.0  # of squared log quantity about its rows' means, below which an operation tells nothing
_LEAST_NOISE = 1e-6
_SURE_FREEDOM = 20  # orders beyond each row's first that must be alike before no piece is believed to take time
_MOST_DAYS = 1_000_000  # a day number never reaches it
LEAST_COMPARED = 3  # orders of a row among which a disturbed one stands out
_FAR_RATIO = 6.0  # an order that took this many times its row's median, or that part of it, was disturbed


@dataclass(frozen=True, kw_only=True)
class Orders:
    """Sound work orders of the current routing rows, by row, newest first; arrays of equal length."""

    row: Ints
    start: Ints  # routing row -> its first order, one more than rows
    quantity: Floats  # pieces
    setup: Floats  # minutes of the order; 0 where none was booked
    run: Floats  # minutes of a piece
    weight: Floats  # by age: 1 for the newest, half after every half-life
    kept: Flags  # believed: neither trimmed nor disturbed
    elsewhere: Ints  # item -> sound orders of operations that its current routing lacks

    @property
    def minutes(self) -> Floats:
        """Return what the whole order took."""
        return np.asarray(self.setup + self.run * self.quantity)


def arrange_orders(
    results: pl.DataFrame, items: Items, routings: Routings, *, day: date, half_life_days: float, trim_share: float
) -> Orders:
    """Join work results to the current routing rows.

    A result belongs to the row of its item with the same operation and sequence, else to the first one with the same
    operation. Which results count, and how they are summed to orders, says `reports`. Results whose operation the
    item's routing lacks are left out.

    Args:
        results: canonical work results.
        items: the items.
        routings: their current routings.
        day: the day of the data; later reports are as new as can be.
        half_life_days: after so many days an order counts half.
        trim_share: share of a row's orders to leave out at each end.
    """
    sound = sound_reports(results)
    item = _numbers(sound["item_code"], items.codes)
    reports = sound.with_columns(row=_rows(sound, item, items, routings), item=item)
    sound = booked_orders(reports.filter(pl.col("row") >= 0), "row")
    others = booked_orders(reports.filter(pl.col("row") < 0, pl.col("item") >= 0), "item", "operation_code", "sequence")
    elsewhere = np.bincount(others["item"].to_numpy(), minlength=len(items.codes))
    row = sound["row"].to_numpy()
    days = sound["reported_at"].to_numpy().astype("datetime64[D]")
    newest = np.where(np.isnat(days), 0, days.astype(np.int64) + _MOST_DAYS)
    order = np.argsort(row * (2 * _MOST_DAYS) - newest, kind="stable")
    sound, row, days = sound[order], row[order], days[order]
    quantity = sound["quantity"].to_numpy().astype(np.float64)
    setup, run = _divide(sound, row, quantity, routings)
    age = _ages(days, day, half_life_days)
    start = np.searchsorted(row, np.arange(len(routings.task) + 1)).astype(np.int64)
    return Orders(
        row=row, start=start, quantity=quantity, setup=setup, run=run, weight=0.5 ** (age / half_life_days),
        kept=_believable(row, start, quantity, setup, run, trim_share), elsewhere=elsewhere.astype(np.int64),
    )  # fmt: skip


def _ages(days: npt.NDArray[np.datetime64], day: date, unknown: float) -> Floats:
    """Return ages in days, counted from the newest report: data that ended years ago tell no less of each other."""
    dated = days[~np.isnat(days) & (days <= np.datetime64(day))]
    newest = dated.max() if len(dated) else np.datetime64(day)
    ages = np.maximum((newest - days).astype(np.float64), 0.0)
    return np.where(np.isnat(days), unknown, ages)


def _numbers(codes: pl.Series, known: list[str]) -> Ints:
    """Return each code's place among the known ones, -1 where it is not known."""
    places = pl.DataFrame({"code": pl.Series(known, dtype=pl.String)}).with_row_index("place")
    found = codes.to_frame("code").join(places, on="code", how="left", maintain_order="left")["place"]
    return found.cast(pl.Int64).fill_null(-1).to_numpy().astype(np.int64)


def _rows(sound: pl.DataFrame, item: Ints, items: Items, routings: Routings) -> Ints:
    """Return each result's routing row, -1 without one."""
    operation = _numbers(sound["operation_code"], routings.operations)
    known = (item >= 0) & (operation >= 0)
    sequence = sound["sequence"].cast(pl.Int64).fill_null(-1).to_numpy().astype(np.int64)
    owner = np.repeat(np.arange(len(items.codes)), np.diff(routings.offsets))
    low = int(min(routings.sequence.min(initial=0), sequence.min(initial=0)))
    span = int(max(routings.sequence.max(initial=0), sequence.max(initial=0))) - low + 1
    pair = owner * len(routings.operations) + routings.operation
    mine = item * len(routings.operations) + operation
    exact = _found(pair * span + routings.sequence - low, mine * span + sequence - low)
    first = np.flatnonzero(routings.occurrence == 0)
    fallback = _found(pair[first], mine)
    row = np.where(exact >= 0, exact, np.where(fallback >= 0, first[fallback], -1) if len(first) else -1)
    return np.where(known, row, -1)


def _found(keys: Ints, wanted: Ints) -> Ints:
    """Return the first place of each wanted key, -1 where there is none."""
    if not len(keys):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys[order], wanted), len(keys) - 1)
    return np.where(keys[order[place]] == wanted, order[place], -1)


def _divide(sound: pl.DataFrame, row: Ints, quantity: Floats, routings: Routings) -> tuple[Floats, Floats]:
    """Return setup minutes of the order and run minutes of a piece."""
    booked = sound["run_minutes"].to_numpy().astype(np.float64)
    setup = sound["setup_minutes"].fill_null(float("nan")).to_numpy().astype(np.float64)
    whole = np.isnan(setup)
    if whole.any():
        planned = routings.times[row, SETUP]
        planned = np.where(np.isfinite(planned) & (planned < booked / 2), planned, 0.0)
        pieces = np.full(len(row), np.nan)
        pieces[whole] = setup_in_pieces(row[whole], routings.operation[row[whole]], quantity[whole], booked[whole])
        with np.errstate(divide="ignore"):
            guess = np.where(np.isnan(pieces), planned, booked / (1.0 + quantity / pieces))
        setup = np.where(whole, guess, setup)
        booked = np.where(whole, booked - setup, booked)
    return setup, booked / quantity


def setup_in_pieces(row: Ints, operation: Ints, quantity: Floats, minutes: Floats) -> Floats:
    """Return how many pieces could be run in the time of the setup, for orders whose time is not divided.

    An order takes run x (pieces + quantity) minutes, times its luck: so of a grid, those pieces are best under which
    log(minutes / (pieces + quantity)) varies least within a routing row. A row's own choice is held to its operation's,
    which the grid rounds so that no single item decides it. Operations whose quantities never differ give nan, and
    those that take a row's every order the same time whatever its quantity give infinity: no piece takes any.

    Args:
        row: (orders,) routing rows, rising.
        operation: (orders,) of the rows.
        quantity: (orders,) pieces.
        minutes: (orders,) of setup and run together.
    """
    first = np.flatnonzero(np.diff(row, prepend=-1))
    number = np.diff(np.append(first, len(row)))
    of_row = operation[first]
    across = np.log(quantity)
    varied = np.add.reduceat(across**2, first) - np.add.reduceat(across, first) ** 2 / number
    taken = np.log(minutes + LEAST_SETUP)
    squares = np.empty((len(_PIECES), len(first)))
    for place, pieces in enumerate(_PIECES.tolist()):
        rest = taken - np.log(pieces + quantity)
        squares[place] = np.add.reduceat(rest**2, first) - np.add.reduceat(rest, first) ** 2 / number
    of_operation = np.stack([np.bincount(of_row, one) for one in squares])
    best = of_operation.argmin(axis=0)
    freedom = np.maximum(np.bincount(of_row, number - 1), 1)
    noise = np.maximum(of_operation.min(axis=0) / freedom, _LEAST_NOISE)
    steps = (np.arange(len(_PIECES))[:, None] - best[of_row]) * _GRID_STEP
    chosen = _PIECES[(squares / noise[of_row] + steps**2).argmin(axis=0)]
    apart = np.add.reduceat(taken**2, first) - np.add.reduceat(taken, first) ** 2 / number
    constant = (np.bincount(of_row, apart) < _LEAST_NOISE * freedom) & (freedom >= _SURE_FREEDOM)
    chosen = np.where(constant[of_row], np.inf, chosen)
    known = np.bincount(of_row, varied)[of_row] > _LEAST_SPREAD
    return np.repeat(np.where(known, chosen, np.nan), number)


def _medians(row: Ints, numbers: Floats) -> Floats:
    """Return, for each entry, the median of the entries of its row; rows are in order."""
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    sizes = np.diff(np.append(starts, len(row)))
    many = np.flatnonzero(np.repeat(sizes > 1, sizes))
    ordered = numbers.copy()
    ordered[many] = numbers[many[np.lexsort((numbers[many], row[many]))]]
    middle = (ordered[starts + (sizes - 1) // 2] + ordered[starts + sizes // 2]) / 2
    return np.repeat(middle, sizes)


def _believable(row: Ints, start: Ints, quantity: Floats, setup: Floats, run: Floats, trim_share: float) -> Flags:
    """Tell which orders count: not among the extreme shares of many, nor far off the median of a few."""
    if not len(row):
        return np.zeros(0, dtype=bool)
    expected = _medians(row, setup) + _medians(row, run) * quantity
    ratio = np.log((setup + run * quantity + LEAST_SETUP) / (expected + LEAST_SETUP))
    sizes = np.diff(start)
    order = np.lexsort((ratio, row))
    rank = np.empty(len(row), dtype=np.int64)
    rank[order] = np.arange(len(row)) - start[row]
    cut = np.floor(sizes * trim_share)[row]
    inner = (rank >= cut) & (rank < sizes[row] - cut)
    near = (np.abs(ratio) <= np.log(_FAR_RATIO)) | (sizes[row] < LEAST_COMPARED)
    return np.asarray(inner & near)
