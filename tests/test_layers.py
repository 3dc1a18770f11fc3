"""The order of the rooms: each imports only rooms before it, and no circle lies inside one."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import hearsight

ROOMS = (
    *("errors", "version", "progress"),  # single files
    *("files", "media", "clips", "scenes", "datasets"),
    *("model", "objectives", "recipes", "checkpoints"),
    *("scoring", "localising", "exports", "training", "retrieval", "loaded_model", "library"),
    *("pages", "studies", "serving", "commands"),
    *("__main__", "__init__"),  # may import every room
)
SOURCE = Path(hearsight.__file__).parent


@cache
def imported(text: str, module: str) -> list[str]:
    """The modules of the package that a file imports, in whatever form and wherever in it."""
    return list(walked(text, module, MODULES))


def walked(text: str, module: str, modules: set[str]) -> Iterator[str]:
    package = module if module.endswith("__init__") else module.rpartition(".")[0]
    tree = ast.parse(text)
    importers = {"__import__"}.union(
        alias.asname or alias.name
        for node in ast.walk(tree)
        for alias in (node.names if isinstance(node, ast.ImportFrom) else ())
        if alias.name in ("import_module", "__import__")
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            parts = package.removesuffix(".__init__").split(".")
            above = parts[: len(parts) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            if origin.partition(".")[0] != "hearsight":
                continue
            for alias in node.names:
                inside = f"{origin}.{alias.name}"
                yield inside if inside in modules else origin
        elif isinstance(node, ast.Call) and (
            ast.unparse(node.func) in importers or "import_module" in ast.unparse(node.func)
        ):
            yield from (
                one.value
                for one in [*node.args, *(keyword.value for keyword in node.keywords)]
                if isinstance(one, ast.Constant) and one.value in modules
            )


def module_name(file: Path) -> str:
    return ".".join(["hearsight", *file.relative_to(SOURCE).with_suffix("").parts])


def names_of(file: Path) -> set[str]:
    """How a module may be imported: a package by its own name."""
    return {module_name(file), module_name(file).removesuffix(".__init__")}


FILES = {module_name(file): file.read_text() for file in sorted(SOURCE.rglob("*.py"))}
MODULES = {name for file in SOURCE.rglob("*.py") for name in names_of(file)}


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def faults(files: dict[str, str]) -> list[str]:
    """Imports of a later room, and circles of modules inside one."""
    found = []
    inside: dict[str, set[str]] = {}
    for module, text in files.items():
        room = room_of(module)
        if room not in ROOMS:
            found.append(f"{module} is in no room")
            continue
        for used in imported(text, module):
            if ROOMS.index(room_of(used)) > ROOMS.index(room):
                found.append(f"{module} imports {used}, of a later room")
            elif room_of(used) == room:
                inside.setdefault(module.removesuffix(".__init__"), set()).add(used)
    try:
        TopologicalSorter(inside).prepare()
    except CycleError as error:
        found.append(f"a circle: {' imports '.join(error.args[1])}")
    return found


def test_rooms_import_only_rooms_before_them() -> None:
    assert faults(FILES) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import hearsight.commands.cli",
        "import hearsight.commands.cli as program",
        "from hearsight import commands",
        "from hearsight.commands import cli",
        "from hearsight.commands.cli import main",
        "from ..commands import cli",
        "from ..commands.cli import main",
        "from hearsight import train",
        "def late():\n    import hearsight.commands.cli",
        "def late():\n    from hearsight.commands.cli import main",
        "import typing\nif typing.TYPE_CHECKING:\n    from hearsight.commands import cli",
        "import importlib\nimportlib.import_module('hearsight.commands.cli')",
        "import importlib as il\nil.import_module('hearsight.commands.cli')",
        "import importlib.util\nimportlib.import_module('hearsight.commands.cli')",
        "from importlib import import_module\nimport_module(name='hearsight.commands.cli')",
        "from importlib import import_module as im\nim('hearsight.commands.cli')",
        "__import__('hearsight.commands.cli')",
    ],
)
def test_upward_import_of_every_form_is_seen(planted: str) -> None:
    module = "hearsight.media.read"
    assert faults({**FILES, module: f"{FILES[module]}\n{planted}\n"}) != []


@pytest.mark.parametrize(
    "planted",
    [
        "from hearsight.scenes.scenes import Scenes",
        "def late():\n    from hearsight.scenes import scenes",
        "from . import scenes",
    ],
)
def test_circle_inside_a_room_is_seen(planted: str) -> None:
    module = "hearsight.scenes.pack"
    found = faults({**FILES, module: f"{FILES[module]}\n{planted}\n"})
    assert any("circle" in fault for fault in found)


def test_circle_through_the_init_of_a_room_is_seen() -> None:
    planted = {
        "hearsight.media.__init__": "from hearsight.media.read import probe",
        "hearsight.media.samples": "from hearsight.media import probe",
        "hearsight.media.read": "from hearsight.media.samples import RATE",
    }
    found = faults({**FILES, **planted})
    assert any("circle" in fault and "hearsight.media " in f"{fault} " for fault in found)
