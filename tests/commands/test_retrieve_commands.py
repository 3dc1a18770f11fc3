"""`hearsight retrieve` and `hearsight data splits` end to end, and what they refuse."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_clips import picture, tone
from made_commands import Hearsight, refused
from made_layouts import TABLE
from made_models import make_checkpoint

from hearsight.clips.clip import encode_clip
from hearsight.clips.shard_writer import StoreWriter
from hearsight.retrieval import benchmark
from hearsight.retrieval.embeddings import embed_clips

RUN = "--data store --threads 1 --device cpu"
METHODS = ["good.safetensors", "untrained, seed 0"]


def make_store(folder: Path, labels: list[str | None]) -> None:
    with StoreWriter(folder) as writer:
        for number, label in enumerate(labels):
            made = encode_clip(f"clip {number}", picture(number), tone(seed=number), label=label)
            assert writer.add(made)


@pytest.fixture(autouse=True)
def _at_hand(hearsight: Hearsight) -> None:
    make_store(Path("store"), ["dog", "cat", "dog", "cat", "bee", None])
    make_checkpoint(Path("good.safetensors"))


def test_sounds_by_sounds(hearsight: Hearsight) -> None:
    code, out, err = hearsight(
        f"retrieve good.safetensors {RUN} --json --out rows.csv --sheet sheet.png"
    )
    assert code == 0, err
    rows = [json.loads(line) for line in out.splitlines()]
    names = [*METHODS, "mel statistics", "chance", "best possible"]
    assert [row["name"] for row in rows] == names
    assert {(row["own pair"], row["queries"], row["classes"]) for row in rows} == {
        ("left out", 5, 3)
    }
    assert all(row["A@1"] == row["P@1"] <= row["A@5"] <= row["A@10"] for row in rows)
    assert rows[-1]["A@1"] == 0.8  # the bee is alone
    assert rows[-2]["P@1"] == 0.2  # 1 of the 4 others, for 4 of 5
    assert "1 clip is the only one of its class" in err
    assert "1 clip has no class label" in err
    assert Path("rows.csv").read_text().count("\n") == 6
    assert Path("sheet.png").stat().st_size > 1000


def test_clips_of_one_id_in_two_sources_are_counted_and_named_once(hearsight: Hearsight) -> None:
    make_store(Path("other"), ["dog"] * 7)
    code, _, err = hearsight(f"retrieve good.safetensors {RUN} --data other --sheet sheet.png")
    assert code == 0, err
    assert err.count("6 of 13 clips of 'store other' were left out because their ids stand") == 1
    assert "clip 0, clip 1, clip 2, clip 3, clip 4 and 1 more." in err


def test_across_sound_and_image(hearsight: Hearsight) -> None:
    line = f"retrieve good.safetensors {RUN} --pooling max"
    code, out, err = hearsight(f"{line} --task sound-image --same-video drop")
    assert code == 0, err
    assert out.index("its own pair in gallery") < out.index("its own pair left out")
    for name in (*METHODS, "chance", "best possible"):
        assert out.count(f"\n{name} ") == 2
    first = hearsight(f"{line} --task image-sound --json --seed 3")
    assert first == hearsight(f"{line} --task image-sound --json --seed 3")
    assert '"untrained, seed 3"' in first[1]


def test_others_embeddings_and_several_models(hearsight: Hearsight) -> None:
    ids = [f"clip {number}" for number in range(6)]
    labels = np.array([0, 1, 0, 1, 2, 3])
    np.savez("perfect.npz", id=ids, sound=np.eye(4)[labels], image=np.eye(4)[labels])
    code, out, err = hearsight(
        f"retrieve good.safetensors good.safetensors {RUN} --task sound-image --json"
        " --embeddings perfect=perfect.npz"
    )
    assert code == 0, err
    rows = [json.loads(line) for line in out.splitlines()]
    names = [METHODS[0], *METHODS, "perfect", "chance", "best possible"]
    assert [row["name"] for row in rows] == 2 * names
    for row, best in zip(rows[3::6], rows[5::6], strict=True):
        assert {**row, "name": ""} == {**best, "name": ""}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--task sound-frame", "Did you mean 'sound-image'?"),
        ("--task sound-image --pooling sum", "mean or max, not by 'sum'"),
        ("--pooling mean", "--pooling is of frames, and 'sound-sound' has none"),
        ("--same-video maybe", "--same-video may be keep or drop, not 'maybe'"),
        ("--embeddings clap", "NAME=FILE, not 'clap'"),
        ("--embeddings a=x.npz --embeddings a=y.npz", "the name 'a' twice"),
        ("--embeddings clap=clap.npz", "There is no file 'clap.npz'"),
        ("--embeddings few=few.npz", "'few.npz' lacks 4 of 5 clips"),
        ("--embeddings deaf=deaf.npz", "'deaf.npz' has no vectors 'sound'"),
        (
            "--task sound-image --embeddings two=two.npz",
            "sounds have 3 channels and images 2",
        ),
        ("--out rows.txt", "'rows.txt' must end in .csv"),
        ("--sheet sheet.gif", "'sheet.gif' must end in"),
        ("--sheet nowhere/sheet.png", "there is no folder 'nowhere'"),
        ("--sheet store", "'store' must end in"),
        ("--sheet folder.png", "'folder.png' is a folder"),
        ("--device abacus", "no device 'abacus'"),
        ("--classes 2", "--classes is for composed scenes, such as toys or menagerie, and 'store'"),
        ("--count 2", "--count is for composed scenes"),
        ("--batch-size 9999", "--batch-size"),
        ("--seed 99999999999999999999", "--seed"),
    ],
)
def test_what_is_refused(hearsight: Hearsight, options: str, said: str) -> None:
    ids = [f"clip {number}" for number in range(6)]
    Path("folder.png").mkdir()
    np.savez("few.npz", id=ids[:1], sound=np.ones((1, 3)))
    np.savez("deaf.npz", id=ids, image=np.ones((6, 3)))
    np.savez("two.npz", id=ids, sound=np.ones((6, 3)), image=np.ones((6, 2)))
    refused(hearsight, f"retrieve good.safetensors {RUN} {options}", said)


@pytest.mark.parametrize(
    ("options", "said", "looks"),
    [
        ("--embeddings clap=clap.npz", "There is no file 'clap.npz'", 0),
        ("--embeddings torn=torn.npz", "'torn.npz' is no file of embeddings", 0),
        ("--embeddings deaf=deaf.npz", "'deaf.npz' has no vectors 'sound'", 0),
        ("--task sound-image --embeddings two=two.npz", "sounds have 3 channels", 0),
        ("--embeddings few=few.npz", "'few.npz' lacks 4 of 5 clips", 1),
    ],
)
def test_embeddings_are_looked_at_before_clips_are_embedded_in_vain(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch, options: str, said: str, looks: int
) -> None:
    embedded: list[object] = []

    def note(encoders: object, *rest: Any, **options: Any) -> Any:
        embedded.append(encoders)
        return embed_clips(encoders, *rest, **options)

    monkeypatch.setattr(benchmark, "embed_clips", note)
    ids = [f"clip {number}" for number in range(6)]
    Path("torn.npz").write_text("torn")
    np.savez("few.npz", id=ids[:1], sound=np.ones((1, 3)))
    np.savez("deaf.npz", id=ids, image=np.ones((6, 3)))
    np.savez("two.npz", id=ids, sound=np.ones((6, 3)), image=np.ones((6, 2)))
    refused(hearsight, f"retrieve good.safetensors good.safetensors {RUN} {options}", said)
    assert len(embedded) == looks


def test_clips_that_cannot_be_scored(hearsight: Hearsight) -> None:
    make_store(Path("mute"), [None, None])
    line = "retrieve good.safetensors --device cpu --data"
    refused(hearsight, f"{line} mute", "Of the 2 clips none has a class label")
    Path("empty").mkdir()
    refused(hearsight, f"{line} empty", "'empty' holds no clips")
    refused(hearsight, f"{line} gone", "'gone' names no clips")
    refused(hearsight, f"retrieve gone.safetensors {RUN}", "gone.safetensors")


def test_splits(hearsight: Hearsight) -> None:
    Path("vggsound.csv").write_text(TABLE)
    code, out, err = hearsight("data splits vggsound.csv --out lists")
    assert code == 0
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["clips"] for row in rows] == [3, 3, 1]
    assert "inferred" in err
    assert "1 video has clips both" in err
    assert "32 of the 35 unseen classes have no clip" in err
    assert sorted(path.name for path in Path("lists").iterdir()) == [
        "train_110.csv",
        "trainval_274.csv",
        "unseen_35.csv",
    ]
    refused(hearsight, "data splits gone.csv", "'gone.csv' cannot be read")
    refused(hearsight, "data splits vggsound.csv --out vggsound.csv", "'vggsound.csv' cannot be")
