"""Results on disk: a folder for each film that was localised, whole once its facts are written.

A result holds the film, if it was sent here, or names where it lies. The oldest leave when all
together have more bytes than are kept.
"""

import json
import re
import secrets
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearsight.errors import HearsightError
from hearsight.files.output import temporary_beside
from hearsight.serving.result_files import FACTS, MAPS, MOMENTS, PICTURE, PLAYABLE, SOUND

KEPT = 20 << 30  # bytes of all results together
KEY = re.compile(r"[0-9a-f]{16}")
SOURCE = "source.json"


def new_key() -> str:
    """An id that nobody has and nobody guesses."""
    return secrets.token_hex(8)


@dataclass(slots=True, kw_only=True)
class Results:
    """Results in a folder that holds nothing else."""

    folder: Path
    most: int = KEPT  # bytes

    def begin(self) -> None:
        """Make the folder, and remove what an earlier server did not finish.

        Raises:
            OSError: it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for one in self.folder.iterdir():
            if not (one / FACTS).is_file():
                shutil.rmtree(one, ignore_errors=True)

    def create(self, key: str, source: dict[str, Any]) -> Path:
        """The folder of a result to be made.

        source: its `name`; its `film`, and the `sound` of a picture: the name of a file in the
        folder, or an absolute path.

        Raises:
            HearsightError: it cannot be written; nothing is left of it.
        """
        folder = self.folder / key
        try:
            folder.mkdir()
            with temporary_beside(folder / SOURCE) as part:
                part.write_text(json.dumps({**source, "created": time.time()}), "utf-8")
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise HearsightError(
                f"No result of '{source['name']}' can be kept: {error.strerror}."
            ) from error
        return folder

    def path(self, key: str) -> Path | None:
        """The folder of a finished result; None if there is none of that id."""
        folder = self.folder / key if KEY.fullmatch(key) else None
        return folder if folder is not None and (folder / FACTS).is_file() else None

    def facts(self, key: str) -> dict[str, Any] | None:
        """What a finished result says of its film, without its moments; None if there is none."""
        folder = self.path(key)
        if folder is None:
            return None
        try:
            return {
                "id": key,
                **json.loads((folder / SOURCE).read_text("utf-8")),
                **json.loads((folder / FACTS).read_text("utf-8")),
            }
        except (OSError, ValueError):
            return None

    def moments(self, key: str) -> dict[str, Any] | None:
        """The moments and the loudness of a finished result, as `write_result` wrote them."""
        folder = self.path(key)
        if folder is None:
            return None
        with suppress(OSError, ValueError):
            held: dict[str, Any] = json.loads((folder / MOMENTS).read_text("utf-8"))
            return held
        return None

    def maps(self, key: str) -> Path | None:
        """The file of a result's maps: a byte for each cell of each moment."""
        folder = self.path(key)
        return None if folder is None else folder / MAPS

    def source(self, key: str, part: str = "film") -> Path | None:
        """The `film` or the `sound` that was given, which may have gone; None if there is none."""
        facts = self.facts(key)
        if facts is None or not isinstance(facts.get(part), str):
            return None
        return self.folder / key / str(facts[part])  # an absolute path stays itself

    def playable(self, key: str) -> Path | None:
        """What browsers play or show of a result."""
        return self._made(key, (PLAYABLE, PICTURE)) or self.source(key)

    def sound(self, key: str) -> Path | None:
        """The sound of a picture as browsers play it."""
        return self._made(key, (SOUND,)) or self.source(key, "sound")

    def _made(self, key: str, names: tuple[str, ...]) -> Path | None:
        folder = self.path(key)
        made = [folder / name for name in names] if folder is not None else []
        return next((one for one in made if one.is_file()), None)

    def newest(self, count: int) -> list[dict[str, Any]]:
        """The facts of the newest results, newest first."""
        found = [facts for facts in map(self.facts, self._keys()) if facts is not None]
        return sorted(found, key=lambda facts: -facts["created"])[:count]

    def discard(self, key: str) -> bool:
        """Remove a result; whether there was one."""
        folder = self.folder / key if KEY.fullmatch(key) else None
        if folder is None or not folder.is_dir():
            return False
        (folder / FACTS).unlink(missing_ok=True)  # first: half of a result is none
        shutil.rmtree(folder, ignore_errors=True)
        return True

    def trim(self, keep: str) -> list[str]:
        """Remove the oldest results while all have more than `most` bytes; which they were.

        keep: the one that stays in any case.
        """
        sizes = {key: _size(self.folder / key) for key in self._keys()}
        created = {key: (self.folder / key / FACTS).stat().st_mtime for key in sizes}
        removed = []
        for key in sorted(sizes, key=lambda one: created[one]):
            if sum(sizes.values()) <= self.most:
                break
            if key != keep:
                self.discard(key)
                del sizes[key]
                removed.append(key)
        return removed

    def _keys(self) -> list[str]:
        return [one.name for one in self.folder.iterdir() if self.path(one.name) is not None]


def _size(folder: Path) -> int:
    return sum(one.stat().st_size for one in folder.iterdir() if one.is_file())
