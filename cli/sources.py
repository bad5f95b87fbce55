"""Which factory a command reads: the instance's own, or the one that its options name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shared.errors import InvalidInput, ProfileError, SourceError

if TYPE_CHECKING:
    from shared.erp.sources.location import Location
    from shared.settings import Settings

MAKING_IT_OWN = (
    "This instance's own factory is what ROUTING_PROFILE names, with ROUTING_SOURCE (a folder) or "
    "ROUTING_ERP_CONNECTION (ODBC)."
)


def named_factory(profile: str | None, source: str | None, *, option: str) -> "tuple[str, Location] | None":
    """Return the profile and location that two options name; None where neither is given.

    Args:
        profile: a mapping profile's name or path.
        source: a folder, or an ODBC connection string.
        option: what the source's option is called, for messages.

    Raises:
        InvalidInput: only one of them is given.
        ProfileError: there is no such profile, or it is wrong.
        SourceError: there is no such folder.
    """
    if profile is None and source is None:
        return None
    if profile is None or source is None:
        raise InvalidInput(f"--profile and {option} belong together.", remedy="Give both, or neither.")
    from shared.erp.profiles.model import load_profile
    from shared.erp.sources.location import FolderLocation, location_of

    location = location_of(source)
    if isinstance(location, FolderLocation):
        if not location.folder.is_dir():
            raise SourceError(f"{source} is not a folder.", remedy="Name the folder with the profile's files.")
        location = FolderLocation(location.folder.resolve())
    load_profile(profile)  # a name that does not exist is no failed extract that anybody must be alerted to
    return profile, location


def profile_name(name_or_path: str, *, known: Sequence[str]) -> str:
    """Return the name that a profile's snapshots bear.

    Args:
        name_or_path: such a name, the name of a shipped profile, or the path of a YAML file.
        known: the names of profiles that have snapshots; the files of these may be gone.

    Raises:
        ProfileError: it is none of these, or the file is wrong.
    """
    from shared.erp.profiles.model import load_profile

    return name_or_path if name_or_path in known else load_profile(name_or_path).name


def own_profile_name(settings: "Settings") -> str:
    """Return the name of this instance's own profile, as far as its file tells it."""
    from shared.erp.profiles.model import load_profile

    try:
        return load_profile(settings.profile).name
    except ProfileError:
        return settings.profile
