"""Rows of a table and what must be said beside them: printed, or in a file line by line."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearsight.clips.clip import UnreadableClip, list_unreadable
from hearsight.files.output import check_output, written_whole
from hearsight.files.text import writable
from hearsight.scoring.map_scores import cell

Row = Mapping[str, Any]
LEFT = ("name", "protocol")  # columns of words
SCORES = (".parquet", ".csv")  # endings of the file that `write_rows` writes


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What scoring under one protocol found.

    rows: of the table, the model's first; fractions from 0 to 1, None where there is no such
    number. caption: what the protocol does. notes: what must not be kept silent about. clips: one
    line per clip, of text and numbers, all with the same names.
    """

    protocol: str
    caption: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    clips: tuple[Row, ...]


def rounded(row: Row) -> dict[str, Any]:
    """A row as it is printed: five digits."""
    return {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}


def rows_text(rows: Sequence[Row], caption: str, notes: Sequence[str], *, width: int = 120) -> str:
    """A table in percent with its caption, and notes below it; wider where it would be cut."""
    from rich.console import Console
    from rich.table import Table

    table, least = Table(caption=caption), 1
    for column in rows[0]:
        widest = max(map(len, [*column.split(), *(cell(row[column]) for row in rows)]))
        table.add_column(column, justify="left" if column in LEFT else "right", min_width=widest)
        least += 3 + widest
    for row in rows:
        table.add_row(*map(cell, row.values()))
    console = Console(file=io.StringIO(), width=max(width, least))
    with console.capture() as capture:
        console.print(table)
    return "\n".join([capture.get().rstrip(), *notes])


def name_ids(what: str, ids: Sequence[str], *, most: int = 20) -> list[str]:
    """One line that counts ids and names the first of them; none if there are no ids."""
    if not ids:
        return []
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return [f"{len(ids)} {what}: {', '.join(ids[:most])}{more}"]


def name_unreadable(skipped: Sequence[UnreadableClip], total: int, *, most: int = 20) -> list[str]:
    """What could not be read, by name; nothing if all could."""
    text = list_unreadable(skipped, total, most=most)
    return [text] if text else []


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """Write rows, all with the same names, as .parquet or .csv.

    Texts that are none, as the name of a file may be, are written with their codes.

    Raises:
        HearsightError: what `check_output` says of the file, or it cannot be written; nothing is
            left behind.
    """
    check_output(path, SCORES)
    names = list(rows[0])
    columns = {
        name: [writable(row[name]) if isinstance(row[name], str) else row[name] for row in rows]
        for name in names
    }
    with written_whole(path) as part:
        if path.suffix.lower() == ".parquet":
            import pyarrow as pa  # type: ignore[import-untyped]
            import pyarrow.parquet as pq  # type: ignore[import-untyped]

            pq.write_table(pa.table(columns), part)
        else:
            with part.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(names)
                writer.writerows(zip(*columns.values(), strict=True))
