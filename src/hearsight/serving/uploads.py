"""Uploads: streamed to disk, each under an id of its own, and removed when they have served."""

import re
import secrets
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from hearsight.errors import HearsightError
from hearsight.files.text import one_line

MOST = 4 << 30  # bytes of a file by default
STALE = 3600.0  # seconds after which an upload that nothing used is removed
LONGEST = 200  # characters of a name
SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}")


class UploadTooLargeError(HearsightError):
    """More bytes come than are taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that was sent."""

    id: str
    name: str  # that it had where it came from, to be shown
    path: Path  # where it lies now
    came: float  # by `time.monotonic`


@dataclass(slots=True, kw_only=True)
class Uploads:
    """Files that were sent and not yet used, in a folder that holds nothing else."""

    folder: Path
    most: int = MOST  # bytes of one file
    held: dict[str, Upload] = field(default_factory=dict)

    def begin(self) -> None:
        """Make the folder, and remove what an earlier server left in it.

        Raises:
            OSError: it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in self.folder.iterdir():
            left.unlink()

    async def receive(self, name: str, blocks: AsyncIterator[bytes], length: int | None) -> Upload:
        """Write a file as it comes.

        name: that it had. length: bytes that it says to have, if it does.

        Raises:
            UploadTooLargeError: it has more than `most` bytes.
            HearsightError: the disk is full or cannot be written, or the file is empty.
        """
        self.discard_stale()
        name = clean_name(name)
        if length is not None and length > self.most:
            raise self._too_large(name)
        suffix = Path(name).suffix
        key = secrets.token_hex(8)
        path = self.folder / f"{key}{suffix.lower() if SUFFIX.fullmatch(suffix) else ''}"
        size = 0
        try:
            async with await anyio.open_file(path, "wb") as file:
                async for block in blocks:
                    size += len(block)
                    if size > self.most:
                        raise self._too_large(name)
                    await file.write(block)
            if not size:
                raise HearsightError(f"'{name}' is empty.")
        except OSError as error:
            path.unlink(missing_ok=True)
            raise HearsightError(f"'{name}' cannot be kept: {error.strerror}.") from error
        except BaseException:  # the sender has gone, too
            path.unlink(missing_ok=True)
            raise
        upload = Upload(id=key, name=name, path=path, came=time.monotonic())
        self.held[key] = upload
        return upload

    def take(self, key: str) -> Upload:
        """An upload, which the caller moves or removes.

        Raises:
            HearsightError: there is none, or not any more.
        """
        upload = self._there(key)
        if upload is None:
            raise _gone("file")
        return upload

    @contextmanager
    def taken(self, **keys: str) -> Iterator[list[Upload]]:
        """Uploads that are moved within; if that or one of them fails, none is left behind.

        keys: by what each is to its sender, such as `picture` and `sound`.

        Raises:
            HearsightError: one is not here, or not any more; it says which, and what to send again.
        """
        uploads = {called: self._there(key) for called, key in keys.items()}
        again = "it" if len(uploads) == 1 else f"the {' and the '.join(uploads)}"
        try:
            for called, upload in uploads.items():
                if upload is None:
                    raise _gone(called, again)
            yield [upload for upload in uploads.values() if upload is not None]
        except BaseException:
            for upload in uploads.values():
                if upload is not None:
                    upload.path.unlink(missing_ok=True)
            raise

    def _there(self, key: str) -> Upload | None:
        """An upload, not held any more; None if there is none, or its file has gone from disk."""
        upload = self.held.pop(key, None)
        return upload if upload is not None and upload.path.is_file() else None

    def discard(self, key: str) -> None:
        """Remove an upload if it is there."""
        upload = self.held.pop(key, None)
        if upload is not None:
            upload.path.unlink(missing_ok=True)

    def discard_stale(self) -> None:
        """Remove uploads that nothing has used for `STALE` seconds."""
        now = time.monotonic()
        for upload in [one for one in self.held.values() if now - one.came > STALE]:
            self.discard(upload.id)

    def _too_large(self, name: str) -> UploadTooLargeError:
        most = f"{self.most / 2**30:.3g} GiB" if self.most >= 2**30 else f"{self.most:,} bytes"
        return UploadTooLargeError(f"'{name}' is larger than the {most} that are taken.")


def _gone(called: str, again: str = "it") -> HearsightError:
    """What is said of an upload that is not here, or not any more."""
    return HearsightError(f"The {called} that was sent is not here any more: send {again} again.")


def clean_name(name: str) -> str:
    """A stranger's name of a file as it is shown: without folders, on one line, not too long."""
    last = one_line(name.replace("\\", "/").rpartition("/")[2]).strip() or "file"
    if len(last) <= LONGEST:
        return last
    suffix = Path(last).suffix[:8]
    return last[: LONGEST - len(suffix)] + suffix
