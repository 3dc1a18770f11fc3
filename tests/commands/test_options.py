"""The options of all commands together: one word for one thing, and each says what it is for."""

import inspect
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
import typer.main

from hearsight.commands.cli import app
from hearsight.commands.options import FORMER, present_name

ALIASES = {"--out": "-o", "--count": "-k", "--verbose": "-v"}


def commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Each command with its name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{above}{name} ")
        else:
            yield above + name, command


COMMANDS = dict(commands(typer.main.get_command(app)))


def parameters(kind: str) -> Iterator[tuple[str, Any]]:
    """Each option or argument with the name of its command."""
    for name, command in COMMANDS.items():
        for one in command.params:
            if one.param_type_name == kind:
                yield name, one


def test_every_option_and_argument_says_what_it_is() -> None:
    for kind in ("option", "argument"):
        for name, one in parameters(kind):
            assert one.help, f"`{name}` does not say what {one.opts[0]} is"


def test_what_stands_for_a_value_is_in_capitals() -> None:
    for kind in ("option", "argument"):
        for name, one in parameters(kind):
            shown = one.metavar or ""
            assert shown == shown.upper(), f"`{name} --help` shows {shown}"
    for name, one in parameters("argument"):  # what may be left out or repeated is shown by typer
        assert one.metavar, f"`{name}` does not name its argument"
        assert not set("[]{}.") & set(one.metavar), f"`{name} --help` brackets {one.metavar} twice"


def test_one_word_takes_values_of_one_type() -> None:
    """`--every` is a number of seconds in every command, `--model` a name."""
    types = defaultdict(set)
    for name, option in parameters("option"):
        hints = get_type_hints(inspect.unwrap(COMMANDS[name].callback))
        if option.name in hints:
            kinds = {str(kind) for kind in get_args(hints[option.name]) or [hints[option.name]]}
            for word in option.opts:
                types[word].add(" or ".join(sorted(kinds - {str(type(None))})))
    assert len(types) > 60
    assert {word: found for word, found in types.items() if len(found) > 1} == {}


def test_a_short_option_means_the_same_everywhere() -> None:
    for name, option in parameters("option"):
        short = [word for word in option.opts if not word.startswith("--")]
        if short:
            (long,) = set(option.opts) - {*short}
            assert ALIASES[long] == short[0], f"`{name}` {option.opts}"
    for name, option in parameters("option"):
        if "--out" in option.opts:
            assert "-o" in option.opts, f"`{name}` --out"


@pytest.mark.parametrize(
    "line",
    [
        "localise FILM --output PAINTED",
        "data check A --against B --write CLEAN",
        "data menagerie --debs FOLDER",
        "data trunks --wheels FOLDER",
        "ablate ssl_tie:small --data D --held-out T",
    ],
)
def test_options_are_taken_by_the_names_they_had(line: str) -> None:
    """As lines of earlier versions have them; `--help` and errors know the present one alone."""
    name = " ".join(line.split()[: 2 if line.startswith("data") else 1])
    settings = {"token_normalize_func": present_name}
    context = COMMANDS[name].make_context(name, line.removeprefix(name).split(), **settings)
    former, value = line.split()[-2:]
    (taken,) = (one for one in COMMANDS[name].params if f"--{present_name(former[2:])}" in one.opts)
    given = context.params[taken.name]
    assert str(given) == value
    assert former not in COMMANDS[name].get_help(context)


def test_no_option_has_a_name_that_another_had() -> None:
    words = {word for _, option in parameters("option") for word in option.opts}
    assert not words & {f"--{word}" for word in FORMER}
    assert {f"--{word}" for word in FORMER.values()} <= words


def test_what_is_written_is_named_by_out() -> None:
    """No command has another word for its file or folder."""
    words = {word for _, option in parameters("option") for word in option.opts}
    assert not words & {"--output", "--write", "--target", "--dest", "--destination", "--save"}
