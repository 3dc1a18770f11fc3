"""Recipes are complete, typed, and every field of one does something."""

import ast
import inspect
import json
import math
import pkgutil
import re
from dataclasses import fields, is_dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

import hearsight
from hearsight.checkpoints.checkpoint import load_model, save_checkpoint
from hearsight.errors import HearsightError
from hearsight.model.augmentation import Warp
from hearsight.model.encoders import Encoders
from hearsight.objectives.classification import SoundClassification
from hearsight.objectives.trimap_contrast import PaperContrast
from hearsight.recipes import papers
from hearsight.recipes.catalogue import describe_recipes, load_recipe, recipe_names
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import assign, field_paths, from_json, to_json

RUNGS = "abcdef"


def differences(old: Recipe, new: Recipe) -> list[str]:
    return [
        entry.name
        for entry in fields(Recipe)
        if entry.name != "name" and getattr(old, entry.name) != getattr(new, entry.name)
    ]


def test_the_recipes_of_the_paper_are_there() -> None:
    wanted = {"ssl_tie", "ssl_tie:small", "ssl_tie:paper", *(f"ssl_tie:{rung}" for rung in RUNGS)}
    assert wanted <= set(recipe_names())


def test_the_catalogue_that_is_read_is_the_one_that_runs() -> None:
    found = {}
    for module in pkgutil.iter_modules(papers.__path__):
        for name, made in vars(import_module(f"{papers.__name__}.{module.name}")).items():
            if inspect.isfunction(made) and name[0] != "_":
                signature = inspect.signature(made)
                if signature.return_annotation is Recipe and not signature.parameters:
                    path = module.name if name == module.name else f"{module.name}:{name}"
                    found[path] = (inspect.getdoc(made) or "").split("\n")[0]
    assert describe_recipes() == found
    assert list(describe_recipes()) == sorted(found)


def test_every_description_begins_with_the_method_and_no_two_are_alike() -> None:
    described = describe_recipes()
    assert len(set(described.values())) == len(described)
    for name, description in described.items():
        method = name.partition(":")[0].replace("_", "")
        assert re.sub(r"\W", "", description.lower()).startswith(method)


@pytest.mark.parametrize("prefix", ["ssl_tie:", "ssl_tie:small_"])
def test_each_rung_changes_one_thing(prefix: str) -> None:
    for before, after in pairwise(RUNGS):
        changed = differences(load_recipe(prefix + before), load_recipe(prefix + after))
        assert len(changed) == 1, f"{before} -> {after} changes {changed}"


def test_the_last_rung_is_the_method() -> None:
    assert differences(load_recipe("ssl_tie:f"), load_recipe("ssl_tie")) == []
    assert differences(load_recipe("ssl_tie:small_f"), load_recipe("ssl_tie:small")) == []
    assert differences(load_recipe("ssl_tie:paper"), load_recipe("ssl_tie")) == ["contrast"]


def test_the_released_settings() -> None:
    recipe = load_recipe("ssl_tie")
    assert (recipe.frame_size, recipe.spectrogram.shape) == (224, (257, 670))
    assert (recipe.learning_rate, recipe.weight_decay, recipe.betas) == (1e-4, 1e-4, (0.9, 0.999))
    assert (recipe.batch_size, recipe.epochs, recipe.seed) == (32, 80, 4)
    assert recipe.equivariance == 1.0


def test_small_is_small(tmp_path: Path) -> None:
    recipe = load_recipe("ssl_tie:small")
    encoders = Encoders(recipe.encoder)
    assert encoders.embed_frames(torch.zeros(1, 3, 96, 96)).shape[2:] == (6, 6)
    assert recipe.spectrogram.seconds == 3.0
    save_checkpoint(tmp_path / "small.safetensors", encoders, recipe)
    assert (tmp_path / "small.safetensors").stat().st_size < 6e6
    assert load_model(tmp_path / "small.safetensors")[1] == recipe


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_survives_json(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert from_json(json.loads(json.dumps(to_json(recipe)))) == recipe


def test_an_unknown_recipe_is_refused_with_the_nearest() -> None:
    with pytest.raises(HearsightError, match=r"no recipe 'ssl_tye'.*'ssl_tie'"):
        load_recipe("ssl_tye")


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("batch_size=8", "batch_size", 8),
        ("learning_rate=1e-3", "learning_rate", 1e-3),
        ("learning_rate=1", "learning_rate", 1.0),
        ("compile=true", "compile", True),
        ("precision=bf16", "precision", "bf16"),
        ("activation_checkpointing=true", "activation_checkpointing", True),
        ("betas=0.9,0.99", "betas", (0.9, 0.99)),
        ("betas=(0.9, 0.99)", "betas", (0.9, 0.99)),
        ("encoder.widths=[8, 8, 8, 16]", "encoder.widths", (8, 8, 8, 16)),
        ("contrast.margin=-0.2", "contrast.margin", -0.2),
        ("warp.degrees=45", "warp.degrees", 45.0),
        ("mixing=null", "mixing", None),
        ("contrast=PaperContrast", "contrast", PaperContrast()),
        ("name=mine", "name", "mine"),
        ('labels=["bell","dog, barking"]', "labels", ("bell", "dog, barking")),
        ("encoder.weights=resnet18.pth", "encoder.weights", "resnet18.pth"),
    ],
)
def test_an_assignment_changes_one_field(assignment: str, path: str, value: Any) -> None:
    recipe = load_recipe("ssl_tie")
    before = to_json(recipe)
    assert assign(recipe, assignment) is recipe
    found: Any = recipe
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value)
    changed = [key for key, was in to_json(recipe).items() if before[key] != was]
    assert changed == [path.split(".")[0]]


def test_a_part_that_is_off_is_switched_on_by_its_name() -> None:
    assert assign(load_recipe("ssl_tie:a"), "warp=Warp").warp == Warp()


@pytest.mark.parametrize("name", recipe_names())
def test_one_clip_alone_is_a_batch_only_where_clips_are_not_compared(name: str) -> None:
    recipe = load_recipe(name)
    assert assign(recipe, "batch_size=2").batch_size == 2
    if isinstance(recipe.contrast, SoundClassification):
        assert assign(recipe, "batch_size=1").batch_size == 1
        return
    kind = type(recipe.contrast).__name__
    with pytest.raises(HearsightError, match=f"batch_size must be at least 2 for {kind}, not 1"):
        assign(recipe, "batch_size=1")


@pytest.mark.parametrize(
    ("assignment", "says"),
    [
        ("contrast.margn=-0.2", r"no field 'margn'.*'contrast\.margin'"),
        ("batchsize=8", r"no field 'batchsize'.*'batch_size'"),
        ("batch_size=0", "batch_size must be at least 2 for TrimapContrast, not 0"),
        ("batch_size=1", "batch_size must be at least 2 for TrimapContrast, not 1"),
        ("validate_every=0", "validate_every must be at least 1, not 0"),
        ("batch_size=many", 'batch_size must be a whole number, not "many"'),
        ("batch_size=2.5", "batch_size must be a whole number, not 2.5"),
        ("batch_size=true", "batch_size must be a whole number, not true"),
        ("learning_rate=-1", "learning_rate must be positive"),
        ("learning_rate=1e38", "learning_rate must be positive, to 1e30, not 1e[+]38"),
        ("learning_rate=NaN", "learning_rate must be a number"),
        ("compile=maybe", "compile must be true or false"),
        ("precision=fp8", "precision must be 'fp32' or 'bf16'"),
        ("betas=0.9", "betas must be a list of 2 numbers"),
        ("betas=0.9,1.5", r"betas must lie in \[0, 1\)"),
        ("encoder=null", "encoder must be Encoder"),
        ("encoder.widths=8", r"encoder\.widths, blocks"),
        ('contrast={"margin":1}', "kind of contrast must be"),
        ("contrast=Contrast", "contrast must be TrimapContrast or PaperContrast"),
        ("spectrogram.hop=0", r"spectrogram\.hop"),
        ("spectrogram.seconds=1e305", "seconds must be above 0 and at most 3,600, not 1e"),
        ("mask.times=99999999999999999999", "mask.times must lie between 0 and 1000000, not 9"),
        ("spectrogram.bins=1000000000", "spectrogram.bins must be 1 to 2,048, not 1000000000"),
        ("spectrogram.fft=100000", "spectrogram.fft must be 2 to 16,384, not 100000"),
        ("encoder.projection=1000000000", "encoder.projection must be at most 65,536, not 1,0"),
        ("encoder.widths=8,8,8,100000000000000000000", "encoder.widths must be at most 65,536"),
        ("encoder.blocks=2,2,2,1000000000", "encoder.blocks must be at most 1,000 together,"),
        ("encoder.stem_kernel=999999999", "encoder.stem_kernel must be at most 255, not 999,9"),
        ("epochs=1000000000000", "epochs must be at most 1,000,000, not 1000000000000"),
        ("seed.low=1", "seed is 4, so there is no seed.low"),
        ("warp=null", "it needs `warp`"),
        ("batch_size", "not of the form path=value"),
        ("frame_size=1", "frame_size must be 32 to 4096 pixels, not 1"),
        ("frame_size=100000", "frame_size must be 32 to 4096 pixels"),
        ("labels=bell,dog", r'labels must be a list of texts in quotes, such as \["bell", "dog'),
        ("encoder.weights=", "'encoder.weights=' gives no value: .* must be text or null"),
        ("epochs= ", "epochs must be a whole number"),
        ("mixing=", "mixing must be Mixing or null"),
    ],
)
def test_a_wrong_assignment_is_refused_and_changes_nothing(assignment: str, says: str) -> None:
    recipe = load_recipe("ssl_tie")
    with pytest.raises(HearsightError, match=says):
        assign(recipe, assignment)
    assert recipe == load_recipe("ssl_tie")


def test_fields_that_belong_together_are_changed_together() -> None:
    widths = ("encoder.widths=8,16", "encoder.blocks=1,1")
    strides = ("encoder.strides=1,2", "encoder.sound_strides=1,2")
    recipe = assign(load_recipe("ssl_tie:a"), "equivariance=2", *widths, "warp=Warp", *strides)
    assert recipe.encoder.widths == (8, 16)
    assert recipe.warp == Warp()
    assign(recipe, "contrast=PaperContrast", "contrast.margin=-0.2", "warp.form=per_image")
    assert recipe.contrast == PaperContrast(margin=-0.2)
    with pytest.raises(HearsightError, match="need one number per stage"):
        assign(recipe, "batch_size=8", "encoder.widths=8")
    assert recipe.batch_size == 32


def test_a_part_that_is_off_has_no_fields() -> None:
    with pytest.raises(HearsightError, match=r"warp is null, so there is no warp\.degrees"):
        assign(load_recipe("ssl_tie:a"), "warp.degrees=10")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"speed": 1}, "no field 'speed'"),
        ({"epochs": "80"}, "epochs must be a whole number"),
        ({"epochs": True}, "epochs must be a whole number"),
        ({"learning_rate": math.nan}, "learning_rate must be a number"),
        ({"learning_rate": 10**400}, "learning_rate must be a number"),
        ({"contrast": {"kind": "Contrst"}}, "kind of contrast must be TrimapContrast or"),
        ({"contrast": {"softness": 0.1}}, "kind of contrast must be"),
        ({"contrast": {"kind": []}}, r"kind of contrast must be .*, not '\[\]'"),
        ({"contrast": {"kind": "SoundClassification", "no_margin": ""}}, "no field 'no_margin'"),
        ({"warp": 3}, "warp must be Warp or null"),
        ({"encoder": {"kind": "Encoder", "widths": [1, "2", 3, 4]}}, r"encoder\.widths\[1\]"),
        ({"spectrogram": None}, "spectrogram must be MelSpectrogram or LogSpectrogram"),
    ],
)
def test_json_of_another_recipe_is_refused(change: dict[str, Any], says: str) -> None:
    plain = to_json(load_recipe("ssl_tie")) | change
    with pytest.raises(HearsightError, match=says):
        from_json(plain)


def test_a_misspelt_field_is_an_error_in_python_too() -> None:
    with pytest.raises(AttributeError):
        load_recipe("ssl_tie").contrast.margn = -0.2  # type: ignore[union-attr]


def test_every_path_can_be_assigned_what_it_already_is() -> None:
    recipe = load_recipe("ssl_tie")
    for path in field_paths(recipe):
        value: Any = recipe
        for name in path.split("."):
            value = getattr(value, name)
        if not is_dataclass(value):
            text = value if isinstance(value, str) else json.dumps(value)
            assign(recipe, f"{path}={text}")
    assert recipe == load_recipe("ssl_tie")


def test_every_field_of_a_recipe_is_read_by_some_line() -> None:
    read: set[str] = set()
    for file in Path(hearsight.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                read.add(node.attr)
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr":
                read.update(a.value for a in node.args if isinstance(a, ast.Constant))
    unread = {
        path
        for name in recipe_names()
        for path in field_paths(load_recipe(name))
        if path.split(".")[-1] not in read
    }
    assert not unread
