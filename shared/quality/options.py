"""What a person may say about one cycle; everything else is as configured."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import InvalidInput
from shared.quality.sampling import STRATEGIES

SMALLEST_SAMPLE, LARGEST_SAMPLE = 10, 10_000
MAX_STRATA, MAX_ATTRIBUTE_NAME = 10, 200


@dataclass(frozen=True, kw_only=True)
class CycleOptions:
    """How one cycle is to sample; None is as configured."""

    sample_size: int | None = None
    strategy: str | None = None
    seed: int | None = None
    strata: Sequence[str] | None = None

    def check(self) -> None:
        """Refuse what the configuration would refuse too.

        Raises:
            InvalidInput: a value lies outside its range; every wrong field is named.
        """
        wrong = [{"field": field, "message": message} for field, message in self._wrong()]
        if wrong:
            said = "; ".join(f"{error['field']} {error['message']}" for error in wrong)
            raise InvalidInput(f"The cycle cannot be run so: {said}.", errors=wrong)

    def _wrong(self) -> list[tuple[str, str]]:
        wrong = []
        if self.strategy is not None and self.strategy not in STRATEGIES:
            wrong.append(("strategy", f"must be one of {', '.join(STRATEGIES)}"))
        if self.sample_size is not None and not SMALLEST_SAMPLE <= self.sample_size <= LARGEST_SAMPLE:
            wrong.append(("sample_size", f"must lie between {SMALLEST_SAMPLE} and {LARGEST_SAMPLE}"))
        if self.seed is not None and self.seed < 0:
            wrong.append(("seed", "must not be negative"))
        strata = self.strata or ()
        if len(strata) > MAX_STRATA or any(not 0 < len(name) <= MAX_ATTRIBUTE_NAME for name in strata):
            wrong.append(("strata", f"must be at most {MAX_STRATA} names of attributes"))
        return wrong
