"""`hearsight results`: published numbers beside those scored here."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hearsight.commands.console import table_width
from hearsight.commands.options import Wide
from hearsight.commands.outputs import Force, writing
from hearsight.files.output import write_text
from hearsight.files.tables import fitting, text_table, wrapped, write_rows

if TYPE_CHECKING:
    from hearsight.scoring.published import Board

ENDINGS = (".html", ".md", ".csv", ".json")


def results(
    tables: Annotated[
        list[str] | None,
        typer.Option(
            "--table",
            metavar="FILE",
            help="Scores of `evaluate` or `score` (.csv of --out, .json or .jsonl of --json), as "
            "FILE, or as 'VGG-SS=FILE' to stand among that test set's rows. May be given several "
            "times.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Write all of it as one file: .html, .md, .csv or .json."),
    ] = None,
    wide: Wide = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print numbers as JSON lines.")] = False,
    force: Force = False,
) -> None:
    """Show the published numbers of the field, each with its source, beside what was scored here.

    Example: hearsight results --table VGG-SS=table.csv --out results.html
    """
    from hearsight.scoring.published import board_notes, boards, published_numbers, scored_numbers

    given = tables or []
    files = [Path(each) for name in given for each in (name, name.partition("=")[2]) if each]
    with writing((out, ENDINGS), force=force, sources=files):
        scored = [number for name in given for number in scored_numbers(name)]
        shown = boards(scored)
        if as_json:
            for number in [*published_numbers(), *scored]:
                print(json.dumps(number))
        else:
            width = None if wide else min(80, table_width() or 80)
            print("\n\n".join(board_text(board, width) for board in shown))
            print()
            print("\n".join(wrapped(note, width) for note in board_notes(shown)))
        if out is not None:
            write_boards(shown, [*published_numbers(), *scored], out)


def board_text(board: "Board", width: int | None) -> str:
    """The table of a board: what fits `width` characters, without sources, or all of it if None."""
    from hearsight.scoring.published import SOURCES, WORDS

    scores = list(board.scores)
    if width is not None:
        scores = scores[: max(1, fitting(board.rows, scores, left=WORDS, width=width))]
    columns = [WORDS[0], *scores, *WORDS[1:], *(SOURCES if width is None else ())]
    rows = [{column: row[column] for column in columns} for row in board.rows]
    left = [column for column in columns if column not in (*scores, "year")]
    lines = [board.test_set, text_table(rows, left=left, ruled=False, width=width)]
    left_out = [column for column in board.scores if column not in scores]
    if left_out:
        said = f"Not shown: {', '.join(left_out)} (--wide shows them and all sources)."
        lines.append(wrapped(said, width))
    return "\n".join(lines)


def write_boards(boards: "list[Board]", numbers: list[dict[str, str]], out: Path) -> None:
    """Write boards as a page or Markdown, or their numbers as .csv or .json."""
    from hearsight.pages.leaderboard import leaderboard_markdown, leaderboard_page

    if out.suffix.lower() == ".csv":
        write_rows(numbers, out, ENDINGS)
        return
    texts = {
        ".html": lambda: leaderboard_page(boards),
        ".md": lambda: leaderboard_markdown(boards),
        ".json": lambda: json.dumps(numbers, indent=1) + "\n",
    }
    write_text(out, texts[out.suffix.lower()]())
