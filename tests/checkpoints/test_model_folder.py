"""Model folders: written as hubs want them, read strictly, found here and in a hub's cache."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
import yaml  # type: ignore[import-untyped]
from made_clips import store
from made_commands import Hearsight, refused
from made_hub import COMMIT, made_hub
from made_library import make_clip, tiny_model
from made_models import make_pairs
from safetensors.torch import load_file, save_file
from torch import Tensor

import hearsight as package
from hearsight.checkpoints import hub
from hearsight.checkpoints.card import card_of, write_card
from hearsight.checkpoints.checkpoint import find_model, load_checkpoint, save_checkpoint
from hearsight.checkpoints.export_model import export_model, readme_text
from hearsight.checkpoints.frame_network import load_trunk
from hearsight.checkpoints.model_folder import CONFIG, WEIGHTS
from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoders

NOTICE = "# Whose works\n\nSPDX-License-Identifier: CC-BY-4.0 AND CC0-1.0\n\n[card](tiny.md)\n"
SOURCE = str(Path(package.__file__).parents[1])
FACTS = {
    "threshold": 0.25,
    "position": {"epoch": 2, "batch": 0, "step": 8, "best": 0.5, "judge": "adaptive:abc"},
    "scores": {"New objects": {"success_rate": 0.375}, "none": "told"},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with facts, card and notice."""
    path = tiny_model(tmp_path_factory.mktemp("models") / "tiny.safetensors")
    loaded = package.load_model(path)
    save_checkpoint(path, loaded.encoders, loaded.recipe, facts=FACTS)
    write_card(path, short="it can find circles.", text="[n](tiny.notice.md), [far](../a/b.md)")
    path.with_suffix(".notice.md").write_text(NOTICE)
    return path


@pytest.fixture
def folder(model: Path, tmp_path: Path) -> Path:
    """The model folder of it."""
    export_model(model, tmp_path / "made")
    return tmp_path / "made"


def test_a_model_comes_back_as_it_was(model: Path, folder: Path) -> None:
    before, after = load_checkpoint(model), load_checkpoint(folder)
    assert (after.recipe, after.facts, after.state) == (before.recipe, before.facts, None)
    assert after.recipe.betas == before.recipe.betas  # tuples stay tuples
    assert isinstance(after.recipe.betas, tuple)
    assert after.weights.keys() == before.weights.keys()
    assert all(torch.equal(value, before.weights[name]) for name, value in after.weights.items())
    assert not package.load_model(folder).encoders.training
    files = [str(file.relative_to(folder)) for file in sorted(folder.rglob("*.*"))]
    texts = ["LICENSES/CC-BY-4.0.txt", "LICENSES/CC0-1.0.txt"]
    assert files == ["LICENSE.md", *texts, "README.md", CONFIG, WEIGHTS]
    assert not list(folder.parent.glob(".*"))


def test_half_precision_halves_the_file_and_is_computed_in_single(
    model: Path, folder: Path, tmp_path: Path
) -> None:
    export_model(model, tmp_path / "half", half=True)
    whole, half = (load_file(each / WEIGHTS) for each in (folder, tmp_path / "half"))
    assert {value.dtype for value in half.values()} == {torch.float16}
    loaded = load_checkpoint(tmp_path / "half").weights
    assert {value.dtype for value in loaded.values()} == {torch.float32}
    assert all(torch.equal(loaded[name], value.half().float()) for name, value in whole.items())


def test_the_head_of_the_card_is_what_hubs_read(folder: Path) -> None:
    text = (folder / "README.md").read_text()
    head = yaml.safe_load(text.split("---\n")[1])
    assert (head["license"], head["license_name"]) == ("other", "cc-by-4.0-and-cc0-1.0")
    assert (head["library_name"], head["license_link"]) == ("hearsight", "LICENSE.md")
    assert "visual-sound-localization" in head["tags"]
    card = huggingface_hub.ModelCard.load(folder / "README.md")
    scores = {
        (one.dataset_name, one.metric_type): one.metric_value for one in card.data.eval_results
    }
    chosen = "validation clips that chose the epoch, digest abc"
    assert scores == {(chosen, "adaptive"): 0.5, ("New objects", "success_rate"): 0.375}
    assert card.data.pipeline_tag == "object-detection"
    assert "[n](LICENSE.md), far" in text
    assert "[card](README.md)" in (folder / "LICENSE.md").read_text()
    told = card_of(folder)
    assert told is not None
    assert (told.name, told.short) == ("tiny", "it can find circles.")


def test_a_folder_is_exported_again_as_it_is(folder: Path, tmp_path: Path) -> None:
    export_model(folder, tmp_path / "again")
    for file in folder.rglob("*.*"):
        assert (tmp_path / "again" / file.relative_to(folder)).read_bytes() == file.read_bytes()


@pytest.mark.parametrize("name", ["", "a: b", '\x07"#\u2028\U0001f600', "- x", "yes"])
def test_whatever_the_recipe_is_called_the_head_is_yaml(name: str, folder: Path) -> None:
    loaded = package.load_model(folder)
    loaded.recipe.name = name
    text = readme_text(loaded, "", None, noticed=False, use="")
    head = yaml.safe_load(text.split("---\n")[1])
    assert "license" not in head
    assert name.isprintable() is (head["model-index"][0]["name"] == (name or "model"))


def changed(key: str, value: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / CONFIG).read_text())
        config[key] = value
        (folder / CONFIG).write_text(json.dumps(config))

    return change


def without(key: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        config = json.loads((folder / CONFIG).read_text())
        del config[key]
        (folder / CONFIG).write_text(json.dumps(config))

    return change


def weights(change: Callable[[dict[str, Tensor]], None]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS)

    return write


def cut(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])

    return change


STEM = "frames.stem.weight"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / CONFIG).unlink(), "lacks config.json"),
        (lambda folder: (folder / WEIGHTS).unlink(), "lacks model.safetensors"),
        (cut(CONFIG), "no JSON, or is cut short"),
        (cut(WEIGHTS), "cut short"),
        (lambda folder: (folder / CONFIG).write_bytes(b"\xff\xfe{"), "no JSON"),
        (lambda folder: (folder / CONFIG).write_text("[" * 100_000), "nested too deeply"),
        (lambda folder: (folder / CONFIG).write_text('{"model_type": "bert"}'), "no hearsight"),
        (changed("format", 2), "format 2"),
        (changed("format", True), "format true"),
        (without("facts"), "lacks facts"),
        (changed("fact", {}), "unknown fact. Did you mean 'facts'?"),
        (changed("facts", {"threshold": "low"}), "'threshold'"),
        (changed("recipe", {"kind": "Recipe", "epoch": 3}), "no field 'epoch'"),
        (weights(lambda t: t.pop(STEM)), f"lacks {STEM}"),
        (weights(lambda t: t.update(more=torch.zeros(1))), "holds more"),
        (weights(lambda t: t.update({STEM: t[STEM][:1]})), f"{STEM} in"),
        (weights(lambda t: t.update({STEM: t[STEM].double()})), "of float64"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused_in_one_sentence(
    damage: Callable[[Path], None], said: str, folder: Path
) -> None:
    damage(folder)
    with pytest.raises(HearsightError) as refusal:
        package.load_model(folder)
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.fixture
def cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of huggingface_hub that holds the folder as nobody/tiny, `main` and `v1`."""
    cache = folder.parent / "cache"
    place = cache / "models--nobody--tiny"
    shutil.copytree(folder, place / "snapshots" / COMMIT)
    (place / "refs").mkdir()
    for revision in ("main", "v1"):
        (place / "refs" / revision).write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    return place / "snapshots" / COMMIT


@pytest.mark.parametrize("revision", ["", "@main", "@v1", f"@{COMMIT}"])
def test_offline_the_cache_of_a_hub_is_used(revision: str, cache: Path) -> None:
    name = f"nobody/tiny{revision}"
    assert find_model(name) == cache
    assert package.load_model(name).facts == FACTS
    card = card_of(name)
    assert card is not None
    assert card.path == cache / "README.md"


@pytest.mark.parametrize("name", ["nobody/other", "nobody/tiny@v2", "nobody/ti--ny"])
def test_offline_what_the_cache_lacks_is_one_sentence(name: str, cache: Path) -> None:
    with pytest.raises(HearsightError, match=f"no file or folder '{name}' here, and"):
        package.load_model(name)
    assert card_of(name) is None


def test_a_model_is_downloaded_once_and_then_found_offline(folder: Path, tmp_path: Path) -> None:
    (folder / "other.bin").write_bytes(b"of no use")

    def ask(name: str, address: str, **variables: str) -> tuple[str, str]:
        """What a program of its own, which reads these variables, finds or is told."""
        code = f"from hearsight.checkpoints.hub import download; print(download({name!r}))"
        settings = {"HF_ENDPOINT": address, "HF_HUB_CACHE": str(tmp_path / "cache")}
        environment = {**os.environ, "PYTHONPATH": SOURCE, "HF_HUB_OFFLINE": "0", **settings}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip(), done.stderr.strip()

    with made_hub(folder) as (address, asked):
        found, said = ask("nobody/tiny@v1", address)
        assert said == ""
        assert {file.name for file in Path(found).iterdir()} == {
            *("LICENSE.md", "LICENSES", "README.md", CONFIG, WEIGHTS)
        }
        assert package.load_model(found).facts == FACTS
        asked.clear()
        assert ask("nobody/tiny@v1", address, HF_HUB_OFFLINE="1") == (found, "")
        assert not asked
        assert "'nobody/tiny' has no revision 'v2'" in ask("nobody/tiny@v2", address)[1]
        assert "shows no such model to you" in ask("nobody/other", address)[1]
    assert ask("nobody/tiny@v1", address) == (found, "")  # the hub is gone


def test_what_fails_on_the_way_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cut(Exception):
        """As of a transport, of no class that is known."""

    def stub(*_: Any, **__: Any) -> str:
        raise Cut("peer closed connection")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", stub)
    with pytest.raises(HearsightError, match="could not be downloaded: peer closed connection"):
        package.load_model("nobody/tiny")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("nobody/tiny", True),
        ("nobody/tiny@refs/pr/3", True),
        ("runs/mispelt", False),  # where there is a folder `runs`
        ("runs/first/best", False),
        ("ssl_tie:small", False),
        ("../tiny", False),
        ("/nobody/tiny", False),
        ("nobody/", False),
    ],
)
def test_what_may_be_a_name_on_a_hub(
    name: str, is_one: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    assert hub.is_hub_name(name) is is_one


def test_without_huggingface_hub_one_sentence_names_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(HearsightError, match=r"huggingface_hub, which is not .*\[hub\]'$"):
        package.load_model("nobody/tiny")


def test_training_begins_from_the_frame_network_of_a_model(model: Path, folder: Path) -> None:
    theirs = load_checkpoint(model)
    for source in (model, folder):
        theirs.recipe.encoder.weights = str(source)
        begun = Encoders(theirs.recipe.encoder)
        load_trunk(begun, theirs.recipe.encoder)
        assert torch.equal(begun.frames.stem.weight, theirs.weights[STEM])
        assert not torch.equal(begun.sounds.stem.weight, theirs.weights["sounds.stem.weight"])
    theirs.recipe.encoder.widths = (8, 8, 8, 16)
    with pytest.raises(HearsightError, match=r"another than the recipe's: it differs in stages.3"):
        load_trunk(Encoders(theirs.recipe.encoder), theirs.recipe.encoder)


def test_every_command_takes_a_folder_or_a_name_on_a_hub(
    hearsight: Hearsight, folder: Path, cache: Path, tmp_path: Path
) -> None:
    make_clip(tmp_path / "film.mp4", 1, 1.0)
    assert hearsight(f"localise film.mp4 --model {folder}")[0] == 0
    assert hearsight("recipes nobody/tiny") == hearsight(f"recipes {folder}")
    assert hearsight("index lib film.mp4 --every 1 --model nobody/tiny")[0] == 0
    assert hearsight("search lib --sound film.mp4")[2].count("find circles") == 1
    store("store", range(2))
    scored = hearsight(f"evaluate nobody/tiny {folder} --data store")
    assert scored[0] == 0
    assert all(f"\n{name} " in scored[1] for name in ("tiny", "made"))


def test_a_folder_is_evaluated_like_the_checkpoint(model: Path, folder: Path) -> None:
    clips = make_pairs(2)
    rows = [package.evaluate(package.load_model(each), clips).rows() for each in (model, folder)]
    assert rows[0] == rows[1]


def test_the_command_writes_and_refuses(hearsight: Hearsight, model: Path, tmp_path: Path) -> None:
    shutil.copy(model, "bare.safetensors")
    code, out, err = hearsight("export-model bare.safetensors out --license Apache-2.0")
    assert (code, json.loads(out)) == (0, {"model": "out"})
    assert "wrote out/model.safetensors" in err
    assert 'license: "apache-2.0"\n' in Path("out/README.md").read_text()
    assert 'load_model("FOLDER")' in Path("out/README.md").read_text()
    refused(hearsight, "export-model bare.safetensors out", "'out' is not empty")
    refused(hearsight, "export-model bare.safetensors no/out", "no folder 'no'")
    refused(hearsight, "export-model bare.safetensors bare.safetensors", "is a file")
    refused(hearsight, "export-model bare.safetensors new --license 'a,b'", "no SPDX expression")
    refused(hearsight, f"export-model {model} new --license MIT", "leave out --license")
    refused(hearsight, "export-model out out --force", "is read for this")
    refused(hearsight, "export-model nowhere new", "neither a checkpoint")
    assert not Path("new").exists()
    Path("out/mine.txt").touch()
    assert hearsight("export-model bare.safetensors out --half --force")[0] == 0
    assert Path("out/mine.txt").exists()
    assert load_file("out/model.safetensors")[STEM].dtype == torch.float16
    assert not list(Path().glob(".*"))
