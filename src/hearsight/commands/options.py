"""Options that several commands share, their checks, and the command line as it was typed."""

import math
import shlex
import sys
from functools import cache
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from hearsight.commands.console import OPTIONS, keep_quiet, log_to_stderr
from hearsight.errors import HearsightError

Data = Annotated[
    list[str],
    typer.Option(
        "--data",
        help="A folder of shards, a dataset's own layout, `toys`, `menagerie`, "
        "`bazaar`, `menagerie:FOLDER`. May be given several times.",
    ),
]
RecipeChanges = Annotated[
    list[str], typer.Option("--set", metavar="PATH=VALUE", help="Change one field of the recipe.")
]
FORMER = {  # names of options, each with that of today
    "output": "out",
    "write": "out",
    "debs": "packages",
    "wheels": "packages",
    "held-out": "test",
}
REPLACED = {  # former names that mean something else in another command, or may be taken for it
    "--epoch": "--scenes, the scenes of an epoch (--epochs is the number of epochs)",
    "--runs": "--table",
}

Epochs = Annotated[
    int | None,
    typer.Option("--epochs", help="Epochs of training; by default the recipe's.", min=1),
]
Scenes = Annotated[
    int | None,
    typer.Option(
        "--scenes", help="Scenes in an epoch, if they are composed; by default 10,000.", min=1
    ),
]
Looks = Annotated[
    int,
    typer.Option(
        "--looks", help="Looks in which each cut-out of the scenes to train on appears.", min=1
    ),
]
Classes = Annotated[
    int | None, typer.Option("--classes", help="Classes of composed scenes; by default all.", min=1)
]
Device = Annotated[
    str | None, typer.Option(help="`cpu` or `cuda`; by default a GPU if there is one.")
]
Threads = Annotated[int, typer.Option(help="CPU threads of the model.", min=1, max=1024)]
BatchSize = Annotated[
    int,
    typer.Option(help="Clips or moments computed together.", min=1, max=1024),
]
Workers = Annotated[int, typer.Option(help="Processes that load data.", min=0)]

Protocols = Annotated[
    str,
    typer.Option(
        "--protocols", "--protocol", help="Names, with commas; see `hearsight protocols`."
    ),
]
Wide = Annotated[
    bool, typer.Option("--wide", help="Show every column, not only those that fit 80 characters.")
]


def be_verbose(context: Any, count: int) -> int:
    """Say what is done, if `-v` is given."""
    if count:
        _speak_by(context, "-v")
        log_to_stderr(count)
    return count


def be_quiet(context: Any, wanted: bool) -> bool:
    """Show only results and errors, if `--quiet` is given; every command's options pass here."""
    OPTIONS.clear()
    for option in context.command.params:
        for typed in option.opts:
            if typed.startswith("--"):
                OPTIONS.update(dict.fromkeys((option.name, typed[2:].replace("-", "_")), typed))
    if wanted:
        _speak_by(context, "--quiet")
        keep_quiet()
    return wanted


def _speak_by(context: Any, option: str) -> None:
    """Refuse a second option that says how much is said.

    Raises:
        HearsightError: there is another.
    """
    if context.meta.setdefault("hearsight.speech", option) != option:
        raise HearsightError("-v and --quiet are opposites: give one of them.")


@cache
def speech_options() -> list[Any]:
    """Options of every command for what it says on stderr; commands do not see them."""
    holder = typer.Typer(add_completion=False)

    @holder.command()
    def says(
        verbose: Annotated[
            int,
            typer.Option(
                "-v",
                "--verbose",
                count=True,
                show_default=False,
                callback=be_verbose,
                expose_value=False,
                help="Say on stderr what is done; -vv: in detail.",
            ),
        ] = 0,
        quiet: Annotated[
            bool,
            typer.Option(
                "--quiet",
                callback=be_quiet,
                expose_value=False,
                help="Show neither progress, notes nor warnings on stderr, only errors.",
            ),
        ] = False,
    ) -> None: ...

    return list(typer.main.get_command(holder).params)


class WholeSentences(TyperGroup):
    """A group whose help lists each command with its first sentence uncut.

    Every command in it, and in its groups, has the options of `speech_options`, and names its
    arguments in capitals.
    """

    def __init__(self, **facts: Any) -> None:
        super().__init__(**facts)
        groups: list[Any] = [self]
        options = speech_options()
        while groups:
            for command in groups.pop().commands.values():
                if hasattr(command, "commands"):
                    groups.append(command)
                elif options[0] not in command.params:
                    for one in command.params:
                        if one.param_type_name == "argument" and not one.metavar:
                            one.metavar = one.name.upper()  # as of options; typer's is lower case
                    command.params += options

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        commands: list[Any] = [self.get_command(ctx, name) for name in self.list_commands(ctx)]
        sentences = [(one.name, cleandoc(one.help).split("\n\n")[0]) for one in commands]
        with formatter.section("Commands"):
            formatter.write_dl(sentences)


def above_zero(number: float | None) -> float | None:
    """Refuse a number that is not finite or not above 0."""
    if number is not None and not (math.isfinite(number) and number > 0):
        raise typer.BadParameter(f"{number} is not a number above 0.")
    return number


def parse_folder(path: str | Path) -> Path:
    """A folder to write to; an empty name, which would mean the current folder, is refused."""
    if path == "":
        raise typer.BadParameter("a folder must be named; `.` is the one you are in.")
    return Path(path)


def parse_protocols(text: str) -> list[str]:
    """Names of protocols, separated by commas; each once.

    Raises:
        HearsightError: one of them is empty.
    """
    names = [one.strip() for one in text.split(",")]
    if not all(names):
        raise HearsightError(f"--protocols takes names with commas between them, not '{text}'.")
    return list(dict.fromkeys(names))


def parse_seeds(text: str) -> list[int]:
    """Different whole numbers from 0 on, separated by commas.

    Raises:
        HearsightError: it is no such list.
    """
    written = [seed.strip() for seed in text.split(",")]
    if not all(seed.isdecimal() and len(seed) < 19 for seed in written) or len(set(written)) < len(
        written
    ):
        raise HearsightError(f"--seeds takes different whole numbers with commas, not '{text}'.")
    return [int(seed) for seed in written]


def add_epochs(changes: list[str], epochs: int | None) -> list[str]:
    """Changes of recipes, with what --epochs says.

    Raises:
        HearsightError: two numbers of epochs.
    """
    from hearsight.recipes.serialisation import changed_field

    if epochs is None:
        return changes
    for change in changes:
        if changed_field(change) == "epochs":
            raise HearsightError(f"--epochs {epochs} and --set {change}: leave one of them out.")
    return [*changes, f"epochs={epochs}"]


def present_name(word: str) -> str:
    """The name of an option, without dashes, for one that it had in an earlier version."""
    return FORMER.get(word, word)


def option_hint(option: str, options: list[str]) -> str:
    """What to write in place of an option that a command has not: its present name, or --set.

    options: those of the command.
    """
    present = REPLACED.get(option, option)
    if present != option and present.partition(",")[0] in options:
        return f" It is now {present}."
    return _field_hint(option, options)


def _field_hint(option: str, options: list[str]) -> str:
    """How to set the field of a recipe that an option names, if it names one."""
    if "--set" not in options:
        return ""
    from hearsight.recipes.catalogue import load_recipe
    from hearsight.recipes.peer_names import PEER_NAMES
    from hearsight.recipes.serialisation import field_paths

    word = option.lstrip("-").replace("-", "_")
    meant = PEER_NAMES.get(word.lower(), (word,))
    known = field_paths(load_recipe("ssl_tie"))
    listed = " or ".join(f"--set {each}=VALUE" for each in meant if each in known)
    return f" A field of the recipe is set by {listed}." if listed else ""


def command_line() -> str:
    """The command as it was typed, the program without its folder."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
