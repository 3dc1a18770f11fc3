"""Tables of rows: as text for a terminal, as Markdown, as .csv or .parquet.

A row is a mapping from column to value. In a table for reading, a float is a fraction and is shown
in percent.
"""

import csv
import io
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from hearsight.errors import needs
from hearsight.files.output import check_output, written_whole
from hearsight.files.text import writable

Row = Mapping[str, Any]
LEFT = ("name", "protocol")  # columns of words, aligned to the left
NARROW = 80  # characters, the width of a table unless the terminal is wider
FOLDED = 20  # characters; text is broken into lines of at least as many where a table is too wide
BETWEEN = {True: 3, False: 2}  # characters per column beside its text, ruled and not
DIGITS = 3  # printed of a time, a cosine, a share: milliseconds, and what the last two tell
ROW_FILES = (".parquet", ".csv")  # what `write_rows` writes


def cell(value: str | int | float | None, digits: int = 2) -> str:
    """A value as a table shows it: a float in percent with some digits, None as a dash."""
    if value is None:
        return "-"
    return f"{100 * value:.{digits}f}" if isinstance(value, float) else str(value)


def rounded(row: Row, digits: int = 5) -> dict[str, Any]:
    """The row with floats rounded to so many digits after the point; there is no -0.0."""
    return {k: round(v, digits) + 0.0 if isinstance(v, float) else v for k, v in row.items()}


def text_table(
    rows: Sequence[Row],
    *,
    left: Collection[str] = LEFT,
    title: str | None = None,
    title_at: Literal["left", "center"] = "center",
    caption: str | None = None,
    footnotes: Sequence[str] = (),
    groups: Sequence[int] = (),
    ruled: bool = True,
    width: int | None = NARROW,
) -> str:
    """A table for a terminal. No number is ever cut.

    Where it would be wider than `width`, text of the columns in `left` is broken into lines, and
    if that is not enough, the table is printed in parts, one below the other, each with the
    columns in `left`. It is wider than `width` only where one other column alone is.

    Args:
        rows: at least one, all with the same columns; values are shown by `cell`.
        left: columns that are aligned to the left, the others to the right.
        title: above the table.
        title_at: where the title stands.
        caption: below the table, centred.
        footnotes: below the caption, a line each.
        groups: numbers of rows in each group; a line is drawn below each group.
        ruled: with lines around all columns; else one below the header alone.
        width: in characters; None for as much as it takes, a line for each row.
    """
    words = [column for column in rows[0] if column in left]
    numbers = [column for column in rows[0] if column not in left]
    parts: list[Sequence[str]] = [numbers]
    if width is not None:
        parts = _parts(numbers, partial(fitting, rows, left=words, width=width, ruled=ruled))
    ends = {sum(groups[: number + 1]) for number in range(len(groups))}
    drawn = []
    for number, part in enumerate(parts):
        shown = [column for column in rows[0] if column in words or column in part]
        drawn.append(
            _drawn(
                [{column: cell(row[column]) for column in shown} for row in rows],
                words,
                ends,
                ruled=ruled,
                width=width,
                title=title if number == 0 else None,
                title_justify=title_at,
                caption=caption if number == len(parts) - 1 else None,
            )
        )
    return "\n".join([("\n" if ruled else "\n\n").join(drawn), *footnotes])


def _parts(columns: Sequence[str], fit: Callable[[Sequence[str]], int]) -> list[Sequence[str]]:
    """The columns in as few parts as they fit into, all of the same number if that fits as well.

    fit: how many of some columns fit; one is taken where none does.
    """
    parts, rest = list[Sequence[str]](), columns
    while rest or not parts:
        parts.append(rest[: max(1, fit(rest))])
        rest = rest[len(parts[-1]) :]
    size = max(1, -(-len(columns) // len(parts)))
    even = [columns[at : at + size] for at in range(0, len(columns), size)]
    return even if even and all(fit(part) == len(part) for part in even) else parts


def fitting(
    rows: Sequence[Row],
    columns: Sequence[str],
    *,
    left: Collection[str],
    width: int,
    ruled: bool = False,
) -> int:
    """How many of the columns, from the first on, fit beside those in `left`.

    Args:
        rows: of the table.
        columns: of numbers, which are not broken into lines.
        left: columns of words, which are broken where they are wider than `FOLDED`.
        width: of the table, in characters.
        ruled: as for `text_table`.
    """
    between = BETWEEN[ruled]
    room = width - (1 if ruled else 0)
    room -= sum(min(FOLDED, _widest(rows, column)) + between for column in left)
    for number, column in enumerate(columns):
        room -= _widest(rows, column) + between
        if room < 0:
            return number
    return len(columns)


def _widest(rows: Sequence[Row], column: str) -> int:
    """Characters of the widest cell, or word of the column's name."""
    from rich.cells import cell_len

    return max(map(cell_len, [*column.split(), *(cell(row[column]) for row in rows)]))


def _drawn(
    rows: Sequence[Mapping[str, str]],
    left: Sequence[str],
    ends: Collection[int],
    *,
    ruled: bool,
    width: int | None,
    **titles: Any,
) -> str:
    """A table of rows of text as rich draws it, `left` broken into lines if need be."""
    from rich.box import HEAVY_HEAD, SIMPLE
    from rich.console import Console
    from rich.table import Table

    widths = {column: _widest(rows, column) for column in rows[0]}
    between = BETWEEN[ruled]
    total = sum(widths.values()) + between * len(widths) + 1
    for column in reversed(left):
        if width is not None and total > width:
            least = min(FOLDED, widths[column])
            kept = max(least, widths[column] - (total - width))
            total -= widths[column] - kept
            widths[column] = kept
    table = Table(
        box=HEAVY_HEAD if ruled else SIMPLE,
        show_edge=ruled,
        padding=(0, 1) if ruled else (0, 1, 0, 0),
        **titles,
    )
    for column, wide in widths.items():
        side: Literal["left", "right"] = "left" if column in left else "right"
        table.add_column(column, justify=side, width=wide, overflow="fold")
    for number, row in enumerate(rows, 1):
        table.add_row(*row.values(), end_section=number in ends)
    console = Console(file=io.StringIO(), width=total, markup=False, emoji=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def wrapped(text: str, width: int | None) -> str:
    """A text in lines of at most `width` characters, unless a word is longer; None: in one."""
    return text if width is None else textwrap.fill(text, width, break_on_hyphens=False)


def wrapped_pairs(pairs: Mapping[str, str], *, width: int = 80) -> str:
    """Names and texts in two columns; a text that is too long goes on in the next line.

    A line is longer than `width` only where a word is.
    """
    indent = max(map(len, pairs)) + 2
    return "\n".join(
        textwrap.fill(
            text,
            width,
            initial_indent=name.ljust(indent),
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for name, text in pairs.items()
    )


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table in Markdown; each row has as many cells as there are columns."""

    def line(cells: Sequence[str]) -> str:
        escaped = [text.replace("|", r"\|") for text in cells]
        return "|" + "".join(f" {text} |" if text else " |" for text in escaped)

    return [line(columns), "|" + "---|" * len(columns), *map(line, rows)]


def write_rows(rows: Sequence[Row], path: Path, endings: Sequence[str] = ROW_FILES) -> None:
    """Write rows as .parquet or .csv, whole or not at all.

    A column that a row lacks is empty there. File names that are not valid text are written with
    escapes.

    Args:
        rows: at least one.
        path: of the file.
        endings: that it may have.

    Raises:
        HearsightError: what `check_output` says of the file, or it cannot be written; nothing is
            left behind.
    """
    check_output(path, endings)
    columns = {
        name: [
            writable(value) if isinstance(value, str) else value
            for value in (row.get(name) for row in rows)
        ]
        for name in dict.fromkeys(name for row in rows for name in row)
    }
    with written_whole(path) as part:
        if path.suffix.lower() == ".parquet":
            with needs("report", "A .parquet file"):
                import pyarrow as pa  # type: ignore[import-untyped]
                import pyarrow.parquet as pq  # type: ignore[import-untyped]

            pq.write_table(pa.table(columns), part)
        else:
            with part.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows(zip(*columns.values(), strict=True))
