"""The installation's own log: its newest lines, followed and downloaded."""

import azure.functions as func
from pydantic import BaseModel, Field

from functions.access import Access
from functions.http import Call, Reply, endpoint
from shared.errors import InvalidInput
from shared.operations.log_files import PLACE_PATTERN, Place
from shared.operations.log_lines import Level, LogPage, LogQuery, following_lines, log_text, newest_lines

blueprint = func.Blueprint()


class LogFilter(BaseModel):
    """Which lines: those that have all that is given."""

    level: Level | None = Field(None, description="the least; a line that names no level is always shown")
    event: str = Field("", max_length=200, description="an event's code; `model.` for all that begin so")
    text: str = Field("", max_length=200, description="in the line as it is shown, whatever its case")

    def query(self) -> LogQuery:
        """Return what the service takes."""
        return LogQuery(level=self.level, event=self.event, text=self.text)


class LogQuestion(LogFilter):
    """Which lines, and from where on: the newest unless asked otherwise."""

    before: str | None = Field(None, pattern=PLACE_PATTERN, description="an answer's `before`: older lines")
    after: str | None = Field(None, pattern=PLACE_PATTERN, description="an answer's `after`: what was written since")
    limit: int = Field(200, ge=1, le=1_000)


@endpoint(
    blueprint,
    "GET",
    "logs",
    access=Access.OPERATE,
    summary="The newest lines of the installation's log",
    query=LogQuestion,
    answer=LogPage,
)
def list_log_lines(call: Call) -> Reply:
    """Show lines of the host's log, oldest first and without secrets; ask again with `after` to follow it.

    One answer looks through 4 MiB of the log at most: fewer lines than asked for with `more` mean that it goes on.
    """
    asked = call.query
    assert isinstance(asked, LogQuestion)
    folder = call.services.settings.logs
    if asked.before and asked.after:
        message = "not together with `before`"
        raise InvalidInput("Lines are asked for in one direction.", errors=[{"field": "after", "message": message}])
    if asked.after:
        return Reply(body=following_lines(folder, asked.query(), limit=asked.limit, after=Place.read(asked.after)))
    before = Place.read(asked.before) if asked.before else None
    return Reply(body=newest_lines(folder, asked.query(), limit=asked.limit, before=before))


@endpoint(
    blueprint,
    "GET",
    "logs/download",
    access=Access.OPERATE,
    summary="The installation's log as a text file",
    query=LogFilter,
    media_type="text/plain",
)
def download_log(call: Call) -> Reply:
    """Write the newest 20,000 matching lines of the last 16 MiB as text, oldest first and without secrets."""
    asked = call.query
    assert isinstance(asked, LogFilter)
    headers = {
        "content-disposition": f'attachment; filename="routing-ml-{call.services.clock():%Y%m%d-%H%M%S}.log.txt"'
    }
    text = log_text(call.services.settings.logs, asked.query())
    return Reply(body=text, media_type="text/plain", headers=headers | {"cache-control": "no-store"})
