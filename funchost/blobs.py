"""What the two halves of blob triggers share: the functions, and the names under which they meet in storage."""

from collections.abc import Sequence
from dataclasses import dataclass

from funchost.blobpaths import BlobPath, compile_path
from funchost.catalogue import Entry

POISON_QUEUE = "webjobs-blobtrigger-poison"


def internal_queue(host_id: str) -> str:
    """Return the name of the queue through which blob work passes."""
    return f"azure-webjobs-blobtrigger-{host_id}"


@dataclass(frozen=True, kw_only=True)
class BlobFunction:
    """A blob function with its compiled path."""

    entry: Entry
    path: BlobPath

    @property
    def id(self) -> str:
        """The name by which receipts and messages know it."""
        return f"Host.Functions.{self.entry.name}"


def blob_functions(entries: Sequence[Entry]) -> list[BlobFunction]:
    """Return the blob functions among the entries."""
    return [BlobFunction(entry=entry, path=compile_path(str(entry.trigger["path"]))) for entry in entries]


def quoted(etag: str | None) -> str:
    """Return an ETag in its quotes, which some calls of the SDK leave out."""
    return f'"{(etag or "").strip(chr(34))}"'
