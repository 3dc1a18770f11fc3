"""`hearsight train` on one's own videos: from a model, with a guard, a card and a page."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_clips import picture, tone
from made_commands import Hearsight, refused
from made_runs import QUIET, same, tiny_recipe, weights_of
from made_videos import make_videos

from hearsight.checkpoints import checkpoint
from hearsight.checkpoints.card import card_of, write_card
from hearsight.checkpoints.checkpoint import (
    BEST,
    LAST,
    load_checkpoint,
    load_model,
    save_checkpoint,
)
from hearsight.checkpoints.start import load_start
from hearsight.clips.clip import Clips, encode_clip
from hearsight.clips.shard_writer import StoreWriter
from hearsight.commands.start import choose_start
from hearsight.datasets.held_out_videos import open_videos
from hearsight.datasets.videos import video_of
from hearsight.localising import localise
from hearsight.localising.own_sound import Comparison, OwnSoundScore
from hearsight.model.encoders import Encoders
from hearsight.recipes.recipe_file import write_recipe
from hearsight.recipes.serialisation import assign
from hearsight.studies import own_videos
from hearsight.studies.own_videos import MOMENTS, REPORT, candidate, tell_kept, train_on_videos
from hearsight.training.trainer import train

VIDEOS = 8
MACHINE = "--workers 0 --threads 1 --device cpu"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_videos(tmp_path_factory.mktemp("own") / "films", VIDEOS)


@pytest.fixture(scope="module")
def clips(films: Path) -> Clips:
    return open_videos([str(films)], every=1.5)


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, with a card and a notice, and beside it its recipe for two epochs."""
    folder = tmp_path_factory.mktemp("mine")
    recipe = replace(tiny_recipe(), epochs=2)
    encoders = Encoders(recipe.encoder, generator=torch.Generator().manual_seed(8))
    save_checkpoint(folder / "mine.safetensors", encoders, recipe, facts={"threshold": 0.25})
    write_card(
        folder / "mine.safetensors", short="it knows nothing.", text="**Licence:** [CC0](x.md)."
    )
    write_recipe(folder / "recipe.json", recipe)
    return folder / "mine.safetensors"


@pytest.fixture
def line(films: Path, mine: Path) -> str:
    config = mine.with_name("recipe.json")
    return f"train --config {config} --data {films} --every 1.5 --out run {MACHINE}"


def decide(monkeypatch: pytest.MonkeyPatch, after: float) -> None:
    """Let the trained model tell so much apart, the one at the start 80 %."""

    def compare(*models: object, **options: object) -> Comparison:
        before = OwnSoundScore(told=0.8, interval=(0.7, 0.9), found=0.9, dark=0.6, threshold=0.25)
        return Comparison(
            before=before,
            after=replace(before, told=after),
            difference=(after - 0.9, after - 0.7),
            moments=6,
            videos=3,
        )

    monkeypatch.setattr(own_videos, "compare_on", compare)


def facts(name: str) -> dict[str, Any]:
    return load_checkpoint(Path("run") / name, with_state=False).facts


def test_a_run_ends_with_the_better_model_its_card_and_a_page(
    hearsight: Hearsight, line: str, clips: Clips, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned: list[str] = []

    def watch(recipe: Any, training: Clips, *rest: Any, **options: Any) -> Any:
        learned.extend(training.ids)
        return train(recipe, training, *rest, **options)

    monkeypatch.setattr(own_videos, "train", watch)
    code, out, said = hearsight(f"{line} --start {mine}")
    assert code == 0, said
    result = json.loads(out)
    assert result["steps"] == 2 * (10 // 4)
    held = facts(BEST)["own_videos"]
    assert result["told_apart_before"] == pytest.approx(held["before"]["told"], abs=1e-4)
    assert result["told_apart_after"] == pytest.approx(held["after"]["told"], abs=1e-4)
    assert (held["moments"], held["videos"]) == (6, 3)
    worse = held["after"]["told"] < held["before"]["told"]
    assert result["kept"] == ("start" if worse else "trained")
    kept = load_checkpoint(mine).weights if worse else weights_of(Path("run"))
    assert same(load_checkpoint(Path("run") / BEST).weights, kept)
    assert facts(LAST)["start"]["model"] == str(mine)
    names = set(facts(LAST)["held_out_videos"])
    assert len(names) == 3
    assert {video_of(id) for id in learned} == {video_of(id) for id in clips.ids} - names
    assert "takes over the weights of its trunks and projections" in said
    assert "6 moments of 3 videos held out" in said
    assert "2 moments" not in said
    page = Path("run", REPORT).read_text()
    assert result["report"] == str(Path("run", REPORT))
    assert page.count('<img src="data:image/jpeg') == 2 * 6
    for name in names:
        assert f"{name}, 0.8 s" in page or f"{name}, 2.2 s" in page
    assert not re.search(r"<script|https?://", page)
    assert not Path("run", MOMENTS).exists()


@pytest.mark.parametrize(("after", "kept"), [(0.79, "start"), (0.8, "trained")])
def test_the_guard_keeps_the_old_model_if_the_new_one_is_worse(
    hearsight: Hearsight,
    line: str,
    mine: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: float,
    kept: str,
) -> None:
    decide(monkeypatch, after)
    code, out, said = hearsight(f"{line} --start {mine}")
    assert code == 0, said
    assert json.loads(out)["kept"] == kept
    best = load_model("run")  # what users get
    old = load_model(mine)
    assert same(best.encoders.state_dict(), old.encoders.state_dict()) == (kept == "start")
    trained = load_checkpoint(Path("run") / LAST)
    assert same(best.encoders.state_dict(), trained.weights) == (kept == "trained")
    threshold = {"start": 0.25, "trained": trained.facts["threshold"]}[kept]
    assert best.facts["threshold"] == threshold
    card = card_of(Path("run") / BEST)
    assert card is not None
    sentence = {
        "start": f"The model that training started from, '{mine}', is kept",
        "trained": "The trained model is kept",
    }[kept]
    for text in (
        card.path.read_text(),
        said,
        Path("run", REPORT).read_text().replace("&#x27;", "'"),
    ):
        assert sentence in text
    assert ("which may be chance" in said) == (kept == "trained")  # of no difference
    assert ("made it worse" in card.short) == (kept == "start")
    assert "**Licence:** CC0." in card.path.read_text()  # of the model at the start


def test_the_sentence_says_what_the_difference_is_worth() -> None:
    before = OwnSoundScore(told=0.8, interval=(0.7, 0.9), found=0.9, dark=0.6, threshold=0.25)
    said = {}
    for told, difference in ((0.9, (0.05, 0.2)), (0.7999, (-0.1, 0.1)), (0.9, (None, None))):
        found = Comparison(
            before=before,
            after=replace(before, told=told),
            difference=difference,
            moments=1200,
            videos=3,
        )
        said[difference] = tell_kept("mine", found)
    assert "+10.0 points (95 % interval +5.0 to +20.0)." in said[0.05, 0.2]
    assert "1,200 held-out moments of 3 videos" in said[0.05, 0.2]
    assert "less than 0.1 points apart (95 % interval -10.0 to +10.0)." in said[-0.1, 0.1]
    assert "+10.0 points, which may be chance." in said[None, None]


@pytest.mark.parametrize(("after", "compared"), [(0.79, LAST), (0.95, BEST)])
def test_what_validation_chose_is_compared_and_an_old_model_never_taken_for_it(
    hearsight: Hearsight,
    line: str,
    mine: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: float,
    compared: str,
) -> None:
    with StoreWriter(Path("boxed")) as writer:
        boxes = ((0.1, 0.2, 0.6, 0.9),)
        writer.add(encode_clip("boxed", picture(1), tone(seed=1), boxes=boxes))
    decide(monkeypatch, after)
    code, _, said = hearsight(f"{line} --start {mine} --validation boxed --set epochs=1")
    assert code == 0, said
    assert candidate(Path("run")) == compared


def test_a_stopped_run_goes_on_as_if_it_had_not_been_stopped(
    hearsight: Hearsight, line: str, mine: Path
) -> None:
    assert hearsight(f"{line} --start {mine}")[0] == 0
    Path("run").rename("whole")
    code, out, _ = hearsight(f"{line} --start {mine} --minutes 0.00001")
    assert (code, json.loads(out)["finished"]) == (0, False)
    assert Path("run", MOMENTS).is_dir()  # to go on with
    code, out, said = hearsight(f"{line} --resume")
    assert (code, json.loads(out)["finished"]) == (0, True)
    assert same(weights_of(Path("run")), weights_of(Path("whole")))
    assert facts(BEST)["own_videos"] == load_checkpoint(Path("whole") / BEST).facts["own_videos"]
    assert not Path("run", MOMENTS).exists()
    assert "held out" in said
    # another time it compares, and does not train: the old model, kept, is not taken for the new
    code, out, _ = hearsight(f"{line} --resume")
    assert json.loads(out)["steps"] == 4
    assert facts(BEST)["own_videos"] == load_checkpoint(Path("whole") / BEST).facts["own_videos"]
    refused(hearsight, f"{line} --resume --start none", "started from", "leave --start out")


def test_videos_start_from_the_default_model_of_the_same_network(
    hearsight: Hearsight,
    line: str,
    mine: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(localise, "MODEL", "mine")
    monkeypatch.setattr(checkpoint, "shipped_models", lambda: {"mine": mine})
    code, _, said = hearsight(f"{line} --set epochs=1")
    assert code == 0
    assert "Training starts from 'mine'" in said
    assert facts(LAST)["start"]["model"] == "mine"

    def chosen(given: str | None, *changes: str, own_videos: bool = True) -> str | None:
        recipe = assign(tiny_recipe(), *changes)
        start = choose_start(given, recipe, own_videos=own_videos, resumed=None)
        return None if start is None else start.name

    assert chosen("none") is None
    assert chosen(None, own_videos=False) is None  # other clips start from a named model alone
    assert chosen(str(mine), own_videos=False) == str(mine)
    assert chosen(None, "epochs=0") is None
    capsys.readouterr()
    assert chosen(None, "spectrogram.bins=32") is None
    assert "anew: the default model, mine, has another network" in capsys.readouterr().err
    assert chosen(None, "encoder.projection=8") == "mine"
    assert "The projections of ssl_tie:small take the shape of the" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            "--start {mine} --set contrast=SoundClassification",
            "learns from labels, which one's own",
        ),
        ("--start {mine} --set contrast=ComposedTruth --set appearance=null", "learns from boxes"),
        ("--start {mine} --set epochs=0", "is not trained, so it cannot start from a model"),
        ("--start {mine} --set spectrogram.bins=32", "spectrogram.bins (32, there "),
        ("--start nowhere", "'nowhere' is neither a checkpoint file nor a model"),
        ("--start {mine} --every 0.0001", "every must be a number from"),
        ("--start {mine} --set batch_size=64", "fewer than one batch of 64"),
        ("--data toys --every 2", "holds no videos to take several clips of"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_leaves_nothing(
    hearsight: Hearsight, line: str, mine: Path, options: str, said: str
) -> None:
    before = sorted(Path().rglob("*"))
    code, out, err = hearsight(f"{line} {options.format(mine=mine)}")
    assert (code, out) == (2, "")
    assert said in err.splitlines()[-1]
    assert "Traceback" not in err
    assert sorted(Path().rglob("*")) == before


def test_an_interrupted_run_leaves_nothing_before_its_first_checkpoint(
    clips: Clips, mine: Path, tmp_path: Path
) -> None:
    for wanted in ("taking moments", "training"):

        def interrupt(stage: str, done: int, total: int | None, wanted: str = wanted) -> None:
            if stage == wanted:
                raise KeyboardInterrupt

        options = replace(QUIET, progress=interrupt)
        with pytest.raises(KeyboardInterrupt):
            train_on_videos(tiny_recipe(), clips, tmp_path / "run", load_start(mine), options)
        assert not (tmp_path / "run").exists()


def test_a_page_of_the_users_is_not_written_over(
    hearsight: Hearsight, line: str, mine: Path
) -> None:
    Path("run").mkdir()
    Path("run", REPORT).write_text("mine")
    code, _, said = hearsight(f"{line} --start {mine}")
    assert (code, "would be written over" in said) == (2, True)
    assert [each.name for each in Path("run").iterdir()] == [REPORT]
    assert Path("run", REPORT).read_text() == "mine"


def test_several_processes_are_refused(
    hearsight: Hearsight, line: str, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    code, _, said = hearsight(f"{line} --start {mine}")
    assert code == 2
    assert "in one process" in said
    assert not Path("run").exists()
