"""The wheel holds what it must, and set-up asks pip for the torch that the user wants."""

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from hearsight.checkpoints.card import SHIPPED
from hearsight.scenes.menagerie import DEMO_CLASSES
from hearsight.scenes.pack_builder import CatalogueEntry, read_catalogue

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TRAINED_ON = {
    "composed": (("bazaar", "menagerie"), ()),
    "ssl_tie_small": (("menagerie",), DEMO_CLASSES),
}
"""Packs and classes that shipped weights were learned from; no classes stand for all."""
SPDX = {
    "GPL-2+": "GPL-2.0-or-later",
    "GPL-3+": "GPL-3.0-or-later",
    "CC0": "CC0-1.0",
    "CC-BY-3.0": "CC-BY-3.0",
    "CC-BY-4.0": "CC-BY-4.0",
    "CC-BY-SA-3.0": "CC-BY-SA-3.0",
    "CC-BY-SA-4.0": "CC-BY-SA-4.0",
    "BSD-2-clause": "BSD-2-Clause",
    "Free Art": "LAL-1.3",
}
STATIC = ROOT / "src" / "hearsight" / "serving" / "static"
MODELS = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def identifiers(expression: str) -> set[str]:
    """The licences of an SPDX expression."""
    return set(re.split(r" (?:AND|OR) |[()]", expression)) - {""}


def licences_of(model: str) -> set[str]:
    """The licences that the notice of shipped weights names."""
    return licences_in(SHIPPED / f"{model}.notice.md")


def licences_in(notice: Path) -> set[str]:
    """The licences that a notice names."""
    text = notice.read_text(encoding="utf-8")
    stated = re.findall(r"^SPDX-License-Identifier: (.+)$", text, re.MULTILINE)
    assert len(stated) == 1, f"{notice.name} states {len(stated)} expressions"
    return identifiers(stated[0])


def licences_named(words: str) -> set[str]:
    """The licences that a catalogue names, by their SPDX identifiers."""
    return {identifier for word, identifier in SPDX.items() if word in words}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_states_and_holds_the_licence_of_all_that_is_in_it(
    wheel: zipfile.ZipFile,
) -> None:
    names = wheel.namelist()
    about = next(name.partition("/")[0] for name in names if name.endswith("/METADATA"))
    stated = Parser().parsestr(wheel.read(f"{about}/METADATA").decode())
    vendored = licences_in(STATIC / "htmx.notice.md")
    needed = {"MIT"}.union(vendored, *map(licences_of, MODELS))
    assert identifiers(stated["License-Expression"]) == needed
    for licence in needed - {"MIT"}:
        shortest = 600 if licence == "0BSD" else 1000
        assert len(wheel.read(f"{about}/licenses/LICENSES/{licence}.txt")) > shortest
    assert b"Permission is hereby granted" in wheel.read(f"{about}/licenses/LICENSE")
    for model in MODELS:
        for suffix in (".safetensors", ".md", ".notice.md"):
            assert f"hearsight/checkpoints/weights/{model}{suffix}" in names
    for file in ("static/htmx.min.js", "static/htmx.notice.md", "templates/base.html"):
        assert f"hearsight/serving/{file}" in names
    assert not [name for name in names if not name.startswith(("hearsight/", about))]


def learned_from(model: str) -> set[CatalogueEntry]:
    """The works that shipped weights were learned from, each once."""
    packs, classes = TRAINED_ON[model]
    used = {
        (entry.package, entry.kind, entry.path, entry.part): entry
        for pack in packs
        for entry in read_catalogue(pack)
        if entry.split == "train" and (not classes or not entry.label or entry.label in classes)
    }
    return set(used.values())


@pytest.mark.parametrize("model", MODELS)
def test_the_notice_of_shipped_weights_counts_what_the_catalogues_list(model: str) -> None:
    text = (SHIPPED / f"{model}.notice.md").read_text(encoding="utf-8")
    used = learned_from(model)
    assert all(label in text for label in TRAINED_ON[model][1])
    words = {"cut-outs": "cutout", "recordings?": "sound", "backgrounds": "background"}
    for package in {entry.package for entry in used}:
        row = re.search(rf"^\| {package.replace('==', ' ')} .*$", text, re.MULTILINE)
        assert row, f"no row of {package}"
        for word, kind in words.items():
            count = re.search(rf"(\d+) {word}", row[0])
            mine = [one for one in used if (one.package, one.kind) == (package, kind)]
            assert len(mine) == (int(count[1]) if count else 0), f"{kind}s of {package}"


@pytest.mark.parametrize("model", MODELS)
def test_the_notice_of_shipped_weights_names_the_licence_of_every_work(model: str) -> None:
    for licence in {entry.licence for entry in learned_from(model)}:
        assert licences_named(licence) <= licences_of(model), licence


def test_classifiers_name_every_python_from_the_oldest_on() -> None:
    named = re.findall(r"Python :: 3\.(\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    assert PROJECT["requires-python"] == f">=3.{named[0]}"
    assert [int(minor) for minor in named] == [*range(int(named[0]), int(named[-1]) + 1)]
    assert not [one for one in PROJECT["classifiers"] if one.startswith("License")]  # PEP 639


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ("", None),
        ("https://wheels.example/cpu", "--extra-index-url 'https://wheels.example/cpu'"),
        ("FOLDER", "--find-links 'FOLDER'"),
    ],
)
def test_one_variable_says_where_torch_comes_from(
    given: str, asked: str | None, tmp_path: Path
) -> None:
    given = given.replace("FOLDER", str(tmp_path))
    show = ["make", "-n", "setup", f"VENV={tmp_path}/venv", f"TORCH_INDEX={given}"]
    done = subprocess.run(show, cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = [line for line in done.stdout.splitlines() if line.endswith(" torch")]
    assert "--constraint constraints.txt" in line
    if asked:
        assert asked.replace("FOLDER", str(tmp_path)) in line
    else:
        assert "index" not in line
        assert "CPU build" in done.stdout


@pytest.mark.parametrize("given", ["gone/wheels", "/no/such/folder"])
def test_a_mistyped_folder_of_wheels_is_refused(given: str) -> None:
    show = ["make", "-n", "setup", f"TORCH_INDEX={given}"]
    done = subprocess.run(show, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"TORCH_INDEX is '{given}', which is neither a folder that exists" in done.stderr


def test_extras_are_installed_by_a_command_that_works() -> None:
    """No page tells to install by name what no index has: only `install_command` knows how."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.py")]
    for page in pages:
        if page.name == "errors.py":
            continue
        for extras in re.findall(r"(\S*)hearsight\[[a-z,]+\]", page.read_text(encoding="utf-8")):
            pytest.fail(f"{page.name} installs {extras or 'hearsight'} by name")
