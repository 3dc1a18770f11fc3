"""Rows of a table and what must be said beside them: printed, or in a file line by line."""

from collections.abc import Sequence
from dataclasses import dataclass

from hearsight.clips.clip import UnreadableClip, list_unreadable
from hearsight.files.tables import Row


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
