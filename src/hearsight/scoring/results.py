"""Results of an evaluation: rows of its table, notes on its clips, and one line per clip."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hearsight.clips.clip import Box, UnreadableClip, list_unreadable
from hearsight.files.tables import Row
from hearsight.files.text import first_names
from hearsight.scoring.protocols import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Results under one protocol.

    rows: of the table, the model's first; scores are fractions from 0 to 1, or None where they are
    not defined. caption: what the protocol does. notes: clips that were left out, and faults of
    their truths, a line each. clips: the scores of each clip, all with the same columns.
    """

    protocol: str
    caption: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    clips: tuple[Row, ...]


@dataclass(slots=True, kw_only=True)
class EvaluatedClips:
    """The clips that an evaluation has read, without their frames and sounds.

    skipped: clips that could not be scored, with the reason.
    """

    ids: list[str] = field(default_factory=list)
    labels: list[str | None] = field(default_factory=list)
    boxes: list[tuple[Box, ...]] = field(default_factory=list)
    skipped: list[UnreadableClip] = field(default_factory=list)

    def lines(self, protocol: Protocol, **columns: Sequence[Any]) -> list[Row]:
        """One line per clip: id, label, the values of the columns, name of the protocol."""
        return [
            {"id": id, "label": label, **dict(zip(columns, values, strict=True))}
            | {"protocol": protocol.name}
            for id, label, *values in zip(self.ids, self.labels, *columns.values(), strict=True)
        ]

    def results(
        self,
        protocol: Protocol,
        rows: Iterable[Row],
        lines: Iterable[Row],
        *,
        notes: Iterable[str] = (),
        details: str = "",
    ) -> Results:
        """The results; clips that were skipped are named after the `notes`.

        details: added to the caption.
        """
        total = len(self.ids) + len(self.skipped)
        return Results(
            protocol=protocol.name,
            caption=f"protocol {protocol.name}: {protocol.source}{details}",
            rows=tuple(rows),
            notes=(*notes, *name_unreadable(self.skipped, total)),
            clips=tuple(lines),
        )


def name_ids(what: str, ids: Sequence[str], *, most: int = 20) -> list[str]:
    """One line that counts ids and names the first `most`; no line if there are no ids."""
    if not ids:
        return []
    return [f"{len(ids)} {what}: {first_names(ids, most)}"]


def name_unreadable(skipped: Sequence[UnreadableClip], total: int, *, most: int = 20) -> list[str]:
    """`list_unreadable` as one note; no note if every clip was read."""
    text = list_unreadable(skipped, total, most=most)
    return [text] if text else []
