"""How the one allowed chance of a false alarm is shared over time, metrics and families.

Every stream of evidence is a weighted sum of non-negative martingales (one for each cycle at which the change may have
begun, for each size of it), so by Ville's inequality it exceeds 1 / alpha with a chance of at most alpha times the sum
of its weights (J. Ville, Étude critique de la notion de collectif, 1939). The weights below sum to 1 over all cycles
that a factory will ever run, whatever model was active, and the shares sum to less than 1 over all streams of a cycle:
therefore the chance that any stream ever raises a false alarm stays below alpha. Three tenths are held back, since
the rise streams' learned wobble makes the bound approximate: simulated shop floors that wobble took twice a share.
"""

from collections.abc import Sequence
from math import log

CYCLES_A_YEAR = 250  # working days; a change is expected equally in any of a year's cycles
_SUM_OF_INVERSE_CUBES = 1.2020569031595942  # of 1, 2, 3, … years

RISE_OF_ERRORS, RISE_OF_MISSES = "rise.mae", "rise.process_match"
LEVEL_OF_ERRORS, LEVEL_OF_MISSES, LEVEL_OF_SPREAD = "level.mae", "level.process_match", "level.cv"

_OVERALL = {
    RISE_OF_ERRORS: 0.40,
    RISE_OF_MISSES: 0.09,
    LEVEL_OF_ERRORS: 0.06,
    LEVEL_OF_MISSES: 0.04,
    LEVEL_OF_SPREAD: 0.02,
}
_ALL_FAMILIES = {RISE_OF_ERRORS: 0.06, RISE_OF_MISSES: 0.03}
_OF_KNOWN_FAMILIES = 0.9  # the rest is kept for families that appear later


def weight_of_cycle(number: int) -> float:
    """Return the weight of a change that begins at the `number`-th tested cycle of the factory's life, from 1.

    Equal within a year of cycles, and falling with the cube of the year, so that a late change is not dear.
    """
    year = (number - 1) // CYCLES_A_YEAR + 1
    return 1.0 / (_SUM_OF_INVERSE_CUBES * year**3 * CYCLES_A_YEAR)


def share_of_stream(test: str, family: str = "", families: Sequence[str] = (), later: Sequence[str] = ()) -> float:
    """Return a stream's share of the allowed chance of a false alarm.

    `families` were known when the model was activated and share alike; those `later` share a small rest in the order
    in which they appeared.
    """
    if not family:
        return _OVERALL[test]
    whole = _ALL_FAMILIES[test]
    if family in families:
        return whole * _OF_KNOWN_FAMILIES / len(families)
    place = later.index(family) + 1
    return whole * (1 - _OF_KNOWN_FAMILIES) / (place * (place + 1))


def limit(false_alarm_rate: float, share: float) -> float:
    """Return the logarithm of the evidence from which a stream of this `share` raises an alarm."""
    return -log(false_alarm_rate * share)
