"""The public face: light to import, complete, and documented as it is."""

import ast
import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import hearsight
from hearsight.media.samples import RATE
from hearsight.media.write import write_video
from hearsight.scenes.composed_videos import compose_video
from hearsight.scenes.toys import make_toys

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
SECTION = re.compile(r"^## `(\w+)`\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
SIGNATURE = re.compile(r"^```\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(r"^```python\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
SECTIONS = dict(SECTION.findall(PAGE.read_text(encoding="utf-8")))


def run(code: str) -> str:
    """What a program prints that runs in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_import_is_light() -> None:
    code = (
        "import sys, time\nbegin = time.process_time()\nimport hearsight\n"
        "heavy = {'torch', 'numpy', 'av', 'PIL', 'rich'} & {*sys.modules}\n"
        "print(time.process_time() - begin, *heavy)"
    )
    seconds, *heavy = min((run(code).split() for _ in range(3)), key=lambda words: float(words[0]))
    assert heavy == []
    assert float(seconds) < 0.1


def test_every_name_is_found_completed_and_known_to_type_checkers() -> None:
    assert dir(hearsight) == sorted(hearsight.__all__)
    for name in hearsight.__all__:
        assert getattr(hearsight, name) is not None
    known: dict[str, Any] = {}
    for name in hearsight._HOMES:  # as if it had not been asked for yet
        vars(hearsight).pop(name, None)
    exec("from hearsight import *", known)
    assert {name: known[name] for name in hearsight.__all__} == {
        name: getattr(hearsight, name) for name in hearsight.__all__
    }
    tree = ast.parse(Path(hearsight.__file__).read_text(encoding="utf-8"))
    typed = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == hearsight._HOMES
    for name, module in typed.items():
        assert getattr(hearsight, name).__module__ == module


def test_a_name_that_is_not_there_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match="'localize_video'"):
        _ = hearsight.localize_video


def signature(called: Callable[..., Any], name: str) -> str:
    """A call with parameters and defaults, without types and `self`."""
    bare = [
        one.replace(annotation=inspect.Parameter.empty)
        for one in inspect.signature(called).parameters.values()
        if one.name != "self"
    ]
    return re.sub(r"<function (\w+) at 0x\w+>", r"\1", f"{name}{inspect.Signature(bare)}")


def documented(name: str) -> list[str]:
    """The calls in the first code of a section, each on one line."""
    lines = re.split(r"\n(?=\w)", SIGNATURE.findall(SECTIONS[name])[0])
    return [re.sub(r",? ?\)$", ")", re.sub(r"\( ", "(", " ".join(line.split()))) for line in lines]


def test_the_page_lists_every_name_with_its_signature() -> None:
    assert set(SECTIONS) | {"__version__"} == set(hearsight.__all__)
    for name in SECTIONS:
        value = getattr(hearsight, name)
        if inspect.isfunction(value):
            assert documented(name) == [signature(value, name)]
    methods = {
        hearsight.Library: ("open", "search", "similar", "warm"),
        hearsight.LoadedModel: tuple(
            name for name, value in vars(hearsight.LoadedModel).items() if inspect.isfunction(value)
        )[1:],  # without __repr__
    }
    for kind, names in methods.items():
        assert documented(kind.__name__) == [
            signature(getattr(kind, name), f"{kind.__name__}.{name}") for name in names
        ]
    for kind in (hearsight.Moment, hearsight.Recipe):
        fields = set(inspect.signature(kind).parameters)
        assert fields == set(
            re.findall(r"^(\w+)", SIGNATURE.findall(SECTIONS[kind.__name__])[0], re.M)
        )


def public_calls() -> dict[str, Any]:
    """Every public function, and every public method and property of a public class, by name."""
    found: dict[str, Any] = {}
    for name in hearsight.__all__:
        value = getattr(hearsight, name)
        if inspect.isfunction(value):
            found[name] = value
        elif inspect.isclass(value) and value is not hearsight.HearsightError:
            for inner, member in vars(value).items():
                callable_ = inspect.isroutine(member) or isinstance(member, property)
                if callable_ and not inner.startswith("_"):
                    found[f"{name}.{inner}"] = member
    return found


NEVER_RAISE = {
    "Library.card",
    "LoadedModel.device",
    "Moment.to_dict",
    "Recipe.least_clips",
    "Recipe.needs_boxes",
    "Recipe.needs_labels",
    "Recipe.teaches_frames",
}


def test_every_public_call_says_what_it_raises() -> None:
    calls = public_calls()
    assert calls.keys() >= NEVER_RAISE
    for name, called in calls.items():
        said = inspect.getdoc(called) or ""
        like = re.match(r"As `hearsight\.(\w+)`, errors included\.", said)
        if like:
            assert like[1] == name.partition(".")[2]
            assert like[1] in calls
        else:
            raises = re.search(r"^Raises:\n    HearsightError: \S", said, re.M) is not None
            assert raises == (name not in NEVER_RAISE), name
            if inspect.isfunction(called) and "." not in name:
                assert "`HearsightError`" in SECTIONS[name], f"docs/api.md: {name}"
    for name in ("Library", "LoadedModel"):
        assert "`HearsightError`" in SECTIONS[name]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the examples of the page read."""
    monkeypatch.chdir(tmp_path)
    video = compose_video(make_toys(split="val", classes=2), seconds=4, objects=1, silence=0.0)
    Path("Videos").mkdir()
    for name in ("concert.mp4", "Videos/party.mp4"):
        write_video(name, video.frames(), frame_rate=Fraction(25), sound=video.sound)
    Image.fromarray(next(video.frames())).save("street.jpg")
    import soundfile  # type: ignore[import-untyped]

    soundfile.write("street.wav", np.asarray(video.sound[: 3 * RATE]), RATE)


@pytest.mark.usefixtures("files")
def test_the_examples_of_the_page_run() -> None:
    known: dict[str, Any] = {}
    for text in SECTIONS.values():
        for block in EXAMPLE.findall(SIGNATURE.sub("", text, count=1)):
            exec(compile(block, "api.md", "exec"), known)
    assert Path("painted.mp4").stat().st_size > 1000
    assert Path("runs/first/best.safetensors").exists()


CONFUSED = """
from pathlib import Path

import hearsight
from hearsight.library.indexing import index_videos
from hearsight.training.run_folder import TrainingOptions
from hearsight.training.trackers import check_trackers

clips = hearsight.open_clips("toys", split="val", count=2, size=48)
model, recipe = hearsight.load_model(), hearsight.load_recipe("ssl_tie:small")
for call in (
    lambda: hearsight.evaluate("compose", clips),
    lambda: hearsight.evaluate(model, "toys"),
    lambda: hearsight.evaluate_maps({}, "toys"),
    lambda: hearsight.train("ssl_tie:small", clips, "run"),
    lambda: hearsight.train(recipe, Path("stores/toys"), "run"),
    lambda: hearsight.train(recipe, clips, "run", validation="toys"),
    lambda: hearsight.train(recipe, clips, "run", options=TrainingOptions(start="composed")),
    lambda: check_trackers("wandb"),
    lambda: hearsight.open_clips(Path("nowhere")),
    lambda: hearsight.load_recipe(recipe),
    lambda: index_videos("library", "films"),
    lambda: hearsight.write_export("a.vtt", None, "film.mp4", "film.mp4"),
):
    try:
        call()
    except hearsight.HearsightError as error:
        print(error)
"""


def test_a_name_where_an_object_is_wanted_is_refused_in_a_sentence(tmp_path: Path) -> None:
    # in a process of its own: in this one the types of arguments are checked before
    done = subprocess.run(
        [sys.executable, "-c", CONFUSED],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(hearsight.__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    for sentence, part in zip(
        said,
        (
            "'compose' is neither a checkpoint file nor a model",
            "`clips` is only a name, 'toys': give what open_clips('toys') returns.",
            "`clips` is only a name, 'toys'",
            "`recipe` is only a name, 'ssl_tie:small': give what load_recipe('ssl_tie:small')",
            "`clips` is only a name, 'stores/toys'",
            "`validation` is only a name, 'toys'",
            "`start` is only a name, 'composed': give what load_start('composed') returns.",
            "`trackers` must be several, such as a tuple: 'wandb' is one.",
            "'nowhere' names no clips",
            "A recipe is found by its name, not by Recipe.",
            "`sources` must be several, such as a list: 'films' is one.",
            "`moments` is only a name, 'film.mp4'",
        ),
        strict=True,
    ):
        assert part in sentence
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_scored_by_its_name_as_when_it_is_loaded() -> None:
    clips = hearsight.open_clips("toys", split="val", count=4, size=64)
    found = hearsight.evaluate("composed", clips)
    assert found.rows() == hearsight.evaluate(hearsight.load_model("composed"), clips).rows()
