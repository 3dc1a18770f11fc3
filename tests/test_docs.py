"""The documentation holds what it says: links, commands, options, names and modules exist."""

import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main
from test_layers import ROOMS

import hearsight
from hearsight.commands.cli import app
from hearsight.model.spectrogram import LogSpectrogram
from hearsight.recipes.catalogue import load_recipe, recipe_names
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import assign, field_paths
from hearsight.scoring.protocol_registry import CUSTOM_PROTOCOLS
from hearsight.scoring.protocols import PROTOCOLS

ROOT = Path(__file__).resolve().parents[1]
SOURCE = Path(hearsight.__file__).parent
INDEX = ROOT / "docs" / "index.md"
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"]

LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|\bsrc=\"([^\"]+)\"")
SPAN = re.compile(r"`([^`\n]+)`")
ROW = re.compile(r"^\| `(\w+)/` \| (.+) \| (.+) \|$", re.MULTILINE)
PLACEHOLDER = re.compile(r"[A-Z][A-Z0-9_]*(=[A-Z]+)?")
OURS = ("hearsight", "$(command -v hearsight)")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


class Block(NamedTuple):
    """Lines between fences."""

    language: str
    text: str


@cache
def read(page: Path) -> tuple[str, list[Block]]:
    """The prose of a page, and its fenced blocks."""
    prose, blocks, inside = [], [], None
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("```"):
            if inside is None:
                inside = Block(line.strip().strip("`"), "")
            else:
                blocks.append(inside)
                inside = None
        elif inside is None:
            prose.append(line)
        else:
            inside = Block(inside.language, inside.text + line + "\n")
    assert inside is None, f"{page.name}: a fence stays open"
    return "\n".join(prose), blocks


def spans(page: Path) -> list[str]:
    """What stands as code inside the prose."""
    return SPAN.findall(read(page)[0])


def targets(page: Path) -> Iterator[tuple[Path, str]]:
    """The file and heading that each link to something of the project names."""
    for found in LINK.findall(SPAN.sub("", read(page)[0])):
        link = found[0] or found[1]
        if not re.match(r"[a-z]+:", link):
            name, _, heading = link.partition("#")
            yield (page.parent / name).resolve() if name else page, heading


@cache
def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub and others name them."""
    titles = re.findall(r"^#+ +(.+)$", read(page)[0], re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for file, heading in targets(page):
        assert file.exists(), f"{page.name} links to {file}, which is not there"
        if heading:
            assert heading in headings(file), f"{file.name} has no heading #{heading}"


def test_every_page_is_reached_from_the_index() -> None:
    reached, waiting = {INDEX}, [INDEX]
    while waiting:
        for file, _ in targets(waiting.pop()):
            if file.suffix == ".md" and file not in reached:
                reached.add(file)
                waiting.append(file)
    assert {page for page in PAGES if page.parent != ROOT} <= reached


# The index and the rooms


def first_sentence(file: Path) -> str:
    """What the docstring of a module begins with."""
    said = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return " ".join(said.split("\n\n")[0].split())


def test_the_index_lists_every_room_in_order_and_says_what_it_says() -> None:
    rows = ROW.findall(INDEX.read_text(encoding="utf-8"))
    rooms = [room for room in ROOMS if (SOURCE / room).is_dir()]
    assert [room for room, _, _ in rows] == rooms
    for room, says, page in rows:
        assert says == first_sentence(SOURCE / room / "__init__.py")
        assert LINK.search(page), f"the row of `{room}` names no page"


def test_the_walks_of_the_index_name_functions_that_are_there() -> None:
    _, _, rest = INDEX.read_text(encoding="utf-8").partition("## Three walks")
    walks = rest.partition("\n## ")[0]
    named = re.findall(r"`(\w+(?:/\w+)*)\.(\w+(?:\.\w+)*)`", walks)
    assert len(named) > 15
    for module, name in named:
        resolve(f"hearsight.{module.replace('/', '.')}.{name}")


# Commands


@cache
def command_tree() -> Any:
    """All commands and their options, which take long to build."""
    return typer.main.get_command(app)


def command_lines(page: Path) -> Iterator[tuple[list[str], bool]]:
    """Words after `hearsight` wherever it is called, and whether the line could be run as it is."""
    prose, blocks = read(page)
    whole = [
        line
        for block in blocks
        if block.language != "python"
        for line in block.text.replace("\\\n", " ").splitlines()
    ]
    for line, runnable in [(line, True) for line in whole] + [
        (span, False) for span in SPAN.findall(prose)
    ]:
        if not re.search(r"(^|[\s/\"$])hearsight\b", line):
            continue
        words = shlex.split(line, comments=True)
        for end in ("|", ">", "&&", ";"):
            words = words[: words.index(end)] if end in words else words
        called = [i for i, word in enumerate(words) if word in OURS]
        if called and words[called[0] + 1 :]:
            yield (
                words[called[0] + 1 :],
                runnable and not {"...", "…"} & {*words} and "[" not in line,
            )


def find_command(words: list[str]) -> tuple[Any, list[str], str]:
    """The command that the first words name, what follows them, and its name."""
    command = command_tree()
    name = "hearsight"
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        if words[0] in ("...", "…") or PLACEHOLDER.fullmatch(words[0]):
            break
        assert words[0] in command.commands, f"`{name}` has no command '{words[0]}'"
        command, name, words = command.commands[words[0]], f"{name} {words[0]}", words[1:]
    return command, words, name


@every_page
def test_commands_and_their_options_exist(page: Path) -> None:
    for words, runnable in command_lines(page):
        command, rest, name = find_command(words)
        options = {"--help"}.union(
            *(option.opts + option.secondary_opts for option in command.params)
        )
        for word in rest:
            option = word.strip("[]").partition("=")[0]
            if option.startswith("-") and not re.fullmatch(r"-[\d.]+", option):
                assert option in options, f"{page.name}: `{name}` has no option {option}"
        if runnable and "--help" not in rest:
            assert not hasattr(command, "commands"), f"{page.name}: `{name}` lacks a command"
            command.make_context(name, list(rest))  # parses, runs nothing


@every_page
def test_values_in_commands_exist(page: Path) -> None:
    for words, _ in command_lines(page):
        _, rest, name = find_command(words)
        given = list(pairwise(rest))
        named = name.endswith((" train", " recipes")) and rest and not rest[0].startswith("-")
        recipe = rest[0] if named else "ssl_tie"
        if PLACEHOLDER.fullmatch(recipe.strip("[]")):
            continue
        for option, value in given:
            if PLACEHOLDER.fullmatch(value.strip("[]")) or value in ("...", "path=value"):
                continue
            if option == "--set":
                assign(load_recipe(recipe), value)
            elif option == "--protocol":
                assert value in PROTOCOL_NAMES


def test_every_command_is_documented() -> None:
    used = {find_command(words)[2] for page in PAGES for words, _ in command_lines(page)}

    def leaves(command: Any, name: str) -> Iterator[str]:
        for word, inner in getattr(command, "commands", {}).items():
            yield from leaves(inner, f"{name} {word}")
        if not hasattr(command, "commands"):
            yield name

    assert set(leaves(command_tree(), "hearsight")) <= used


# Names


PROTOCOL_NAMES = {
    *(protocol.name for protocol in PROTOCOLS),
    *(custom.base.name for custom in CUSTOM_PROTOCOLS),
}


@cache
def fields_of_recipes() -> set[str]:
    """Every path that `--set` takes for some recipe."""
    recipe = load_recipe("ssl_tie")
    other = Recipe(spectrogram=LogSpectrogram())
    return {*field_paths(recipe), *field_paths(other)}


@every_page
def test_recipes_protocols_and_fields_exist(page: Path) -> None:
    files = "|".join({name.split(":")[0] for name in recipe_names()})
    like_a_protocol = re.compile(r"(ssl-tie|lvs|ez-vsl|adaptive)(-\w+)?(:\w+)?")
    parts = {path.split(".")[0] for path in fields_of_recipes() if "." in path}
    for span in [*spans(page), *(block.text for block in read(page)[1])]:
        for name in re.findall(rf"(?<![\w/.])(?:{files})(?::\w+)?(?![\w/.])", span):
            assert name in recipe_names(), f"{page.name}: there is no recipe '{name}'"
    for span in spans(page):
        if like_a_protocol.fullmatch(span):
            assert span in PROTOCOL_NAMES, f"{page.name}: there is no protocol '{span}'"
        path = re.match(r"(\w+)\.\w+", span)
        if path and path[1] in parts and path[0] == span.partition("=")[0]:
            assert path[0] in fields_of_recipes(), f"{page.name}: there is no field {path[0]}"
        if path and path[1] in parts and "=" in span:
            assign(load_recipe("ssl_tie"), span)


def resolve(dotted: str) -> Any:
    """What `hearsight.module.name` names."""
    module, _, name = dotted.rpartition(".")
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError:
        return getattr(resolve(module), name)


@every_page
def test_dotted_names_exist(page: Path) -> None:
    for span in spans(page):
        name = re.fullmatch(r"(hearsight(\.\w+)+)(\(.*\))?", span)
        if name:
            resolve(name[1])


@every_page
def test_python_imports_what_exists_and_calls_it_by_its_parameters(page: Path) -> None:
    for block in read(page)[1]:
        if block.language == "python":
            tree = ast.parse(block.text)
            compile(tree, page.name, "exec")
            check_calls(tree, imported(tree))


def imported(tree: ast.Module) -> dict[str, Any]:
    """What the import lines of a snippet give."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name] = importlib.import_module(alias.name)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = node.module or ""
                value = resolve(f"{module}.{alias.name}")
                if module.startswith("hearsight.") and (
                    inspect.isfunction(value) or inspect.isclass(value)
                ):
                    assert value.__module__ == module, f"{alias.name} is of {value.__module__}"
                found[alias.asname or alias.name] = value
    return found


def check_calls(tree: ast.Module, names: dict[str, Any]) -> None:
    """The calls of imported names bind; recipes and protocols asked for by name exist."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        called = names.get(node.func.id)
        if called is None:
            continue
        words = {word.arg: None for word in node.keywords if word.arg}
        inspect.signature(called).bind(*node.args, **words)
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Constant) and node.func.id == "load_recipe":
            assert first.value in recipe_names()
        if isinstance(first, ast.Constant) and node.func.id == "load_protocol":
            assert first.value in PROTOCOL_NAMES
