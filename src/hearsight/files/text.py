"""Untrusted text files (lists, csv, JSON) read safely, and names that are safe to print."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hearsight.errors import HearsightError


def read_text(path: Path) -> str:
    """The text of a list, line ends unchanged, without a byte order mark.

    Raises:
        HearsightError: no such file, or not UTF-8 text.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise HearsightError(f"The list '{path}' cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise HearsightError(f"The list '{path}' is not a text file.") from error
    if "\0" in text:
        raise HearsightError(f"The list '{path}' is not a text file.")
    return text


def cells_of(text: str, path: Path) -> list[list[str]]:
    """The non-empty rows of a csv text, cells stripped; `path` is named in errors.

    Raises:
        HearsightError: it is not valid csv.
    """
    try:
        read = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
        rows = [[cell.strip() for cell in row] for row in read]
    except csv.Error as error:
        raise HearsightError(f"The list '{path}' is no table of cells: {error}.") from error
    return [row for row in rows if row]


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is not JSON, or nested too deeply to be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def first_names(names: Sequence[str], most: int | None, *, separator: str = ", ") -> str:
    """The first `most` names, and how many more there are: "a, b and 1,234 more"."""
    shown = names[:most]
    more = len(names) - len(shown)
    return separator.join(shown) + (f" and {more:,} more" if more else "")


def writable(name: str) -> str:
    r"""A file name as UTF-8 text; bytes that are not UTF-8 appear as escapes such as `\udcff`."""
    return name.encode(errors="backslashreplace").decode()


def is_text(name: str) -> bool:
    """Whether a name can be encoded as UTF-8; JSON may contain lone surrogates, which cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
