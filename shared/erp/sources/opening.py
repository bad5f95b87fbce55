"""Opening a source, whatever kind it is: the one place that knows which class reads which location."""

from shared.erp.issues import IssueLog
from shared.erp.profiles.model import SourceRules
from shared.erp.sources.folder import Folder
from shared.erp.sources.location import FolderLocation, Location
from shared.erp.sources.source import Source


def open_source(location: Location, rules: SourceRules, issues: IssueLog) -> Source:
    """Open the source at a location; the caller closes it, best in a `with`.

    Args:
        location: a folder or an ODBC connection.
        rules: how the profile wants it read.
        issues: where unreadable lines are counted.

    Raises:
        SourceError: there is no such folder, or the connection string, driver or login is wrong.
        SourceUnavailable: the database does not answer.
    """
    if isinstance(location, FolderLocation):
        return Folder(location.folder, rules, issues)
    from shared.erp.odbc.source import OdbcSource  # needs the machine's ODBC library, which a folder does not

    return OdbcSource(location, rules)
