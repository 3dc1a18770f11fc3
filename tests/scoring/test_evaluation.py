"""The whole evaluation: clips and encoders in, a labelled table and one score per clip out."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest
import torch
from made_evaluations import MadeClips, encoders, recipe
from torch import Tensor
from torch.nn.functional import avg_pool2d

from hearsight.checkpoints.checkpoint import Model
from hearsight.clips.clip import UnreadableClip
from hearsight.errors import HearsightError
from hearsight.model.encoders import Encoders
from hearsight.scoring.evaluation import Evaluation, evaluate, table_text, write_scores
from hearsight.scoring.protocols import DEFAULT_PROTOCOL, PROTOCOLS


class Bright(Encoders):
    """Takes what is bright for what sounds."""

    def forward(self, frames: Tensor, spectrograms: Tensor) -> Tensor:
        light = avg_pool2d(frames.mean(1), 4)
        return light[:, None].expand(-1, len(spectrograms), -1, -1)


def evaluated(clips: MadeClips | None = None, protocol: str = "ssl-tie") -> Evaluation:
    return evaluate(
        Model(encoders(Bright), recipe()), clips or MadeClips(6), protocol, device="cpu"
    )


def test_a_model_that_sees_the_source_stands_at_the_ceiling() -> None:
    found = evaluated(protocol="adaptive")
    assert found.success_rate == found.ceiling.success_rate == 1
    assert found.model.pointing == 1
    assert found.model.auc > 0.85
    assert found.model.auc > max(row.auc for row in found.blind)
    assert found.clips[0].truth_share == pytest.approx(0.375**2)


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda protocol: protocol.name)
def test_scores_do_not_depend_on_batches(protocol: object) -> None:
    model, clips = encoders(), MadeClips(5)
    one = evaluate(Model(model, recipe()), clips, protocol, batch_size=1, workers=1, device="cpu")
    all_at_once = evaluate(Model(model, recipe()), clips, protocol, batch_size=5, device="cpu")
    for a, b in zip(one.clips, all_at_once.clips, strict=True):
        assert (a.id, a.label) == (b.id, b.label)
        assert a.confidence == pytest.approx(b.confidence, abs=1e-5)
        assert -1 <= a.confidence <= 1
        assert a.ciou == pytest.approx(b.ciou, abs=1e-3)


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"workers": 0}])
def test_fewer_than_one_clip_or_thread_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(HearsightError, match=f"`{next(iter(options))}` must be at least 1, not 0"):
        evaluate(Model(encoders(), recipe()), MadeClips(2), device="cpu", **options)  # type: ignore[arg-type]


def test_every_row_says_which_protocol_it_is_of() -> None:
    found = evaluated(protocol="ez-vsl")
    rows = found.rows()
    assert [row["name"] for row in rows] == [
        "model",
        "blind: centred disc",
        "blind: whole image",
        "blind: mean truth",
        "ceiling",
    ]
    assert {row["protocol"] for row in rows} == {"ez-vsl"}
    assert json.loads(json.dumps(rows)) == rows
    text = table_text(found)
    assert text.startswith("protocol ez-vsl: ")
    for row in rows:
        assert f"{100 * row['AUC']:.2f}" in text
    assert found.numbers()["success_rate"] == found.success_rate


def test_no_column_stands_twice_and_the_default_is_adaptive() -> None:
    model = Model(encoders(), recipe())
    for protocol in (DEFAULT_PROTOCOL, "lvs"):
        found = evaluate(model, MadeClips(6), protocol, device="cpu")
        rows = found.rows()
        columns = {name: tuple(row[name] for row in rows) for name in rows[0]}
        assert ("cIoU@0.5" in columns) == (protocol == "lvs")
        assert "adaptive cIoU@0.5" in columns
        assert "ceiling" not in columns  # it has a row of its own
        if protocol == DEFAULT_PROTOCOL:
            assert evaluate(model, MadeClips(6), device="cpu") == found
            scores = [values for name, values in columns.items() if isinstance(values[0], float)]
            assert len(set(scores)) == len(scores) == 3


def test_unreadable_clips_are_skipped_and_named() -> None:
    clips = MadeClips(5)
    clips.clips[1] = UnreadableClip("torn", "its frame is damaged")
    clips.change(3, sound=np.zeros(0, np.int16))
    found = evaluated(clips)
    assert [clip.id for clip in found.clips] == ["clip 0", "clip 2", "clip 4"]
    assert [clip.id for clip in found.skipped] == ["torn", "clip 3"]
    assert found.model.clips == 3
    assert "torn: its frame is damaged" in table_text(found)
    assert "clip 3: its sound is empty" in table_text(found)
    gone = MadeClips(1)
    gone.clips[0] = UnreadableClip("torn", "its frame is damaged")
    with pytest.raises(HearsightError, match="None of the 1 clips"):
        evaluated(gone)


def test_clips_without_boxes_are_skipped_and_named() -> None:
    found = evaluated(MadeClips(3).change(1, boxes=None))
    assert [clip.id for clip in found.clips] == ["clip 0", "clip 2"]
    assert "clip 1: it has no boxes" in table_text(found)
    bare = MadeClips(2).change(0, boxes=None).change(1, boxes=None)
    with pytest.raises(HearsightError, match="None of the 2 clips has boxes"):
        evaluated(bare)
    bare.clips[1] = UnreadableClip("torn", "its frame is damaged")
    with pytest.raises(HearsightError, match="scored: the first, 'clip 0', because it has no box"):
        evaluated(bare)


def test_corrupt_truths_are_scored_and_named() -> None:
    good = (0.25, 0.25, 0.75, 0.75)
    clips = MadeClips(4).change(0, boxes=(good, (0.5, 0.5, -2.9e16, 0.75)))
    clips.change(1, boxes=((0.5, 0.5, 0.5, 0.75), good)).change(2, boxes=())
    found = evaluated(clips)
    assert found.corrupt == ("clip 0",)
    assert found.degenerate == ("clip 0", "clip 1")
    assert found.empty == ("clip 2",)
    assert (found.clips[2].ciou, found.clips[2].adaptive_ciou) == (0, 0)
    text = table_text(found)
    assert "1 box with edges outside the frame" in text
    assert "2 boxes that cover no pixel (degenerate): clip 0, clip 1" in text
    assert "1 clip whose truth is empty" in text


def test_masks_are_not_the_truth() -> None:
    mask = np.ones((64, 64), np.bool_)
    assert evaluated(MadeClips(2).change(0, mask=mask)).clips == evaluated(MadeClips(2)).clips


def test_clips_that_cannot_be_scored_are_refused_by_name() -> None:
    with pytest.raises(HearsightError, match="'clip 1' has a box with an edge that is no number"):
        evaluated(MadeClips(3).change(1, boxes=((0.0, 0.0, float("nan"), 1.0),)))
    with pytest.raises(HearsightError, match=r"no protocol 'ez-vls'.*'ez-vsl'"):
        evaluated(protocol="ez-vls")
    with pytest.raises(HearsightError, match="no device 'abacus'"):
        evaluate(Model(encoders(), recipe()), MadeClips(1), "lvs", device="abacus")
    broken = encoders()
    torch.nn.init.constant_(next(broken.parameters()), float("nan"))
    with pytest.raises(HearsightError, match="map of clip 'clip 0' is not finite"):
        evaluate(Model(broken, recipe()), MadeClips(2), "lvs", device="cpu")


def test_encoders_keep_their_mode_and_progress_is_told() -> None:
    model, told = encoders(), []
    for mode in (True, False):
        model.train(mode)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        evaluate(
            Model(model, recipe()),
            MadeClips(19),
            "lvs",
            batch_size=2,
            device="cpu",
            progress=lambda *report: told.append(report),
        )
        assert model.training is mode
        assert all(torch.equal(before[name], v) for name, v in model.state_dict().items())
    assert told == [("scoring", done, 19) for done in (8, 16, 19)] * 2  # whole passes


def test_frames_that_are_not_square() -> None:
    clips = MadeClips(3, size=(64, 96))
    stretched, cropped = evaluated(clips, "ez-vsl"), evaluated(clips, "lvs")
    assert stretched.model.pointing == 1
    assert len(cropped.clips) == 3


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_scores_of_every_clip_in_a_file(tmp_path: Path, suffix: str) -> None:
    found = evaluated(MadeClips(3).change(1, label=None))
    path = tmp_path / f"scores{suffix}"
    write_scores(found, path)
    assert list(tmp_path.iterdir()) == [path]
    if suffix == ".csv":
        with path.open(newline="") as file:
            lines = list(csv.DictReader(file))
        assert lines[1]["label"] == ""
    else:
        lines = pq.read_table(path).to_pylist()
        assert lines[1]["label"] is None
    for line, clip in zip(lines, found.clips, strict=True):
        assert line["id"] == clip.id
        assert line["protocol"] == "ssl-tie"
        assert float(line["ciou"]) == clip.ciou
        assert float(line["confidence"]) == clip.confidence


def test_scores_that_cannot_be_written(tmp_path: Path) -> None:
    found = evaluated(MadeClips(1))
    for path in (tmp_path / "scores.txt", tmp_path / "nowhere" / "scores.csv", tmp_path / "scores"):
        with pytest.raises(HearsightError, match=path.name):
            write_scores(found, path)
    (tmp_path / "file").write_text("")
    with pytest.raises(HearsightError, match="cannot be written"):
        write_scores(found, tmp_path / "file" / "scores.parquet")
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(HearsightError, match="is a folder, not a file"):
        write_scores(found, tmp_path / "taken.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.csv"]


def test_5000_maps_in_5_seconds_on_one_core() -> None:
    # in a process of its own, where shapes are not checked at every call
    program = """
from time import process_time
import numpy as np
from hearsight.clips.truth import rasterise
from hearsight.scoring.protocols import DEFAULT_PROTOCOL, load_protocol
from hearsight.scoring.box_scores import score_maps
maps = np.random.default_rng(0).standard_normal((5_000, 14, 14)).astype(np.float32)
protocol = load_protocol("ssl-tie")
begin = process_time()
truths = (rasterise(((0.2, 0.3, 0.7, 0.9),), protocol.truth) for _ in maps)
assert len(score_maps(maps, truths, protocol).ciou) == 5_000
print(process_time() - begin)
"""
    run = ["env", "OMP_NUM_THREADS=1", sys.executable, "-c", program]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 5
