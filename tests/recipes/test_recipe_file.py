"""Recipes in files: what is written is read back, what is misspelt or left out is named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hearsight.errors import HearsightError
from hearsight.model.augmentation import Warp
from hearsight.recipes.catalogue import load_recipe, recipe_names
from hearsight.recipes.peer_names import PEER_NAMES, nearest_field
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.recipe_file import read_recipe, recipe_text, write_recipe
from hearsight.recipes.serialisation import assign, field_paths, to_json


@pytest.mark.parametrize("name", recipe_names())
def test_what_is_written_is_read_back(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    write_recipe(tmp_path / "recipe.json", recipe)
    assert read_recipe(tmp_path / "recipe.json") == recipe


def test_the_text_is_the_recipes_json_with_a_list_in_a_line() -> None:
    recipe = replace(load_recipe("ssl_tie"), labels=("a [\n1,\n2\n]", "b"))
    text = recipe_text(recipe)
    assert json.loads(text) == json.loads(json.dumps(to_json(recipe)))
    assert '    "widths": [64, 128, 256, 512],\n' in text
    assert '  "betas": [0.9, 0.999],\n' in text


def refused(path: Path, *words: str, base: Recipe | None = None) -> None:
    with pytest.raises(HearsightError) as error:
        read_recipe(path, base)
    assert str(path) in str(error.value)
    for word in words:
        assert word in str(error.value)


def changed(path: tuple[str, ...], value: Any, *, name: str | None = None) -> dict[str, Any]:
    """The JSON of a recipe with one field changed, or called `name` instead."""
    plain = json.loads(recipe_text(load_recipe("ssl_tie")))
    owner = plain
    for part in path[:-1]:
        owner = owner[part]
    del owner[path[-1]]
    owner[name or path[-1]] = value
    return plain


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        (changed(("learning_rate",), 0.1, name="learning_rat"), ("'learning_rat'", "ing_rate'?")),
        (changed(("learning_rate",), 0.1, name="lr"), ("no field 'lr'", "'learning_rate'?")),
        (changed(("contrast", "softness"), 1.0, name="tau"), ("'tau' (in contrast)", "'softness'")),
        (changed(("epochs",), "3"), ("epochs must be a whole number",)),
        (changed(("batch_size",), 1), ("batch_size must be at least 2",)),
        ([1], ("no JSON object",)),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, plain: Any, words: tuple[str, ...]) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(plain))
    refused(path, *words)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    refused(path, "is not JSON")


def test_no_file_is_refused(tmp_path: Path) -> None:
    refused(tmp_path / "none.json", "cannot be read: No such file")
    refused(tmp_path, "cannot be read")


def test_a_file_that_leaves_out_fields_needs_the_recipe_that_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"epochs": 3, "contrast": {"softness": 0.2}, "warp": {"kind": "Warp"}}')
    refused(path, "leaves out name, frame_size, spectrogram, appearance and")
    base = load_recipe("ssl_tie:small")
    expected = assign(load_recipe("ssl_tie:small"), "epochs=3", "contrast.softness=0.2")
    assert read_recipe(path, base) == expected
    assert base == load_recipe("ssl_tie:small")
    path.write_text('{"mixing": null, "contrast": {"kind": "PaperContrast"}}')
    expected = assign(load_recipe("ssl_tie:small"), "mixing=null", "contrast=PaperContrast")
    assert read_recipe(path, base) == expected
    path.write_text('{"warp": {"degrees": 1.0}}')
    assert read_recipe(path, replace(base, warp=Warp(degrees=9.0))).warp == Warp(degrees=1.0)


def test_one_field_of_a_part_left_out_is_named(tmp_path: Path) -> None:
    plain = changed(("encoder", "widths"), None, name="widths")
    del plain["encoder"]["widths"]
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(plain))
    refused(path, "leaves out encoder.widths:")


def test_what_peers_write_leads_to_fields_that_exist() -> None:
    every = {path for name in recipe_names() for path in field_paths(load_recipe(name))}
    assert {path for meant in PEER_NAMES.values() for path in meant} <= every
    assert not {name for name in PEER_NAMES if name in every}
    known = field_paths(load_recipe("ez_vsl"))
    assert nearest_field("lr", known) == " Did you mean 'learning_rate'?"
    assert nearest_field("optim.init-lr", known) == " Did you mean 'learning_rate'?"
    assert nearest_field("epsilon", known) == ""  # EZ-VSL has no trimap
    assert nearest_field("epoch", known) == " Did you mean 'epochs'?"
    tau = " Did you mean 'contrast.temperature' or 'contrast.softness'?"
    assert nearest_field("tau", field_paths(load_recipe("ssl_tie"))) == tau
    assert nearest_field("TAU", ["temperature", "others"]) == " Did you mean 'temperature'?"
