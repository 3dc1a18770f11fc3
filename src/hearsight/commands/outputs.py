"""The files that a user names for a command to write: checked, not written over unasked, told."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from hearsight.commands.console import note
from hearsight.errors import HearsightError
from hearsight.files.output import check_output

Force = Annotated[
    bool, typer.Option("--force", help="Write over files that exist, without asking.")
]
Output = tuple[Path | None, Sequence[str]]  # a file, if it was named, and the endings it may have


@contextmanager
def writing(*outputs: Output, force: bool, sources: Sequence[Path] = ()) -> Iterator[None]:
    """Check files before the work that writes them, and say on stderr afterwards what was written.

    On a terminal the user is asked before a file is written over.

    Args:
        outputs: files and their endings; without endings, of any name.
        force: write over files that exist without asking.
        sources: files that are read, which must not be written over.

    Raises:
        HearsightError: a file cannot be written, is one of the sources or named twice, or exists
            and may not be written over.
    """
    named = [(path, endings) for path, endings in outputs if path is not None]
    for number, (path, endings) in enumerate(named):
        check_output(path, endings or (path.suffix.lower(),), *sources)
        if _place(path) in [_place(one) for one, _ in named[:number]]:
            raise HearsightError(f"'{path}' is named twice: name two files to write.")
    for path, _ in named:
        if path.exists() and not force:
            _ask(path)
    yield
    tell_written(*(path for path, _ in named))


def _place(path: Path) -> Path:
    """The same for two spellings of one file; a link at its end is written over, not followed."""
    return path.parent.resolve() / path.name


def tell_written(*paths: Path) -> None:
    """Say on stderr what was written."""
    for path in paths:
        note(f"wrote {path}")


def _ask(path: Path) -> None:
    """Ask whether a file may be written over; HearsightError if not, or if nobody is there."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise HearsightError(f"'{path}' exists: name another file, or write over it by --force.")
    # a prompt of typer's would put a space on stdout
    print(f"'{path}' exists. Write over it? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise HearsightError(f"'{path}' is left as it is, and nothing was done.")
