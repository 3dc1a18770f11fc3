"""Duets of MUSIC and VGGSound as their lists have them: boxes of a corner and a size."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_clips import picture
from made_layouts import VGGSOUND_IDS, scoring_layout, vggss
from made_models import Follower, make_model

from hearsight.clips.clip import encode_picture
from hearsight.clips.frame_truth import origins
from hearsight.clips.lists import read_list
from hearsight.clips.truth import rasterise
from hearsight.datasets.open import check_split, open_clips, read_clips, tells_splits
from hearsight.errors import HearsightError
from hearsight.media.samples import RATE
from hearsight.scoring.protocol_registry import evaluate_protocol

DUETS = [
    {
        "file": "HnUOaSfTA6c_000_00007",
        "class_src1": "cello",
        "bbox_src1": [0.15, 0.3, 0.2, 0.6],
        "class_src2": "acoustic_guitar",
        "bbox_src2": [0.5, 0.55, 0.35, 0.2],
    },
    {
        "file": "HnUOaSfTA6c_000_00014",
        "class_src1": "cello",
        "bbox_src1": [0.15, 0.31, 0.2, 0.6],
        "class_src2": "acoustic_guitar",
        "bbox_src2": [0.5, 0.54, 0.35, 0.2],
    },
    {
        "file": "awCkfdohkzE_002_00000",
        "class_src1": "trumpet",
        "bbox_src1": [0.1, 0.1, 0.3, 0.3],
        "class_src2": "flute",
        "bbox_src2": [0.6, 0.2, 0.3, 0.7],
    },
]
SOLOS = [
    {"file": "-_-TDDxoaAc_000_00000", "class": "cello", "bbox": [0.3, 0.1, 0.25, 0.85]},
    {"file": "1Ju4S0qeDqw_001_00037", "class": "cello", "bbox": [0.3, 0.35, 0.3, 0.5]},
]


def music(folder: Path, held: list[dict[str, object]], name: str = "music_duet.json") -> Path:
    """Frames, and one sound for each video: of the first 12 s, which rises by the second."""
    for kind in ("frames", "audio"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    for number, item in enumerate(held):
        file = str(item["file"])
        (folder / "frames" / f"{file}.jpg").write_bytes(encode_picture(picture(number)))
        samples = np.repeat(np.arange(12, dtype=np.int16) * 1000, RATE)
        soundfile.write(folder / "audio" / f"{file[:11]}.wav", samples, RATE, subtype="PCM_16")
    (folder / name).write_text(json.dumps(held))
    return folder


def test_a_duet_is_two_clips_of_one_frame_and_one_sound(tmp_path: Path) -> None:
    clips = open_clips(str(music(tmp_path, DUETS)), split="val")
    files = [str(item["file"]) for item in DUETS]
    assert clips.ids == [f"{file}_{place}" for file in files for place in range(2)]
    first, second = clips[0], clips[1]
    assert (first.label, second.label) == ("cello", "acoustic_guitar")
    assert first.boxes == (pytest.approx((0.15, 0.3, 0.35, 0.9)),)
    assert second.boxes == (pytest.approx((0.5, 0.55, 0.85, 0.75)),)
    assert np.array_equal(first.frame, second.frame)
    assert np.array_equal(first.sound, second.sound)
    # the middle 3 s of 12: seconds 4.5 to 7.5
    assert len(first.sound) == 3 * RATE
    assert (first.sound[0], first.sound[-1]) == (4000, 7000)
    assert origins(clips) == files  # leaks are looked for by the frames
    assert not tells_splits(f"{tmp_path}@music_duet.json")


def test_as_two_corners_the_second_source_would_cover_nothing() -> None:
    """The reading of AVGN and T-VSL: 1,016 of MUSIC-Duet's 1,020 second sources are empty."""
    corner, size = DUETS[0]["bbox_src2"][:2], DUETS[0]["bbox_src2"][2:]  # type: ignore[index]
    as_released = rasterise([(*corner, *size)], "union")
    assert as_released.pixels == 0
    meant = rasterise([(*corner, corner[0] + size[0], corner[1] + size[1])], "union")
    assert meant.pixels == (190 - 112) * (168 - 123)


def test_solos_have_one_box_and_their_class(tmp_path: Path) -> None:
    clips = open_clips(str(music(tmp_path, SOLOS, "music_solo.json")))
    assert clips.ids == [item["file"] for item in SOLOS]
    assert clips[0].boxes == (pytest.approx((0.3, 0.1, 0.55, 0.95)),)
    assert clips[0].label == "cello"
    assert read_clips(str(tmp_path / "music_solo.json"), "val").ids == clips.ids


def test_the_list_may_lie_above_or_be_named(tmp_path: Path) -> None:
    folder = music(tmp_path / "duet" / "test", DUETS)
    lists = tmp_path / "metadata"
    lists.mkdir()
    listed = (folder / "music_duet.json").rename(lists / "music_duet.json")
    assert len(open_clips(f"{folder}@{listed}")) == 6
    listed.rename(tmp_path / "duet" / "music_duet.json")
    assert len(open_clips(str(folder))) == 6
    (tmp_path / "duet" / "music_solo.json").write_text(json.dumps(SOLOS))
    with pytest.raises(HearsightError, match=r"music_duet\.json and music_solo\.json: name one"):
        open_clips(str(folder))


def test_sounds_are_found_by_frame_by_track_and_by_video(tmp_path: Path) -> None:
    folder = music(tmp_path, DUETS)
    (folder / "audio" / "HnUOaSfTA6c.wav").rename(folder / "audio" / "HnUOaSfTA6c_000.WAV")
    own = np.full(RATE, 77, np.int16)
    soundfile.write(folder / "audio" / "HnUOaSfTA6c_000_00007.wav", own, RATE, subtype="PCM_16")
    clips = open_clips(str(folder))
    assert clips.sound(0).tolist() == own.tolist()
    assert clips.sound(2)[0] == 4000
    assert clips.sound(4)[0] == 4000


def test_half_of_a_data_set_is_named(tmp_path: Path) -> None:
    folder = music(tmp_path, DUETS)
    (folder / "frames" / "awCkfdohkzE_002_00000.jpg").unlink()
    (folder / "frames" / "zzzzzzzzzzz_002_00000.jpg").write_bytes(encode_picture(picture(9)))
    (folder / "audio" / "zzzzzzzzzzz.wav").write_bytes(b"")
    clips = open_clips(str(folder))
    assert any("zzzzzzzzzzz_002_00000" in said for said in clips.passed_over)
    assert any("1 of 3 sounds" in said for said in clips.passed_over)
    found = evaluate_protocol(make_model(Follower), clips, "duets")
    assert [row["name"] for row in found.rows] == ["model, mixed sound", "blind: centred disc"]
    assert {row["duets"] for row in found.rows} == {2}
    assert "awCkfdohkzE_002_00000_0" in " ".join(found.notes)
    assert "awCkfdohkzE_002_00000_1" in " ".join(found.notes)
    assert "there is no row of each sound apart" in " ".join(found.notes)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bbox_src2": [0.5, 0.55, 0.85, 0.75]}, "is no .x, y, width, height. within its frame"),
        ({"bbox_src2": [112, 120, 60, 40]}, "is no .x, y, width, height. within its frame"),
        ({"bbox_src1": [0.1, 0.2, 0.0, 0.3]}, "is no .x, y, width, height. within its frame"),
        ({"bbox_src1": [0.1, 0.2, 0.3]}, "is not a list of file, class and bbox"),
        ({"file": "HnUOaSfTA6c_000_00014"}, "twice, and differently"),
        ({"class_src1": 3}, "is not a list of file, class and bbox"),
    ],
)
def test_other_boxes_are_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    folder = music(tmp_path, [DUETS[0] | change, *DUETS[1:]])
    with pytest.raises(HearsightError, match=said):
        open_clips(str(folder))


def test_a_source_without_a_box_has_no_truth(tmp_path: Path) -> None:
    clips = open_clips(str(music(tmp_path, [DUETS[0] | {"bbox_src1": None}, *DUETS[1:]])))
    assert clips[0].boxes is None
    assert clips[1].boxes == (pytest.approx((0.5, 0.55, 0.85, 0.75)),)


def vgg_duets(folder: Path) -> Path:
    """Three clips of VGG-SS, two duets of them, and one whose clip is gone."""
    scoring_layout(folder)
    boxes = [
        {"file": id, "class": "dog", "bbox": [[0.1 * place, 0.2, 0.5, 0.9]]}
        for place, id in enumerate(VGGSOUND_IDS)
    ]
    vggss(folder / "vggss.json", boxes)
    a, b, c = VGGSOUND_IDS
    rows = [f"{a},elk_bugling,{b},people_coughing", f"{c},raining,{a},elk_bugling"]
    rows.append(f"{b},people_coughing,ZZZZZZZZZZZ_000001,gone")
    (folder / "vggsound_duet_test.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_a_list_of_two_clips_a_row_gives_each_its_own_frame_and_sound(tmp_path: Path) -> None:
    folder = vgg_duets(tmp_path / "VGG")
    spec = f"{folder}@vggsound_duet_test.csv"
    clips = open_clips(spec, split="val")
    a, b, c = VGGSOUND_IDS
    assert clips.ids == [f"{a}~{b}_0", f"{a}~{b}_1", f"{c}~{a}_0", f"{c}~{a}_1"]
    whole = open_clips(str(folder), split="val")
    assert np.array_equal(clips[1].frame, whole[1].frame)
    assert np.array_equal(clips.sound(1), whole.sound(1))
    assert clips[1].boxes == whole[1].boxes
    assert clips[1].label == "people_coughing"
    assert "1 of 3 duets lacks a clip" in " ".join(clips.passed_over)
    assert read_list(folder / "vggsound_duet_test.csv").ids == [a, b, c, a, b, "ZZZZZZZZZZZ_000001"]
    assert set(origins(clips)) == set(VGGSOUND_IDS)
    with pytest.raises(HearsightError, match="does not tell train from val"):
        check_split(spec, "train")


@pytest.mark.parametrize(
    "text",
    [
        "{a},x,{b},y\r\n",
        "\ufeff{a},x,{b},y\n{a},x,{b},y\n",
        '"{a}", "x" ,{b},y\n',
        "{a}.mp4,x,{b}.mp4,y\n",
        "zpWuikVorYg_32000_42000,x,gEvCUcZ6w88_30,y\n",
        "id1,class1,id2,class2\n{a},x,{b},y\n",
    ],
)
def test_a_duet_is_of_the_clips_however_their_ids_are_written(tmp_path: Path, text: str) -> None:
    folder = vgg_duets(tmp_path / "VGG")
    a, b, _ = VGGSOUND_IDS
    (folder / "list.csv").write_text(text.format(a=a, b=b), newline="")
    clips = open_clips(f"{folder}@list.csv", split="val")
    assert clips.ids == [f"{a}~{b}_0", f"{a}~{b}_1"]
    assert [clips[index].label for index in range(2)] == ["x", "y"]


def test_a_duet_twice_and_differently_is_refused(tmp_path: Path) -> None:
    folder = vgg_duets(tmp_path / "VGG")
    a, b, _ = VGGSOUND_IDS
    (folder / "list.csv").write_text(f"{a},x,{b},y\n{a}.mp4,q,{b},y\n")
    with pytest.raises(HearsightError, match="twice, and differently"):
        open_clips(f"{folder}@list.csv", split="val")


def test_duets_of_clips_that_are_not_there_are_refused(tmp_path: Path) -> None:
    folder = scoring_layout(tmp_path / "VGG")
    (folder / "list.csv").write_text("AAAAAAAAAAA_000001,dog,BBBBBBBBBBB_000002,cat\n")
    with pytest.raises(HearsightError, match="None of the 1 duets in"):
        open_clips(f"{folder}@list.csv")


def test_two_frames_of_a_duet_are_scored_side_by_side(tmp_path: Path) -> None:
    clips = open_clips(f"{vgg_duets(tmp_path / 'VGG')}@vggsound_duet_test.csv", split="val")
    found = evaluate_protocol(make_model(Follower), clips, "duets")
    assert [row["name"] for row in found.rows] == [
        "model, mixed sound",
        "model, each sound apart",
        "blind: centred disc",
    ]
    disc = found.rows[-1]
    # NoPrior's rule scores each frame by itself; side by side the disc marks twice as much
    assert disc["matched AUC"] > disc["AUC"]
    assert found.rows[0]["duets"] == 2


def test_a_store_of_duets_is_read_back(tmp_path: Path) -> None:
    from hearsight.clips.clip import encoded
    from hearsight.clips.shard_writer import StoreWriter

    clips = open_clips(str(music(tmp_path / "music", DUETS)))
    with StoreWriter(tmp_path / "store") as writer:
        for index in range(len(clips)):
            writer.add(encoded(clips, index))
    store = open_clips(str(tmp_path / "store"))
    assert store.ids == clips.ids
    assert store[1].boxes == clips[1].boxes
    assert np.array_equal(store[1].sound, clips[1].sound)
