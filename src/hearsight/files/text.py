"""Text files that others wrote: what of them is text, rows of cells, or JSON."""

import csv
import io
import json
from pathlib import Path
from typing import Any

from hearsight.errors import HearsightError


def read_text(path: Path) -> str:
    """The text of a list, its lines as they end there, without a byte order mark.

    Raises:
        HearsightError: no such file, or no text in UTF-8.
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
    """The rows of a csv text, its cells stripped, empty rows left out; `path` is named in errors.

    Raises:
        HearsightError: it cannot be divided into cells.
    """
    try:
        read = csv.reader(io.StringIO(text, newline=""), skipinitialspace=True)
        rows = [[cell.strip() for cell in row] for row in read]
    except csv.Error as error:
        raise HearsightError(f"The list '{path}' is no table of cells: {error}.") from error
    return [row for row in rows if row]


def parse_json(text: str | bytes) -> Any:
    """What a JSON text holds.

    Raises:
        ValueError: it is no JSON, or nested so deeply that it cannot be read.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def writable(name: str) -> str:
    """A name as text that can be written: what is no character in it stands there by its code."""
    return name.encode(errors="backslashreplace").decode()


def is_text(name: str) -> bool:
    """Whether a name can be written: a JSON text may hold halves of characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
