"""The demo factory's routings as the ERP keeps them: current ones, older ones, and valid alternates."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from shared.erp.demo.dirt import stream
from shared.erp.demo.plan import STEPS, Flags, Indexes
from shared.erp.demo.shop import RATES, Routings
from shared.erp.demo.world import DAYS

OUTSIDE_MAKER = max(step.resources for step in STEPS)  # the work centre number that stands for a subcontractor
SETTLED_DAYS = 30  # a routing is not revised before
CENTRES = np.array([step.resources for step in STEPS])


class Version(IntEnum):
    """Which of an item's routings a planned row belongs to, in the order in which they were written."""

    ALTERNATE = 0
    OLDER = 1
    CURRENT = 2


@dataclass(frozen=True, kw_only=True)
class Versions:
    """What the ERP keeps beside the current routings; one entry an item unless said otherwise."""

    revised: Flags
    revised_day: Indexes  # the first day of the current routing; of items that were not revised, when it was written
    alternate: Flags
    altered: Indexes  # the entry of Routings that the alternate makes elsewhere
    altered_resource: Indexes
    in_older: Flags  # one entry a step: the older routing has it, too
    older_sequence: Indexes  # one entry a step: its number in the older routing

    @property
    def older_no(self) -> Indexes:
        """The older routing's number; meaningful where `revised`."""
        return 1 + self.alternate.astype(np.int64)

    @property
    def current_no(self) -> Indexes:
        """The current routing's number: the highest of the item."""
        return self.older_no + self.revised


@dataclass(frozen=True, kw_only=True)
class Planned:
    """The planned steps that the ERP keeps, by item, version and place."""

    entry: Indexes  # into Routings
    version: Indexes


def build_versions(routings: Routings, seed: int) -> Versions:
    """Return which items were revised, and which may be made in two ways."""
    rng = stream(seed, "versions")
    items = len(routings.routed)
    left = DAYS - routings.written_day
    revised = routings.routed & (rng.random(items) < RATES["revised_routing"]) & (left > 2 * SETTLED_DAYS)
    wait = SETTLED_DAYS + (rng.random(items) * (left - SETTLED_DAYS)).astype(np.int64)
    in_older = rng.random(len(routings.item)) >= RATES["step_added_by_revision"]
    in_older[routings.first_step] = True  # nobody writes an empty routing
    before: Indexes = np.cumsum(in_older) - in_older
    position: Indexes = before - before[routings.first_step][routings.item]
    by_five = (rng.random(items) < RATES["older_numbers_by_five"])[routings.item]
    alternate = routings.routed & (rng.random(items) < RATES["alternate_routing"])
    altered = routings.first_step + (rng.random(items) * routings.steps).astype(np.int64)
    centres = CENTRES[routings.step[altered]]
    outside = (rng.random(items) < RATES["alternate_is_outsourced"]) | (centres == 1)
    return Versions(
        revised=revised,
        revised_day=np.where(revised, routings.written_day + wait, routings.written_day),
        alternate=alternate,
        altered=altered,
        altered_resource=np.where(outside, OUTSIDE_MAKER, (routings.resource[altered] + 1) % centres),
        in_older=in_older,
        older_sequence=np.where(by_five, 5, 10) * (position + 1),
    )


def planned_steps(routings: Routings, versions: Versions) -> Planned:
    """Return the rows of the routing view."""
    item = routings.item
    kept = {
        Version.ALTERNATE: versions.alternate[item],
        Version.OLDER: versions.revised[item] & versions.in_older,
        Version.CURRENT: routings.routed[item],
    }
    entry = np.concatenate([np.flatnonzero(mask) for mask in kept.values()])
    version = np.repeat(np.array(list(kept)), [int(mask.sum()) for mask in kept.values()])
    order = np.lexsort((entry, version, item[entry]))
    return Planned(entry=entry[order], version=version[order])
