"""The folders of films that the server was started with; their files are known by ids."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hearsight.datasets.videos import PassedOver, walk_media


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFile:
    """A film in one of the folders."""

    id: str
    name: str  # its path below the folder
    path: Path


def file_key(path: Path | str) -> str:
    """The id of a file: from its absolute path, which it does not tell."""
    return hashlib.blake2b(str(path).encode(errors="surrogateescape"), digest_size=8).hexdigest()


@dataclass(slots=True, kw_only=True)
class Folders:
    """Films below the folders, hidden ones left out."""

    folders: Sequence[Path]
    _known: dict[str, FolderFile] = field(default_factory=dict)

    def files(self) -> list[FolderFile]:
        """All films, by folder and path, as they lie there now."""
        found = [
            FolderFile(id=file_key(path), name=str(path.relative_to(folder)), path=path)
            for folder in self.folders
            for path in sorted(walk_media(folder, PassedOver()))
        ]
        self._known = {one.id: one for one in found}
        return found

    def file(self, key: str) -> FolderFile | None:
        """The film of an id, if there is one."""
        if key not in self._known:
            self.files()
        return self._known.get(key)
