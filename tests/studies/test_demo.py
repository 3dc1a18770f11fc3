"""The main job, end to end, at a size that shows only that it runs and what it leaves behind."""

import csv
import json
from pathlib import Path

import pytest
import torch
from made_runs import hurry_demo
from safetensors.torch import save_file

from hearsight.checkpoints.checkpoint import load_checkpoint
from hearsight.checkpoints.pretrained_trunks import trunk_file
from hearsight.errors import HearsightError
from hearsight.localising.moments import Moment
from hearsight.media.read import probe
from hearsight.model.encoders import Encoders
from hearsight.recipes.catalogue import load_recipe
from hearsight.scenes.composed_videos import compose_video
from hearsight.scenes.scenes import load_pack
from hearsight.studies import demo_plan
from hearsight.studies.demo import choose_pack, count_found, run_demo
from hearsight.studies.demo_plan import DemoOptions

HURRIED = DemoOptions(minutes=5.0, pack="toys", device="cpu", workers=0)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry_demo(monkeypatch)


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_the_demo_leaves_a_report_a_model_scores_and_a_painted_video(tmp_path: Path) -> None:
    demo = run_demo(tmp_path / "demo", HURRIED)
    page = demo.report.read_text()
    assert "blind: centred disc" in page
    assert "data:video/mp4" in page
    assert "toys" in page
    assert "frozen trunks" not in page
    checkpoint = load_checkpoint(demo.model)
    assert len(checkpoint.facts["classes"]) == 12
    assert set(checkpoint.facts["scores"]) == {"Known objects", "New objects"}
    assert checkpoint.state is None
    assert -1 <= checkpoint.facts["threshold"] <= 1
    for name in ("known", "new"):
        with (tmp_path / "demo" / f"scores-{name}-objects.csv").open() as file:
            assert len(list(csv.DictReader(file))) == 24
    assert probe(tmp_path / "demo" / "painted.mp4").has_sound
    lines = (tmp_path / "demo" / "moments.jsonl").read_text().splitlines()
    assert [json.loads(line)["time"] for line in lines] == [0.5 * k for k in range(6)]
    again = run_demo(tmp_path / "demo", HURRIED)
    weights = load_checkpoint(again.model).weights
    assert all(torch.equal(weights[name], value) for name, value in checkpoint.weights.items())
    with pytest.raises(HearsightError, match="holds another demo"):
        run_demo(tmp_path / "demo", DemoOptions(minutes=6.0, pack="toys", device="cpu"))


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_a_demo_on_pretrained_trunks_says_so_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    trunks = Encoders(load_recipe("ssl_tie:pretrained_a").encoder)  # noise instead of weights
    for name, part in (("efficientnet_lite0", trunks.frames), ("aisfx", trunks.sounds)):
        trunk_file(name).parent.mkdir(parents=True, exist_ok=True)
        save_file(part.state_dict(), trunk_file(name))
    monkeypatch.setattr(demo_plan, "choose_method", lambda *_: demo_plan.PRETRAINED)
    monkeypatch.setattr(demo_plan, "epoch_seconds", lambda *_, **__: 1.0)
    monkeypatch.setattr(demo_plan, "MOST_BATCHES", 1)
    monkeypatch.setattr(demo_plan, "MOST_STEPS", 3)
    demo = run_demo(tmp_path / "demo", HURRIED)
    page = demo.report.read_text()
    assert "SSL-TIE A, pretrained trunks" in page
    assert "frozen trunks that others have trained before, with labels" in page
    assert "aisfx 0.1.2 (CC BY 4.0" in page
    checkpoint = load_checkpoint(demo.model)
    assert (checkpoint.recipe.name, checkpoint.recipe.epochs) == ("ssl_tie:pretrained_a", 3)
    again = run_demo(tmp_path / "demo", HURRIED)
    weights = load_checkpoint(again.model).weights
    assert all(torch.equal(weights[name], value) for name, value in checkpoint.weights.items())


def test_a_pack_that_was_asked_for_is_not_replaced(tmp_path: Path) -> None:
    assert choose_pack("toys", lambda *_: None)[0] == "toys"
    name, folder, words = choose_pack(f"menagerie:{tmp_path}", lambda *_: None)
    assert (name, folder) == ("menagerie", tmp_path)
    assert "real photographs" in words


def test_a_folder_of_toys_is_refused() -> None:
    with pytest.raises(HearsightError, match=r"`pack=toys:here`: toys .* have no folder"):
        choose_pack("toys:here", lambda *_: None)


def test_without_apt_toys_are_taken_and_the_reason_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    name, _, words = choose_pack(None, lambda *_: None)
    assert name == "toys"
    assert "apt-get" in words
    with pytest.raises(HearsightError, match="apt-get"):
        choose_pack("menagerie", lambda *_: None)
    (tmp_path / "hearsight" / "menagerie").mkdir(parents=True)  # no pack is in it
    assert choose_pack(None, lambda *_: None)[0] == "toys"


def test_found_moments_have_the_centre_of_their_box_in_the_truth() -> None:
    video = compose_video(load_pack("toys", split="val", classes=4), seconds=6, seed=1, silence=0.0)
    width, height = video.size
    truths = [video.truth_at(second + 0.5) for second in range(6)]
    moments = []
    for second, truth in enumerate(truths):
        assert truth.box is not None
        x0, y0, x1, y1 = truth.box
        box = (int(x0 * width), int(y0 * height), int(x1 * width), int(y1 * height))
        moments.append(Moment(time=second + 0.5, box=box, confidence=0.9, share=0.1))
    assert count_found(video, moments) == (6, 6)
    missed = [Moment(time=one.time, box=None, confidence=0.1, share=0.0) for one in moments]
    assert count_found(video, missed) == (0, 6)
