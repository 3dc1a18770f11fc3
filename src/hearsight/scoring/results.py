"""Results of an evaluation: rows of its table, notes on its clips, and one line per clip."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64

from hearsight.clips.clip import Box, UnreadableClip, list_unreadable
from hearsight.files.tables import Row
from hearsight.scoring.protocols import Protocol

BLIND, CEILING = "blind: ", "ceiling"  # names of rows that are no model's
BLIND_DISC, BLIND_IMAGE, BLIND_MEAN = (
    f"{BLIND}{name}" for name in ("centred disc", "whole image", "mean truth")
)
CLIPS, FRAMES = "clips", "frames"  # what a bootstrap draws
MARKED = "marks"  # a column: the signs of `clips.leaks.MARKS` that a row bears
SELECTED = "selected"  # a column: how the threshold of a row was, None where it was not

Records = Mapping[str, list[Any]]
"""What a row was computed from, of each unit that a bootstrap draws, in order.

A score that is a mean has its values under its column's name; a list of values where a unit has
several members, None where one does not count. Other scores are computed from `sounding`, `ciou`
and `confidence`, from `dark`, or from `F levels`: see `bootstrap.MEASURES`.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Results under one protocol.

    rows: of the table, the model's first; scores are fractions from 0 to 1, or None where they are
    not defined. caption: what the protocol does. notes: clips that were left out, and faults of
    their truths, a line each. clips: the scores of each clip, all with the same columns. units:
    names of the clips, or of the frames, duets or batches that hold several. drawn: what the units
    are, in words. records: of rows, by name.
    """

    protocol: str
    caption: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    clips: tuple[Row, ...]
    units: tuple[str, ...] = ()
    drawn: str = CLIPS
    records: Mapping[str, Records] = field(default_factory=dict)

    def own_rows(self) -> list[Row]:
        """The rows of the model."""
        return [row for row in self.rows if not is_reference(row)]

    def reference_rows(self) -> list[Row]:
        """The blind rows and the ceiling."""
        return [row for row in self.rows if is_reference(row)]


def marked_name(row: Mapping[str, Any]) -> str:
    """The name of a row as tables show it, with its marks."""
    return " ".join([str(row["name"]), *(row.get(MARKED) or "").split()])


def is_reference(row: Row) -> bool:
    """Whether a row is a blind row or the ceiling, not a model."""
    name = str(row["name"])
    return name == CEILING or name.startswith(BLIND)


def counted_alone(
    counts: Sequence[bool] | Bool[np.ndarray, " n"], values: Float64[np.ndarray, " n"]
) -> list[float | None]:
    """A record: of each unit its value where it counts, else None."""
    return [float(one) if is_in else None for is_in, one in zip(counts, values, strict=True)]


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
        units: Sequence[str] | None = None,
        drawn: str = CLIPS,
        records: Mapping[str, Records] | None = None,
    ) -> Results:
        """The results; clips that were skipped are named after the `notes`.

        details: added to the caption. units: of `records`; None for the clips. drawn: what they
        are.
        """
        total = len(self.ids) + len(self.skipped)
        return Results(
            protocol=protocol.name,
            caption=f"protocol {protocol.name}: {protocol.source}{details}",
            rows=tuple(rows),
            notes=(*notes, *name_unreadable(self.skipped, total)),
            clips=tuple(lines),
            units=tuple(self.ids if units is None else units),
            drawn=drawn,
            records=records or {},
        )


def name_unreadable(skipped: Sequence[UnreadableClip], total: int) -> list[str]:
    """`list_unreadable` as one note; no note if every clip was read."""
    text = list_unreadable(skipped, total)
    return [text] if text else []
