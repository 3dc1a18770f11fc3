"""The table of a comparison: mean and spread over seeds, and the costs of every method."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hearsight.clips.leaks import footnotes
from hearsight.files.tables import Row, cell, text_table, write_rows
from hearsight.scoring.results import Results
from hearsight.studies.comparison import ComparedMethod

COSTS = ("samples/s", "parameters", "trained parameters", "GFLOP")
WORDS = ("name", "protocol")  # columns of text
CEILING_COLUMNS = ("ceiling", "ceiling AUC")  # columns left out: the ceiling has a row of its own
Value = str | int | float | None


def summarised(column: str, values: Sequence[Any]) -> dict[str, Value]:
    """Mean of a number over seeds and, with several seeds, its sample standard deviation.

    None where a seed lacks the number: a mean over fewer seeds is not comparable with the others.
    """
    if None in values:
        return {column: None}
    if not all(isinstance(one, float) for one in values):
        return {column: values[0]}
    mean: dict[str, Value] = {column: float(np.mean(values))}
    if len(values) > 1:
        mean[f"{column} ±"] = float(np.std(values, ddof=1))
    return mean


def rows(methods: Sequence[ComparedMethod], protocol: str) -> list[dict[str, Value]]:
    """The methods under a protocol, then the blind rows and the ceiling.

    Returns:
        Of each method: name with its marks, protocol, seeds, then mean and `COLUMN ±` of every
        number that the protocol gives (fractions), then the costs. The spread is the sample
        standard deviation over seeds; one seed has no spread columns.
    """
    found = []
    for method in methods:
        every = [own_rows(one) for one in method.results[protocol]]
        for each in zip(*every, strict=True):
            row: dict[str, Value] = {
                "name": " ".join([str(each[0]["name"]), *method.marks]),
                "protocol": protocol,
                "seeds": len(each),
            }
            for column in each[0]:
                if column not in WORDS:
                    row |= summarised(column, [one[column] for one in each])
            found.append(_without(row | costs(method)))
    references = methods[0].results[protocol][0].rows
    return [
        *found,
        *(_without({**row, "protocol": protocol}) for row in references if is_reference(row)),
    ]


def _without(row: Row) -> dict[str, Value]:
    return {
        name: value for name, value in row.items() if name.removesuffix(" ±") not in CEILING_COLUMNS
    }


def is_reference(row: Row) -> bool:
    """Whether a row is a blind row or the ceiling, not a model."""
    return str(row["name"]).startswith(("blind", "ceiling"))


def own_rows(results: Results) -> list[Row]:
    """The rows of the model."""
    return [row for row in results.rows if not is_reference(row)]


def costs(method: ComparedMethod) -> dict[str, Value]:
    """The cost columns of a method: median speed over its runs, parameters and operations."""
    speeds = [one for one in method.cost.samples_per_second if one is not None]
    return {
        "samples/s": f"{np.median(speeds):.0f}" if speeds else None,
        "parameters": method.cost.parameters,
        "trained parameters": method.cost.trained,
        "GFLOP": f"{method.cost.gflop:.3g}",
    }


def summary_cell(row: Row, column: str, digits: int = 2) -> str:
    """A number of a row as text: per cent, mean ± spread, a dash where there is no number."""
    value, around = row.get(column), row.get(f"{column} ±")
    text = f"{value:,}" if isinstance(value, int) else cell(value, digits)
    return text + (f" ± {cell(around, digits)}" if around is not None else "")


def shown(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Rows as text, a cell for mean and spread."""
    columns = list(dict.fromkeys(name for row in rows for name in row if not name.endswith(" ±")))
    return [{name: summary_cell(row, name) for name in columns} for row in rows]


def signs(methods: Sequence[ComparedMethod]) -> list[str]:
    """The footnotes of all marks in the names, a line each."""
    return list(dict.fromkeys(line for each in methods for line in footnotes(each.marks)))


def notes(results: Sequence[Results]) -> list[str]:
    """The notes on clips from all results, each once."""
    return list(dict.fromkeys(note for one in results for note in one.notes))


def table_text(
    methods: Sequence[ComparedMethod], protocols: Sequence[str], *, width: int = 240
) -> str:
    """One table for the terminal, the marks and the notes below it.

    Protocols that give other numbers begin a table of their own: few of its columns would be full.
    """
    alike: dict[tuple[str, ...], list[list[dict[str, Value]]]] = {}
    for protocol in protocols:
        found = rows(methods, protocol)
        columns = dict.fromkeys(name for row in found for name in row)
        alike.setdefault(tuple(columns), []).append(found)
    first = [one for protocol in protocols for one in methods[0].results[protocol][:1]]
    tables = [
        text_table(
            shown([row for part in parts for row in part]),
            groups=[len(part) for part in parts],
            width=width,
        )
        for parts in alike.values()
    ]
    seeds = len(methods[0].results[protocols[0]])
    return "\n".join([*tables, f"In per cent; {over(seeds)}.", *signs(methods), *notes(first)])


def over(seeds: int) -> str:
    """How numbers of a table were summarised over seeds."""
    if seeds == 1:
        return "one seed; spread unknown"
    return f"mean ± sample standard deviation over {seeds} seeds"


def write_table(methods: Sequence[ComparedMethod], protocols: Sequence[str], path: Path) -> None:
    """Write all rows as csv, means and spreads in columns of their own, fractions as they are.

    Raises:
        HearsightError: it cannot be written; nothing is left behind.
    """
    every = [row for protocol in protocols for row in rows(methods, protocol)]
    write_rows(every, path)


def clip_scores(results: Results) -> list[float]:
    """The cIoU of every clip under a protocol on boxes, the adaptive one under `adaptive`."""
    adaptive = results.protocol.partition(":")[0] == "adaptive"
    return [float(clip["adaptive_ciou" if adaptive else "ciou"]) for clip in results.clips]


def rates_by(results: Sequence[Results], group: Callable[[Row], str | None]) -> dict[str, float]:
    """Share of clips with cIoU of at least 0.5 in each group, over all seeds together."""
    hits: dict[str, list[bool]] = {}
    for one in results:
        for clip, score in zip(one.clips, clip_scores(one), strict=True):
            name = group(clip)
            if name is not None:
                hits.setdefault(name, []).append(score >= 0.5)
    return {name: float(np.mean(each)) for name, each in hits.items()}
