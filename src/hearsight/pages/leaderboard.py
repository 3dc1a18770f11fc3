"""Published numbers beside those scored here, as an HTML page or Markdown.

The page sorts its tables when a heading is pressed; without scripts it is the same page, unsorted.
"""

from collections.abc import Mapping, Sequence
from html import escape

from hearsight.files.tables import markdown_table
from hearsight.pages.html_page import html_page
from hearsight.scoring.published import SOURCES, WORDS, Board, board_notes, kind_of

TITLE = "Sound source localisation: published numbers"
SUMMARY = (
    "What papers and their repositories report, each number with its source, beside rows that "
    "neither hear nor learn."
)


def leaderboard_page(boards: Sequence[Board]) -> str:
    """The HTML page of some boards."""
    notes = "".join(f"<li>{escape(note)}</li>" for note in board_notes(boards))
    parts = [f'<ul class="note">{notes}</ul>', *map(_section, boards)]
    return html_page(TITLE, SUMMARY, parts, style=STYLE, script=SCRIPT)


def _section(board: Board) -> str:
    columns = [*WORDS[:1], *board.scores, *WORDS[1:], *SOURCES]
    heads = "".join(
        f'<th scope="col"{_text_class(column, board)}>{escape(column)}</th>' for column in columns
    )
    rows = "\n".join(_row(row, columns, board) for row in board.rows)
    return (
        f"<h2>{escape(board.test_set)}</h2>\n"
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(board.test_set)}">'
        f'<table class="sortable"><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody>'
        "</table></div>"
    )


def _row(row: Mapping[str, str], columns: Sequence[str], board: Board) -> str:
    kind = kind_of(row["method"])  # of models, those scored here stand out
    name = f' class="{kind}"' if kind != "model" or row["certainty"] == "scored" else ""
    cells = "".join(
        f"<td{_text_class(column, board)}>{escape(row[column])}</td>" for column in columns[1:]
    )
    return f'<tr{name}><th scope="row">{escape(row["method"])}</th>{cells}</tr>'


def _text_class(column: str, board: Board) -> str:
    return "" if column in board.scores or column == "year" else ' class="text"'


def leaderboard_markdown(boards: Sequence[Board]) -> str:
    """The same as Markdown, a table for each test set."""
    lines = [f"# {TITLE}", "", SUMMARY, "", *(f"- {note}" for note in board_notes(boards))]
    for board in boards:
        columns = [*WORDS[:1], *board.scores, *WORDS[1:], *SOURCES]
        rows = [[row[column] for column in columns] for row in board.rows]
        lines += ["", f"## {board.test_set}", "", *markdown_table(columns, rows)]
    return "\n".join(lines) + "\n"


STYLE = """
.note { padding-left: 1.1rem; }
.sortable button { all: unset; cursor: pointer; }
.sortable button:focus-visible { outline: 2px solid var(--accent); }
.sortable [aria-sort=ascending] button::after { content: " \\2191"; content: " \\2191" / ""; }
.sortable [aria-sort=descending] button::after { content: " \\2193"; content: " \\2193" / ""; }
"""

SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, at) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const words = head.classList.contains("text");
      const up = head.hasAttribute("aria-sort")
        ? head.getAttribute("aria-sort") === "descending" : words;
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const text = row => row.cells[at].textContent;
      const number = row => text(row) === "-" ? -1 : Number(text(row));
      const order = words ? (a, b) => text(a).localeCompare(text(b))
        : (a, b) => number(a) - number(b);
      body.append(...[...body.rows].sort((a, b) => up ? order(a, b) : order(b, a)));
    });
  });
}
"""
