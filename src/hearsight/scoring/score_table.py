"""The table of one protocol: rows of several models, intervals, differences, and their text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hearsight.files.tables import NARROW, Row, cell, fitting, text_table, wrapped
from hearsight.scoring.bootstrap import (
    CHANCE,
    CORRECTED,
    DIFFERENCE,
    DRAWS,
    HIGH,
    LOW,
    Sample,
    add_intervals,
    compare_rows,
    correct_rows,
)
from hearsight.scoring.results import CEILING, CLIPS, MARKED, SELECTED, Results, marked_name

NAMES = ("name", "against")  # columns of words
SUMS = ("F_LOC", "F_AUC")  # scores that sum up the others of a row stand first
CONFIDENCE = "95 % CI"
SPREAD = " ±"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreTable:
    """The scores of several models under one protocol.

    rows: of the models, then blind rows and ceiling, with intervals. differences: what
    `compare_rows` gives, of each model against the first one and against the best blind row, each p
    also corrected for all of these. drawn: what intervals and tests are over; a column of the rows
    where that is not clips.
    """

    protocol: str
    caption: str
    rows: tuple[Row, ...]
    differences: tuple[Row, ...] = ()
    drawn: str = CLIPS

    def confidence_note(self) -> str:
        """How the intervals were computed."""
        return f"{CONFIDENCE}: percentile bootstrap over {self.drawn}."

    def chance_note(self) -> str:
        """How the p were computed."""
        return (
            f"p: paired permutation test over {self.drawn}, two-sided, corrected (Holm) for all "
            "pairs shown, each score by itself."
        )

    def all_rows(self) -> list[Row]:
        """Rows and differences, as JSON lines and files hold them."""
        return [*self.rows, *self.differences]


def samples_of(results: Results, rows: Sequence[Row]) -> list[Sample]:
    """Rows of some results with what they were computed from."""
    return [
        Sample(
            row=row,
            units=results.units,
            records=(results.records[row["name"]],) if row["name"] in results.records else (),
        )
        for row in rows
    ]


def tabulate(results: Sequence[Results], *, draws: int = DRAWS) -> ScoreTable:
    """The table of several models that were scored under one protocol on the same clips."""
    first = results[0]
    return make_score_table(
        first,
        [samples_of(one, one.own_rows()) for one in results],
        samples_of(first, first.reference_rows()),
        draws=draws,
    )


def make_score_table(
    results: Results,
    models: Sequence[Sequence[Sample]],
    references: Sequence[Sample],
    *,
    draws: int = DRAWS,
) -> ScoreTable:
    """The table of models.

    Args:
        results: of one of them, for protocol and caption.
        models: the rows of each model, the same kinds of rows in the same order.
        references: blind rows and ceiling.
        draws: of clips, for intervals and tests.
    """
    samples = [*(one for model in models for one in model), *references]
    found = []
    for first, second in _pairs(models, references):
        row = compare_rows(first, second, draws=draws)
        if row is not None:
            found.append({**row, "protocol": results.protocol})
    told = {} if results.drawn == CLIPS else {"drawn": results.drawn}
    return ScoreTable(
        protocol=results.protocol,
        caption=results.caption,
        rows=tuple({**row, **told} for row in add_intervals(samples, draws=draws)),
        differences=tuple({**row, **told} for row in correct_rows(found)),
        drawn=results.drawn,
    )


def _pairs(
    models: Sequence[Sequence[Sample]], references: Sequence[Sample]
) -> list[tuple[Sample, Sample]]:
    """Which rows are compared: with the first model's of the same kind, and with the best blind.

    Not the rows of a model at thresholds beside the one that was selected.
    """
    blind = [one for one in references if one.row["name"] != CEILING]
    chosen = [[own for own in model if own.row.get(SELECTED, True) is not None] for model in models]
    pairs = [
        (first, own) for model in chosen[1:] for first, own in zip(chosen[0], model, strict=True)
    ]
    for own in (one for model in chosen for one in model):
        headline = next(iter(score_columns([own.row])), "")
        known = [one for one in blind if isinstance(one.row.get(headline), float)]
        if known:
            pairs.append((max(known, key=lambda one: one.row[headline]), own))
    return pairs


def score_columns(rows: Sequence[Row]) -> list[str]:
    """The columns of scores, those that sum up others first."""
    names = dict.fromkeys(
        name
        for row in rows
        for name, value in row.items()
        if isinstance(value, float) and not name.endswith((LOW, HIGH, SPREAD))
    )
    return sorted(names, key=_after_sums)


def _after_sums(name: str) -> bool:
    """Whether a score stands behind those that sum up others."""
    return name not in SUMS


# As text


def shown(rows: Sequence[Row]) -> tuple[list[dict[str, str]], dict[str, str]]:
    """Rows as text, and what is the same in all of them.

    In the rows are the names with their marks, each score in per cent (mean ± spread in one cell)
    and behind it its interval in a column of its own, then what differs between rows. Numbers and
    words that do not differ are left out and returned beside the rows.
    """
    scores = score_columns(rows)
    ends = (LOW, HIGH, SPREAD)
    others = dict.fromkeys(
        name
        for row in rows
        for name in row
        if name not in (*scores, *NAMES, MARKED) and not name.endswith(ends)
    )
    alike = {
        name: cell(rows[0].get(name))
        for name in others
        if len({row.get(name) for row in rows}) == 1
    }
    table = []
    for row in rows:
        line = {"name": marked_name(row)}
        for name in scores:
            line[name] = summary_cell(row, name)
            if any(name + LOW in one for one in rows):
                line[interval_column(name)] = _span(row.get(name + LOW), row.get(name + HIGH))
        line |= {name: summary_cell(row, name) for name in others if name not in alike}
        table.append(line)
    return table, alike


def summary_cell(row: Row, column: str, digits: int = 2) -> str:
    """A number of a row as text: per cent, mean ± spread, a dash where there is no number."""
    value, around = row.get(column), row.get(column + SPREAD)
    text = f"{value:,}" if isinstance(value, int) else cell(value, digits)
    return text + (f" ± {cell(around, digits)}" if around is not None else "")


def said_once(alike: Mapping[str, str]) -> list[str]:
    """What is the same in all rows, in words; the protocol stands in the caption."""
    return [
        f"{name}: {value}"
        for name, value in alike.items()
        if name != "protocol" and value != cell(None)
    ]


def interval_column(name: str) -> str:
    """The column of a score's interval, as text."""
    return f"{name}\n{CONFIDENCE}"


def _span(low: float | None, high: float | None, *, signed: bool = False) -> str:
    if low is None or high is None:
        return cell(None)
    if signed:
        return f"{100 * low:+.1f} to {100 * high:+.1f}"
    return f"{100 * low:.1f}\u2013{100 * high:.1f}"


def narrowed(
    rows: Sequence[Mapping[str, str]], width: int
) -> tuple[list[dict[str, str]], list[str]]:
    """The rows with the columns that fit, and the names of those left out.

    First come the first score with its interval, then the other scores, then the rest.
    """
    names = [name for name in rows[0] if name in NAMES]
    numbers = [name for name in rows[0] if name not in NAMES]
    spans = [name for name in numbers if name.endswith(CONFIDENCE)]
    order = [*numbers[:1], *spans[:1], *(name for name in numbers[1:] if name not in spans)]
    order += spans[1:]
    kept = {*names, *order[: fitting(rows, order, left=names, width=width)]}
    left_out = [name for name in numbers if name not in kept]
    return [{name: row[name] for name in row if name in kept} for row in rows], left_out


def shown_differences(table: ScoreTable) -> list[dict[str, str]]:
    """Differences as text: in points of per cent, each with its interval and its corrected p."""
    marked = {row["name"]: marked_name(row) for row in table.rows}
    lines = []
    for row in table.differences:
        line = {name: marked[row[name]] for name in NAMES}
        names = [name.removeprefix(CHANCE) for name in row if name.startswith(CHANCE)]
        for name in sorted(names, key=_after_sums):
            title = DIFFERENCE + name
            line[name] = f"{100 * row[title]:+.2f}"
            line[interval_column(name)] = _span(row[title + LOW], row[title + HIGH], signed=True)
            line[CHANCE + name] = f"{row[CORRECTED + name]:.3f}"
        lines.append(line)
    return lines


def table_text(
    table: ScoreTable,
    *,
    wide: bool = False,
    width: int | None = NARROW,
    footnotes: Sequence[str] = (),
) -> str:
    """The table for a terminal, and below it the differences, if there are any.

    Args:
        table: of one protocol.
        wide: whether all columns are shown; else those that fit `width`, and the others are named.
        width: in characters; None for as much as it takes.
        footnotes: a line each.
    """
    rows, alike = shown(table.rows)
    differences = shown_differences(table)
    left_out: list[str] = []
    if not wide:
        width = width or NARROW
        rows, left_out = narrowed(rows, max(width, NARROW))
        differences = [dict(list(one.items())[:5]) for one in differences]  # of the first score
    lines = [
        wrapped("; ".join([table.caption, *said_once(alike), "per cent"]), width),
        text_table(rows, left=NAMES, ruled=False, width=width),
    ]
    if left_out:
        named = [name for name in left_out if not name.endswith(CONFIDENCE)]
        named += [f"other {CONFIDENCE}"] if len(named) < len(left_out) else []
        lines.append(wrapped(f"Not shown: {', '.join(named)} (--wide shows them).", width))
    if any(name.endswith(CONFIDENCE) for name in rows[0]):
        lines.append(table.confidence_note())
    lines += footnotes
    if differences:
        drawn = text_table(differences, left=NAMES, ruled=False, width=width)
        lines += ["", "Differences on the same clips, in points:", drawn]
        lines.append(wrapped(table.chance_note(), width))
    return "\n".join(lines)
