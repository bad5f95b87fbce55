"""When a running job will end: by its own pace, and by what earlier jobs of its kind took."""

from datetime import datetime, timedelta

TELLING_PERCENT = 5.0  # before this a job's own pace says nothing


def expected_end(
    now: datetime, *, elapsed_seconds: float, percent: float | None, usual_seconds: float | None
) -> datetime | None:
    """Return the expected end of an attempt that has run for `elapsed_seconds` and done `percent` of its work.

    Its own pace counts for as much as it has done, the usual duration of its kind for the rest. None while neither is
    known, and when only the usual duration is and has passed.
    """
    share = 0.0 if percent is None or percent < TELLING_PERCENT else min(percent, 100.0) / 100
    total_seconds = usual_seconds
    if share > 0:
        by_pace = elapsed_seconds / share
        total_seconds = by_pace if usual_seconds is None else share * by_pace + (1 - share) * usual_seconds
    elif usual_seconds is not None and elapsed_seconds > usual_seconds:
        return None
    if total_seconds is None:
        return None
    return now + timedelta(seconds=max(0.0, total_seconds - elapsed_seconds))
