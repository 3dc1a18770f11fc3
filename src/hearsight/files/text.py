"""Untrusted text files (lists, csv, JSON) read safely, and names that are safe to print."""

import csv
import json
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hearsight.errors import HearsightError
from hearsight.files.content import read_content

LINE_END = re.compile(r"\r\n|\n|\r")
NO_ROW = re.compile(r"[\s,;]*|\s*#(?!NAME\?).*|\s*sep=.", re.DOTALL)  # also a spreadsheet's `sep=;`
MOST_NAMED = 5  # in a sentence that counts more
QUOTED = re.compile(r'"[^"]*"')


def read_text(path: Path) -> str:
    """The text of a list, line ends unchanged, without byte order marks, wherever they stand.

    Raises:
        HearsightError: no such file, or neither UTF-8 text nor UTF-16 text that begins with a mark.
    """
    try:
        content = read_content(path)
        wide = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
        text = content.decode("utf-16" if wide else "utf-8").replace("\ufeff", "")
    except OSError as error:
        raise HearsightError(f"The list '{path}' cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise HearsightError(f"The list '{path}' is not a text file.") from error
    if "\0" in text or (wide and not re.search(r"\w", text, re.ASCII)):
        raise HearsightError(f"The list '{path}' is not a text file.")
    return text


class Row(NamedTuple):
    """A row of a table: its text as written, without the last line end, and its cells, stripped."""

    text: str
    cells: list[str]


def rows_of(text: str, path: Path) -> list[Row]:
    """The rows of a table as text, without empty ones and comments (`#`).

    Cells are divided by commas, or by tabs or semicolons where every row has some. They may stand
    in quotes, with blanks before and after, and then hold line ends. `path` is named in errors.

    Raises:
        HearsightError: a cell is too long, or a quote is not closed.
    """
    lines = LINE_END.split(text)
    found = LINE_END.search(text)
    newline = found[0] if found else "\n"
    delimiter = _delimiter(lines)
    rows = []
    number = 0
    while number < len(lines):
        first, line = number, lines[number]
        number += 1
        if NO_ROW.fullmatch(line):
            continue
        if '"' in line:
            cells, number = _quoted(lines, first, delimiter, path)
            line = newline.join(lines[first:number])
        else:
            cells = line.split(delimiter)
        rows.append(Row(line, [cell.strip() for cell in cells]))
    return rows


def read_table(path: Path, columns: Collection[str]) -> list[dict[str, str]]:
    """The rows of a table under its head, each with its cells by their column.

    columns: those that it must have; a row that lacks a cell of the others has none.

    Raises:
        HearsightError: as `read_text` and `rows_of`, a column is missing, or a cell of one.
    """
    rows = [row.cells for row in rows_of(read_text(path), path)]
    head = rows[0] if rows else []
    lacking = [name for name in columns if name not in head]
    if lacking:
        raise HearsightError(f"'{path}' has no column {' or '.join(lacking)}.")
    last = max((head.index(name) for name in columns), default=0)
    short = next((cells for cells in rows[1:] if len(cells) <= last), None)
    if short is not None:
        raise HearsightError(f"'{path}' has a row that is too short: {','.join(short)[:120]}.")
    return [dict(zip(head, cells, strict=False)) for cells in rows[1:]]


def _delimiter(lines: Sequence[str]) -> str:
    """What divides the cells: the first of comma, tab and semicolon, if every row has it."""
    bare = (QUOTED.sub("", line) for line in lines if not NO_ROW.fullmatch(line))
    first = next(bare, "")
    place, delimiter = min((first.find(each) % (len(first) + 1), each) for each in ",\t;")
    if delimiter == "," or place == len(first) or not all(delimiter in line for line in bare):
        return ","
    return delimiter


def _quoted(lines: Sequence[str], first: int, delimiter: str, path: Path) -> tuple[list[str], int]:
    """The cells of the row that begins in a line, and the line after it."""

    def read(strict: bool) -> tuple[list[str], int]:
        reader = csv.reader(
            (lines[number] + "\n" for number in range(first, len(lines))),
            delimiter=delimiter,
            skipinitialspace=True,
            strict=strict,
        )
        return next(reader), first + reader.line_num

    try:
        cells, after = read(strict=False)
    except csv.Error as error:
        raise HearsightError(f"The list '{path}' is no table of cells: {error}.") from error
    if any("\n" in cell for cell in cells):
        try:
            read(strict=True)
        except csv.Error as error:
            raise HearsightError(
                f"The list '{path}' has a quote in line {first + 1} that is not closed."
            ) from error
    return cells, after


def parse_json(
    text: str | bytes, *, members: Callable[[list[tuple[str, Any]]], Any] | None = None
) -> Any:
    """The value of a JSON text.

    members: makes the value of an object of its names and values; by default a dict, in which the
    last of equal names counts.

    Raises:
        ValueError: it is not JSON, or nested too deeply to be read.
    """
    try:
        return json.loads(text, object_pairs_hook=members)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def first_names(names: Sequence[str], most: int | None, *, separator: str = ", ") -> str:
    """The first `most` names, and how many more there are: "a, b and 1,234 more"."""
    shown = names[:most]
    more = len(names) - len(shown)
    return separator.join(shown) + (f" and {more:,} more" if more else "")


def counted(number: int, one: str, several: str | None = None) -> str:
    """A number with what is counted: `1 clip`, `1,204 clips`.

    several: what is said of others than one; by default `one` with an s.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def count_and_name(
    names: Sequence[str],
    one: str,
    several: str,
    *,
    total: int | None = None,
    most: int | None = MOST_NAMED,
) -> list[str]:
    """A sentence that counts names and tells the first `most`; none where there is no name.

    Args:
        names: of anything; they are put on one line each.
        one: what is said of a single one, as `clip has no sound`.
        several: what is said of more, as `clips have no sound`.
        total: of how many these are; both begin with the plural then, as `clips has no sound`.
        most: names that are told; None for all.
    """
    if not names:
        return []
    among = "" if total is None else f"of {total:,} "
    what = one if len(names) == 1 else several
    return [f"{len(names):,} {among}{what}: {first_names([*map(one_line, names)], most)}."]


def writable(name: str) -> str:
    r"""A file name as UTF-8 text; bytes that are not UTF-8 appear as escapes such as `\udcff`."""
    return name.encode(errors="backslashreplace").decode()


def one_line(text: str) -> str:
    """The text on one line, with escapes for unprintable characters: names may hold anything."""
    line = " ".join(text.split())
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in line
    )


def is_text(name: str) -> bool:
    """Whether a name can be encoded as UTF-8; JSON may contain lone surrogates, which cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
