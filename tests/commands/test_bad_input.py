"""What a user may get wrong in training, comparing and data: one sentence, and nothing is left."""

import csv
import io
import json
import shutil
import sys
from pathlib import Path

import pytest
from made_clips import fill, picture, tone
from made_commands import Hearsight, refused
from made_layouts import scoring_layout

from hearsight.clips.clip import encode_clip
from hearsight.clips.shard_writer import StoreWriter
from hearsight.clips.shards import Store
from hearsight.errors import HearsightError
from hearsight.files.locks import sole_writer

TINY = (
    "--set encoder.widths=[8,8,8,8] --set frame_size=32 --set batch_size=2 --set epochs=1"
    " --workers 0 --threads 1 --device cpu"
)
TRAIN = f"train ssl_tie:small_a --out out {TINY}"
COMPARE = "compare random:small lvs:small --seeds 1 --out out --workers 0 --threads 1 --device cpu"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good and bad sources."""
    made = tmp_path_factory.mktemp("sources")
    fill(made / "mixed", range(4))  # some have no boxes
    fill(made / "bare", range(1, 3))  # none has any
    boxes = ((0.1, 0.2, 0.6, 0.9),)
    for folder in ("good", "kept", "damaged", "no text"):
        with StoreWriter(made / folder) as writer:
            for number in range(4):
                name = f"{folder}\udcff {number}" if folder == "no text" else f"{folder} {number}"
                clip = encode_clip(name, picture(number), tone(seed=number), boxes=boxes)
                if folder == "damaged":
                    object.__setattr__(clip, "frame", clip.frame[:200])
                assert writer.add(clip)
    edges = ((0.1, 0.2, float("nan"), 0.9),)
    with StoreWriter(made / "corrupt") as writer:
        assert writer.add(encode_clip("corrupt", picture(), tone(), boxes=edges))
    scoring_layout(made / "layout")
    for name, content in {
        "empty.txt": b"",
        "deep.json": b"[" * 100_000,
        "clips.json": b'["a", "b"]',
        "names.json": b'["\\ud800"]',
        "long.txt": b"x" * 100_000,
        "nul.csv": b"a\0b,c\n",
    }.items():
        (made / name).write_bytes(content)
    (made / "videos").mkdir()
    (made / "videos" / "film.mp4").write_bytes(b"no film")
    return made


@pytest.fixture
def hearsight(hearsight: Hearsight, sources: Path, tmp_path: Path) -> Hearsight:
    """The command line beside copies of them."""
    shutil.copytree(sources, tmp_path, dirs_exist_ok=True)
    return hearsight


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("data stats empty.txt", "'empty.txt' is empty"),
        ("data stats deep.json", "'deep.json' is not a list of"),
        ("data stats names.json", "a name that is no text"),
        ("data stats nul.csv", "'nul.csv' is not a text file"),
        ("data stats layout@deep.json", "'deep.json' is not a list of"),
        ("data stats layout@long.txt", "x ..."),
        ("data stats good --split val", "'good' does not tell train from val"),
        ("data show good --split val", "'good' does not tell train from val"),
        ("data import good --out out --split val", "'good' does not tell train from val"),
        ("data stats good --split vall", "may be train or val, not 'vall'"),
        ("data stats toys --split vall", "may be train or val, not 'vall'"),
        ("data check good --against names.json", "a name that is no text"),
        ("data import good --out out --every 5", "'good' holds no videos"),
        ("data import toys --out out --every 5", "'toys' holds no videos"),
        ("data import videos --out out --every 1e-320", "every must be a number from 0.01 on"),
        ("data import videos --out deep/out", "None of the 1 clips can be read, so 'deep/out'"),
        ("data import damaged --out out", "the first, 'damaged 0', because the picture"),
        ("data scenes good --out out", "composed of toys, menagerie or bazaar, not of 'good'"),
        ("data scenes toys --out out --size 100000", "32 to 1024 pixels, not 100000"),
        ("data scenes toys --out out --count 1000000000000", "1 to 10,000,000 scenes"),
        ("data scenes toys --out out --seed 99999999999999999999", "below 2^63"),
        ("data scenes toys --out out --looks 1000000000", "1 to 100 looks"),
        ("data scenes duets:toys --out out --looks 2", "leave --looks out"),
        ("data scenes pairs:toys --out out --silent 0 3", "at least one silent object"),
    ],
)
def test_data_that_cannot_be_had(hearsight: Hearsight, line: str, said: str) -> None:
    refused(hearsight, line, said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--data nowhere", "'nowhere' names no clips"),
        ("--data empty.txt", "'empty.txt' names no clips"),
        ("--data good --set batch_size=9", "fewer than one batch of 9"),
        ("--data good --set frame_size=1", "frame_size must be 32 to 4096 pixels, not 1"),
        ("--data good --set labels=a,b", 'such as ["bell", "dog, barking"]'),
        ("--data good --set encoder.weights=", "must be text or null"),
        ("--data good --set encoder.weights=none.pth", "There is no file none.pth"),
        ("--data good --set encoder.weights=empty.txt", "empty.txt is no weights file"),
        ("--data good --set channels_last=true --set encoder.widths=[4,4,4,4]", "multiples of 8"),
        ("--data good --device tpu", "There is no device 'tpu'"),
        ("--data good --out empty.txt", "Cannot write to 'empty.txt'"),
        ("--data good --out empty.txt/run", "Cannot write to 'empty.txt/run'"),
        ("--data good --validation bare", "None of the 2 clips of 'bare' has boxes"),
        ("--data good --validation corrupt", "has a box with an edge that is no number"),
        ("--data good --validation good --test good", "chosen on the test set"),
        ("--data damaged", "of clip 'damaged "),
        ("--data good --resume", "no run to resume in out"),
        ("--data good --protocol lvss", "'lvs'"),
    ],
)
def test_a_training_that_cannot_begin_leaves_nothing(
    hearsight: Hearsight, options: str, said: str
) -> None:
    refused(hearsight, f"{TRAIN} {options}", said)


@pytest.mark.parametrize(
    "line",
    [
        f"{TRAIN} --data good --validation mixed",
        f"{TRAIN} --data good --test mixed --select-on-test",
        "compare random:small --seeds 1 --protocols lvs --threads 1 --device cpu --workers 0"
        " --out out --data good --test mixed --set batch_size=2",
    ],
)
def test_clips_without_boxes_are_named_before_the_training_and_not_scored(
    hearsight: Hearsight, line: str
) -> None:
    code, _, err = hearsight(line)
    assert code == 0, err
    told = "2 of 4 clips of 'mixed' have no boxes and are not scored: clip 1, clip 2."
    assert err.splitlines()[0] == told


def test_a_classifier_without_classes_leaves_nothing(hearsight: Hearsight) -> None:
    line = TRAIN.replace("ssl_tie:small_a", "vgg_h:small")
    refused(hearsight, f"{line} --data good", "the data name none")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--data good --test kept --set batch_size=9", "fewer than one batch of 9"),
        ("--data good --test kept --device tpu", "There is no device 'tpu'"),
        ("--data good --test bare", "None of the 2 clips of 'bare' has boxes"),
        ("--data good --test kept --validation bare", "None of the 2 clips of 'bare' has boxes"),
        ("--data good --test kept --out good", "'good' holds no comparison"),
        ("--data good --test kept --out empty.txt", "'empty.txt' cannot be used"),
        ("--data good --test kept --set encoder.weights=none.pth", "There is no file none.pth"),
    ],
)
def test_a_comparison_that_cannot_begin_leaves_nothing(
    hearsight: Hearsight, options: str, said: str
) -> None:
    refused(hearsight, f"{COMPARE} {options}", said)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--data good", "--test"),
        ("--data good --test nowhere", "'nowhere' names no clips"),
        ("--data good --test bare", "None of the 2 clips of 'bare' has boxes"),
        ("--data good --test kept --set batch_size=9", "fewer than one batch of 9"),
        ("--data good --test kept --out videos", "'videos' holds no ablation"),
    ],
)
def test_an_ablation_that_cannot_begin_leaves_nothing(
    hearsight: Hearsight, options: str, said: str
) -> None:
    line = f"ablate ssl_tie:small --seeds 1 --out out {TINY}"
    refused(hearsight, f"{line} {options}", said)


def test_a_demo_that_cannot_begin_leaves_nothing(hearsight: Hearsight) -> None:
    for options, said in (
        ("--pack menagerie:videos", "no menagerie in 'videos'"),
        ("--pack toyz", "toyz"),
        ("--pack ''", "Unknown pack ''"),
        ("--pack toys --looks 1000000", "1 to 100 looks"),
        ("--pack toys --seed 99999999999999999999", "below 2^63"),
        ("--pack toys --out empty.txt", "Cannot write to 'empty.txt'"),
    ):
        refused(hearsight, f"demo --out out {options}", said)


@pytest.mark.parametrize(
    "line",
    [
        f"{TRAIN} --data good",
        f"{TRAIN} --data good --resume",
        f"{COMPARE} --data good --test kept",
        f"ablate ssl_tie:small --seeds 1 --out out --data good --test kept {TINY}",
        "demo --out out --pack toys",
        "data import good --out out",
    ],
)
def test_a_folder_in_use_is_refused(hearsight: Hearsight, line: str) -> None:
    with sole_writer(Path("out")):
        refused(hearsight, line, "another process is writing")


def test_what_trains_holds_its_folder(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = []

    def refuse_others(run: object) -> bool:
        try:
            with sole_writer(Path("out")):
                held.append(False)
        except HearsightError:
            held.append(True)
        return True

    monkeypatch.setattr("hearsight.training.trainer.train_epoch", refuse_others)
    assert hearsight(f"{TRAIN} --data good")[0] == 0
    assert held == [True]
    assert not (Path("out") / ".writing").exists()


def test_splits_that_are_compared_are_named(hearsight: Hearsight) -> None:
    Path("both.csv").write_text("AAAAAAAAAAA,1,dog,train\nAAAAAAAAAAA,2,cat,test\n")
    code, out, _ = hearsight("data check both.csv --against both.csv")
    assert code == 1
    assert out.startswith("both.csv (train rows): 1 clip of 1 video\nboth.csv (test rows): 1 cl")
    code, out, _ = hearsight("data check good --against good --json")
    assert [json.loads(out)[name] for name in ("train", "test")] == ["good", "good"]


def test_lists_that_cannot_be_compared_are_refused_and_nothing_is_written(
    hearsight: Hearsight,
) -> None:
    Path("flickr.txt").write_text("10000130166\n")
    Path("vgg.txt").write_text("AAAAAAAAAAA_000001\n")
    Path("own.txt").write_text("films/party.mp4\n")
    said = "Nothing can be compared: 'flickr.txt' names clips as '10000130166', 'vgg.txt' names"
    for form in ("", "--json", "--out clean.txt", "--by clip"):
        refused(hearsight, f"data check flickr.txt --against vgg.txt {form}", said)
    refused(hearsight, "data check vgg.txt --against vgg.txt own.txt", "'own.txt' names clips")
    assert hearsight("data check own.txt --against own.txt")[0] == 1


def test_a_pack_is_compared_with_its_own_other_split_by_name(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hearsight.datasets.open.COUNTS", {"train": 3, "val": 2})
    monkeypatch.setattr("hearsight.scenes.toys.INSTANCES", {"train": 1, "val": 1})
    code, out, _ = hearsight("data check toys --against toys --json")
    found = json.loads(out)
    assert (code, found["train"], found["test"]) == (0, "toys (train split)", "toys (val split)")
    assert (found["train_clips"], found["test_clips"]) == (3, 2)


def test_names_that_are_no_text_are_printed_all_the_same(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="strict")
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", printed)
        assert hearsight("data check 'no text' --against 'no text'")[0] == 1
    printed.flush()
    assert rb"no text\udcff 0" in printed.buffer.getvalue()  # type: ignore[attr-defined]


def test_too_little_memory_is_said(hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch) -> None:
    def claim(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")

    monkeypatch.setattr("hearsight.datasets.statistics.count", claim)
    refused(hearsight, "data stats good", "not enough memory")


def test_what_can_be_read_is_imported(hearsight: Hearsight) -> None:
    Path("damaged", "clips-000000.tar").rename(Path("good", "clips-000001.tar"))
    code, out, err = hearsight("data import good --out out")
    assert (code, json.loads(out)["added"], err.count("skipped damaged")) == (0, 4, 4)
    assert len(Store("out")) == 4
    assert not Path("out", ".writing").exists()


def test_scores_of_clips_whose_names_are_no_text_are_written(hearsight: Hearsight) -> None:
    for name in ("scores.csv", "scores.parquet"):
        line = f"evaluate ssl_tie:small --data 'no text' --scores {name} --threads 1 --device cpu"
        assert hearsight(line)[0] == 0
    with Path("scores.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["id"] == "no text\\udcff 0"


def test_a_run_interrupted_before_its_first_step_leaves_nothing(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(run: object) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("hearsight.training.trainer.train_epoch", interrupt)
    assert hearsight(f"{TRAIN} --data good")[0] == 130
    assert not Path("out").exists()
