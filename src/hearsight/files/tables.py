"""Tables of rows: as text for a terminal, as Markdown, as .csv or .parquet.

A row is a mapping from column to value. In a table for reading, a float is a fraction and is shown
in percent.
"""

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from hearsight.errors import needs
from hearsight.files.output import check_output, written_whole
from hearsight.files.text import writable

Row = Mapping[str, Any]
LEFT = ("name", "protocol")  # columns of words, aligned to the left
ROW_FILES = (".parquet", ".csv")  # what `write_rows` writes


def cell(value: str | int | float | None, digits: int = 2) -> str:
    """A value as a table shows it: a float in percent with some digits, None as a dash."""
    if value is None:
        return "-"
    return f"{100 * value:.{digits}f}" if isinstance(value, float) else str(value)


def rounded(row: Row) -> dict[str, Any]:
    """The row with floats rounded to five digits."""
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}


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
    width: int = 120,
) -> str:
    """A table for a terminal.

    It is wider than `width` where a cell, or a word of a column's name, would be cut otherwise.

    Args:
        rows: at least one, all with the same columns; values are shown by `cell`.
        left: columns that are aligned to the left, the others to the right.
        title: above the table.
        title_at: where the title stands.
        caption: below the table, centred.
        footnotes: below the caption, a line each.
        groups: numbers of rows in each group; a line is drawn below each group.
        ruled: with lines around all columns; else one below the header alone.
        width: in characters.
    """
    from rich.box import HEAVY_HEAD, SIMPLE
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=title, title_justify=title_at, caption=caption, box=HEAVY_HEAD if ruled else SIMPLE
    )
    least = 1
    for column in rows[0]:
        widest = max(map(cell_len, [*column.split(), *(cell(row[column]) for row in rows)]))
        table.add_column(column, justify="left" if column in left else "right", min_width=widest)
        least += 3 + widest
    ends = {sum(groups[: number + 1]) for number in range(len(groups))}
    for number, row in enumerate(rows, 1):
        table.add_row(*map(cell, row.values()), end_section=number in ends)
    console = Console(file=io.StringIO(), width=max(width, least), markup=False, emoji=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join([capture.get().rstrip(), *footnotes])


def plain_table(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows of text in columns, each as wide as its widest cell, without lines between them.

    A table of any width stays on one line per row, so that it can be searched and cut by tools.
    """
    names = list(rows[0])
    lines = [names, *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
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
