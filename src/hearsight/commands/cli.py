"""The `hearsight` command.

Results go to stdout as JSON lines or a table, progress and errors to stderr. Bad input ends in
one sentence and exit code 2. Heavy modules are imported by the command that needs them.
"""

import io
import os
import sys
import warnings
from typing import Annotated, Any

import typer

from hearsight.commands.console import as_typed, log_to_stderr
from hearsight.commands.data import data
from hearsight.commands.export_models import export_model, export_onnx
from hearsight.commands.library import index, search, similar
from hearsight.commands.localise import localise
from hearsight.commands.options import WholeSentences, option_hint, present_name
from hearsight.commands.recipes import import_weights, recipes
from hearsight.commands.results import results
from hearsight.commands.retrieve import retrieve
from hearsight.commands.score import evaluate, protocols, score
from hearsight.commands.serve import serve
from hearsight.commands.studies import ablate, compare, demo
from hearsight.commands.train import train
from hearsight.errors import INTERRUPTED, HearsightError, sentence_of
from hearsight.files.text import one_line
from hearsight.version import __version__

# the base of typer's usage errors has no public name that all its versions share
UsageError: type[typer.BadParameter] = typer.BadParameter.__mro__[1]
LONGEST = 1000  # characters of an error sentence
TWICE = (r"Image size \(", "Detected pickle protocol")  # Pillow and torch warn, and we refuse

app = typer.Typer(
    help="See where in the picture a sound comes from; learn it from raw video alone.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    cls=WholeSentences,
    context_settings={"token_normalize_func": present_name},
    rich_markup_mode=None,  # plain help: importing rich for it takes longer than all else
)
app.add_typer(data, name="data")


def version(wanted: bool) -> bool:
    """Print the version and exit, if `--version` is given."""
    if wanted:
        print(f"hearsight {__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """See where in the picture a sound comes from; learn it from raw video alone."""


app.command()(train)
app.command()(evaluate)
app.command()(score)
app.command()(protocols)
app.command()(results)
app.command()(retrieve)
app.command()(index)
app.command()(search)
app.command()(similar)
app.command()(localise)
app.command()(serve)
app.command()(recipes)
app.command("import-weights")(import_weights)
app.command("export-model")(export_model)
app.command("export-onnx")(export_onnx)
app.command()(ablate)
app.command()(compare)
app.command()(demo)


def say(sentence: str) -> None:
    """Print a sentence as one line to stderr, cut to `LONGEST` characters."""
    line = one_line(sentence)
    print(f"hearsight: {line if len(line) < LONGEST else line[:LONGEST] + ' ...'}", file=sys.stderr)


def hint(error: Any) -> str:
    """What to write in place of an option that does not exist, where that is known.

    A file whose name begins with a dash is read as one.

    error: typer's of any kind; the one of an unknown option alone names it.
    """
    option, context = getattr(error, "option_name", None), error.ctx
    if option is None or context is None:
        return ""
    for word in sys.argv[1:]:
        if word.startswith(option) and os.path.lexists(word):
            return f" Of a file whose name begins with a dash write './{word}'."
    return option_hint(option, [each for one in context.command.params for each in one.opts])


def run() -> int:
    """Run the command line; print a user's mistake as one sentence and return the exit code."""
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except HearsightError as error:
        say(as_typed(str(error)))
    except UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
            print(error.format_message())
        else:
            hinted = hint(error)
            say(f"{error.message}.{hinted}" if hinted else error.format_message())
    except BrokenPipeError:
        # the reader of stdout has gone: stay silent, also when Python flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1  # as typer does
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:
        said = sentence_of(error)
        if said is None:
            raise
        say(said)
    else:
        return code if isinstance(code, int) else 0
    return 2


def main() -> None:
    """The `hearsight` program."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files need not be valid text
        sys.stdout.reconfigure(errors="backslashreplace")
    log_to_stderr()  # nothing, until an option asks for it
    for said in TWICE:
        warnings.filterwarnings("ignore", message=said)
    code = run()
    if code == INTERRUPTED:
        say("Interrupted; what was written so far is whole.")
    sys.exit(code)
