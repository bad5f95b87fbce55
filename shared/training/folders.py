"""Where an attempt at a training job writes: a folder of its own, which later comers can tell from all others."""

from pathlib import Path

from shared.settings import Settings

_JOBS = "job_"  # how every job's id begins


def attempt_folder(settings: Settings, job_id: str, token: int) -> Path:
    """Return the folder of the attempt that holds this fencing token; its package is made there."""
    return settings.data_dir / "staging" / f"{job_id}-{token}"


def attempt_folders(settings: Settings) -> dict[Path, str]:
    """Return what attempts of any job have left or are writing, packages being verified included, with the job's id."""
    parents = (settings.data_dir / "staging", settings.quarantine)
    found = [folder for parent in parents if parent.is_dir() for folder in sorted(parent.glob(f"{_JOBS}*-*"))]
    return {folder: folder.name.rpartition("-")[0] for folder in found}
