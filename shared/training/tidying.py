"""What ended training jobs leave: their rows and lines beyond the number kept, and folders of dead attempts."""

import shutil

import structlog

from shared.database.configuration import ConfigurationStore
from shared.database.job_rows import JobRows
from shared.settings import Settings
from shared.training.folders import attempt_folders

log = structlog.get_logger()


class JobTidying:
    """Removes what no longer serves."""

    def __init__(self, settings: Settings, rows: JobRows, configuration: ConfigurationStore) -> None:
        """Tidy the data directory and database of one instance."""
        self._settings = settings
        self._rows = rows
        self._configuration = configuration

    def run(self) -> int:
        """Remove ended jobs beyond `training.keep_jobs` and folders of attempts that nobody makes; return how many."""
        gone = self._rows.prune(self._configuration.current()[1].training.keep_jobs)
        if gone:
            log.info("training.jobs_removed", count=len(gone), oldest=min(gone))
        return len(gone) + self._remove_folders()

    def _remove_folders(self) -> int:
        # Listed before the rows are read: a folder is made after its job was claimed, so none of these is just begun.
        folders = attempt_folders(self._settings)
        unfinished = self._rows.unfinished() if folders else set()
        dead = [folder for folder, job_id in folders.items() if job_id not in unfinished]
        for folder in dead:
            shutil.rmtree(folder, ignore_errors=True)  # what is left of it is met again
            log.info("training.folder_removed", folder=folder.name)
        return len(dead)
