"""The table of a comparison: mean and spread over seeds, and the costs of every method."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hearsight.clips.leaks import footnotes
from hearsight.files.tables import NARROW, Row, write_rows
from hearsight.scoring import score_table
from hearsight.scoring.bootstrap import Sample
from hearsight.scoring.results import MARKED, Results
from hearsight.scoring.score_table import SPREAD, ScoreTable, make_score_table, samples_of
from hearsight.studies.comparison import ComparedMethod

COSTS = ("samples/s", "parameters", "trained parameters", "GFLOP")
WORDS = ("name", MARKED, "protocol")  # columns of text
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
        mean[column + SPREAD] = float(np.std(values, ddof=1))
    return mean


def tabulate_methods(
    methods: Sequence[ComparedMethod], protocols: Sequence[str]
) -> list[ScoreTable]:
    """The table of every protocol: the methods, then the blind rows and the ceiling.

    Of each method: name, marks, protocol, seeds, then of every number that the protocol
    gives (fractions) the mean over seeds, `COLUMN ±`, and the ends of its interval over clips,
    then the costs. The spread is the sample standard deviation over seeds; one seed has no spread
    columns.
    """
    return [_tabulate(methods, protocol) for protocol in protocols]


def _tabulate(methods: Sequence[ComparedMethod], protocol: str) -> ScoreTable:
    first = methods[0].results[protocol][0]
    references = [{**row, "protocol": protocol} for row in first.reference_rows()]
    return make_score_table(
        first, [_samples(one, protocol) for one in methods], samples_of(first, references)
    )


def _samples(method: ComparedMethod, protocol: str) -> list[Sample]:
    """The rows of a method, the mean over its seeds, with the records of all of them."""
    results = method.results[protocol]
    samples = []
    for each in zip(*(one.own_rows() for one in results), strict=True):
        row: dict[str, Value] = {
            "name": str(each[0]["name"]),
            MARKED: " ".join(method.marks),
            "protocol": protocol,
            "seeds": len(each),
        }
        for column in each[0]:
            if column not in WORDS:
                row |= summarised(column, [one[column] for one in each])
        records = [
            found.records[str(own["name"])]
            for found, own in zip(results, each, strict=True)
            if own["name"] in found.records and found.units == results[0].units
        ]
        samples.append(
            Sample(
                row=row | costs(method),
                units=results[0].units,
                records=tuple(records) if len(records) == len(results) else (),
            )
        )
    return samples


def costs(method: ComparedMethod) -> dict[str, Value]:
    """The cost columns of a method: median speed over its runs, parameters and operations."""
    speeds = [one for one in method.cost.samples_per_second if one is not None]
    return {
        "samples/s": f"{np.median(speeds):.0f}" if speeds else None,
        "parameters": method.cost.parameters,
        "trained parameters": method.cost.trained,
        "GFLOP": f"{method.cost.gflop:.3g}",
    }


def signs(methods: Sequence[ComparedMethod]) -> list[str]:
    """The footnotes of all marks, a line each."""
    return list(dict.fromkeys(line for each in methods for line in footnotes(each.marks)))


def notes(results: Sequence[Results]) -> list[str]:
    """The notes on clips from all results, each once."""
    return list(dict.fromkeys(note for one in results for note in one.notes))


def table_text(
    methods: Sequence[ComparedMethod],
    tables: Sequence[ScoreTable],
    *,
    wide: bool = False,
    width: int | None = NARROW,
) -> str:
    """A table for every protocol, for the terminal; below them the marks and the notes."""
    drawn = [score_table.table_text(one, wide=wide, width=width) + "\n" for one in tables]
    every = [method.results[one.protocol] for method in methods[:1] for one in tables]
    seeds = f"Scores: {over(len(every[0]))}."
    return "\n".join([*drawn, seeds, *signs(methods), *notes([each[0] for each in every])])


def over(seeds: int) -> str:
    """How numbers of a table were summarised over seeds."""
    if seeds == 1:
        return "one seed; spread unknown"
    return f"mean ± sample standard deviation over {seeds} seeds"


def write_table(tables: Sequence[ScoreTable], path: Path) -> None:
    """Write all rows as csv, means, spreads and ends of intervals in columns of their own.

    Scores are fractions. Behind the rows of each protocol stand the differences between them.

    Raises:
        HearsightError: it cannot be written; nothing is left behind.
    """
    write_rows([row for one in tables for row in one.all_rows()], path)


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
