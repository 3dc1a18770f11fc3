"""VGGSound and VGG-SS: the official layouts, lists and boxes, real ones where they are at hand."""

import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_clips import picture, tone
from made_layouts import VGGSOUND_IDS as IDS
from made_layouts import scoring_layout, training_layout, vggss, xml
from PIL import Image

from hearsight.clips.clip import StoredClips, UnreadableClip
from hearsight.clips.shard_writer import write_store
from hearsight.clips.shards import Store
from hearsight.datasets.folders import ListedClip
from hearsight.datasets.open import open_clips
from hearsight.datasets.vggsound import VggSsBoxes, open_vggsound, read_vggsound_list
from hearsight.errors import HearsightError
from hearsight.media.samples import RATE


def test_the_training_layout_gives_frame_125_and_its_sound(tmp_path: Path) -> None:
    clips = open_vggsound(training_layout(tmp_path))
    assert isinstance(clips, StoredClips)
    assert clips.ids == sorted(IDS)
    for index, id in enumerate(clips.ids):
        number = IDS.index(id)
        clip = clips[index]
        assert (clip.id, clip.label, clip.boxes) == (id, None, None)
        assert np.array_equal(clip.sound, tone(RATE * 3, number))
        assert np.array_equal(clip.sound, clips.sound(index))
        assert np.abs(clip.frame.astype(int) - picture(number)).mean() < 8
        stored = clips.clip(index).decode()
        assert np.array_equal(stored.frame, clip.frame)
        assert np.array_equal(stored.sound, clip.sound)


def test_a_layout_becomes_a_store_and_gives_the_same_clips(tmp_path: Path) -> None:
    clips = open_vggsound(training_layout(tmp_path / "vggsound"))
    written = write_store(clips, tmp_path / "store", workers=2)
    assert (written.added, written.unreadable) == (3, ())
    store = Store(tmp_path / "store")
    assert store.ids == clips.ids
    frame = tmp_path / "vggsound" / "total_video_frames" / clips.ids[0] / "125.jpg"
    assert store.clip(0).frame == frame.read_bytes()
    assert np.array_equal(store[1].sound, clips[1].sound)


def test_a_name_that_no_file_can_have_spares_the_other_clips(tmp_path: Path) -> None:
    training_layout(tmp_path)
    listed, long = tmp_path / "list.txt", "x" * 300
    for order in ([long, *IDS], [*IDS, long]):
        listed.write_text("\n".join(order))
        clips = open_vggsound(tmp_path, listed=listed)
        written = write_store(clips, tmp_path / f"store {order.index(long)}")
        assert written.added == 3
        assert [(one.id, "too long" in one.reason) for one in written.unreadable] == [(long, True)]


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    for name in ("a*b", "[ab]", "100 %", "ein Ordner", "?", "**"):
        folder = training_layout(tmp_path / name)
        clips = open_vggsound(folder)
        assert (len(clips), len(clips[0].sound)) == (3, 3 * RATE)


def test_missing_and_damaged_samples_are_skipped_by_name(tmp_path: Path) -> None:
    training_layout(tmp_path)
    (tmp_path / "total_video_frames" / IDS[0] / "125.jpg").unlink()
    (tmp_path / "total_video_3s_audio" / f"{IDS[1]}.wav").write_bytes(b"RIFF....")
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join([*IDS, "nowhere_000001"]))
    written = write_store(open_vggsound(tmp_path, listed=listed), tmp_path / "store")
    assert written.added == 1
    assert [one.id for one in written.unreadable] == [IDS[0], IDS[1], "nowhere_000001"]
    assert "125.jpg': No such file" in written.unreadable[0].reason
    assert "neither FLAC nor WAV" not in written.unreadable[1].reason
    assert Store(tmp_path / "store").ids == [IDS[2]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("b_000001\na_000002\n", [("b_000001", None), ("a_000002", None)]),
        ("a_000002\r\n\r\n  b_000001  \r\na_000002", [("a_000002", None), ("b_000001", None)]),
        ("a_000002.jpg\nb_000001.mp4\n", [("a_000002", None), ("b_000001", None)]),
        ('a_000002.mp4,"heart sounds, heartbeat"\n', [("a_000002", "heart sounds, heartbeat")]),
        ("\ufeffa_000002,dog\n", [("a_000002", "dog")]),
        ("a,30,dog,train\nb,7,cat,test\n", [("a_000030", "dog"), ("b_000007", "cat")]),
    ],
)
def test_lists_of_every_form(
    tmp_path: Path, text: str, expected: list[tuple[str, str | None]]
) -> None:
    (tmp_path / "list").write_text(text, encoding="utf-8")
    named = read_vggsound_list(tmp_path / "list")
    assert named == [ListedClip(id=id, label=label) for id, label in expected]


def test_a_list_that_knows_its_splits_gives_one(tmp_path: Path) -> None:
    path = tmp_path / "vggsound.csv"
    path.write_text("a,30,dog,train\nb,7,cat,test\n")
    assert [one.id for one in read_vggsound_list(path, "test")] == ["b_000007"]
    path.write_text("a,30,dog,train\n")
    with pytest.raises(HearsightError, match="no clip of the split 'test'"):
        read_vggsound_list(path, "test")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\n \n,\n", "is empty"),
        (b"\xff\xfe\x00\x80", "not a text file"),
        (b"a\0b\n", "not a text file"),
        (b"video,audio,label\na,b,non-sounding\n", "pairs frames with sounds of other clips"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "list").write_bytes(content)
    with pytest.raises(HearsightError, match=words):
        read_vggsound_list(tmp_path / "list")


def test_a_list_of_other_clips_is_refused(tmp_path: Path) -> None:
    training_layout(tmp_path)
    (tmp_path / "list.txt").write_text("other_000001\nmore_000002")
    with pytest.raises(HearsightError, match=r"None of 2 clips has a frame: for 'other_000001'"):
        open_vggsound(tmp_path, listed=tmp_path / "list.txt")


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match=r"no folder .*nowhere"):
        open_vggsound(tmp_path / "nowhere")
    with pytest.raises(HearsightError, match="has no folder 'frame'"):
        open_vggsound(tmp_path)
    (tmp_path / "total_video_frames").mkdir()
    with pytest.raises(HearsightError, match="has no folder 'total_video_3s_audio'"):
        open_vggsound(tmp_path)
    (tmp_path / "total_video_3s_audio").mkdir()
    with pytest.raises(HearsightError, match="There is no sound at"):
        open_vggsound(tmp_path)


def test_the_test_layout_reads_xml_boxes_unclamped(tmp_path: Path) -> None:
    scoring_layout(tmp_path)
    (tmp_path / "anno").mkdir()
    boxes = ((0.403125, 0.253125, 0.6, 0.75), (-0.5, 0.1, 1.5, -2.8823037615171176e16))
    (tmp_path / "anno" / f"{IDS[0]}.xml").write_text(xml(*boxes))
    (tmp_path / "anno" / f"{IDS[1]}.xml").write_text(xml())
    clips = open_vggsound(tmp_path)
    found = {clip.id: clip.boxes for clip in (clips[n] for n in range(3))}
    assert found == {IDS[0]: boxes, IDS[1]: (), IDS[2]: None}
    first = clips.ids.index(IDS[0])
    assert clips.clip(first).boxes == boxes


@pytest.mark.parametrize(
    "content",
    [
        "",
        "hello",
        "<annotation><bbox>",
        xml((0.1, 0.2, 0.3)),
        xml((0.1, 0.2, 0.3, 0.4, 0.5)),
        xml(("a", 0.2, 0.3, 0.4)),
        xml(("", 0.2, 0.3, 0.4)),
        xml(("nan", 0.2, 0.3, 0.4)),
        xml((0.1, 0.2, "inf", 0.4)),
        '<!DOCTYPE a [<!ENTITY x "0.1">]><a><bbox><b><v>&x;</v></b></bbox></a>',
    ],
)
def test_damaged_or_hostile_xml_is_reported_by_name(tmp_path: Path, content: str) -> None:
    scoring_layout(tmp_path)
    (tmp_path / "anno").mkdir()
    (tmp_path / "anno" / f"{IDS[0]}.xml").write_text(content)
    clips = open_vggsound(tmp_path)
    for read in (clips.__getitem__, clips.clip):
        with pytest.raises(UnreadableClip, match=f"clip '{IDS[0]}' .* boxes are damaged"):
            read(clips.ids.index(IDS[0]))
    clips.sound(clips.ids.index(IDS[0]))


@pytest.mark.parametrize("frames", ["frame", "frames"])
def test_vggss_json_is_truth_and_list(tmp_path: Path, frames: str) -> None:
    scoring_layout(tmp_path, frames)
    boxes = [[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, -2.8823037615171176e16, 1]]
    held = [
        {"file": IDS[2], "class": "dog", "bbox": boxes},
        {"file": IDS[0], "class": "cat", "bbox": []},
    ]
    vggss(tmp_path / "vggss.json", held)
    clips = open_vggsound(tmp_path)
    assert clips.ids == [IDS[2], IDS[0]]
    assert clips[0].boxes == tuple(map(tuple, boxes))
    assert (clips[0].label, clips[1].label, clips[1].boxes) == ("dog", "cat", ())
    (tmp_path / "list.csv").write_text(f"{IDS[1]}\n{IDS[0]},bird\n")
    listed = open_vggsound(tmp_path, listed=tmp_path / "list.csv")
    assert [(c.id, c.label, c.boxes) for c in (listed[0], listed[1])] == [
        (IDS[1], None, None),
        (IDS[0], "bird", ()),
    ]
    (tmp_path / "anno").mkdir()
    assert open_vggsound(tmp_path, truth=tmp_path / "anno")[0].boxes is None


@pytest.mark.parametrize(
    "held",
    [
        {},
        [],
        [1],
        [{"file": "a"}],
        [{"file": "a", "class": "b", "bbox": [[1, 2, 3]]}],
        [{"file": "a", "class": "b", "bbox": [["1", 2, 3, 4]]}],
        "x",
        5,
    ],
)
def test_a_truth_of_another_form_is_refused(tmp_path: Path, held: object) -> None:
    with pytest.raises(HearsightError, match=r"vggss\.json"):
        VggSsBoxes(vggss(tmp_path / "vggss.json", held))


def test_a_truth_that_is_missing_or_no_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(HearsightError, match=r"a\.json' cannot be read: No such file"):
        VggSsBoxes(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(HearsightError, match="is not a list of file, class and bbox"):
        VggSsBoxes(tmp_path / "a.json")


def test_the_real_vggss_json_is_kept_as_it_is(shared: Callable[[str], Path]) -> None:
    path = shared("metadata/lvs/vggss.json")
    truth = VggSsBoxes(path)
    held = json.loads(path.read_bytes())
    assert len(truth.labels) == len(held) == 5158
    degenerate = empty = 0
    for item in held:
        boxes = truth.boxes(item["file"])
        assert boxes == tuple(map(tuple, item["bbox"]))
        flat = [x1 <= x0 or y1 <= y0 for x0, y0, x1, y1 in boxes]
        degenerate += sum(flat)
        if all(flat):
            empty += 1
            assert item["file"] in ("M1P1xla8rg0_000000", "MKC9LvRivTM_000030")
    assert (degenerate, empty) == (18, 2)


@pytest.mark.parametrize(
    ("name", "count", "first", "label"),
    [
        ("lvs/vggss_test.csv", 5158, "zpWuikVorYg_000032", None),
        ("htf/vggss_test_trimmed.csv", 4670, "zpWuikVorYg_000032", None),
        ("ezvsl/vggss_10k.txt", 10_000, "00H4-cKmeNg_000153", None),
        ("ezvsl/vggss_heard_test.csv", 2564, "zpWuikVorYg_000032", None),
        ("ssltie/train_vggss_train_10k.txt", 10_000, "--PlJNEnf-s_000288", None),
        ("ssltie/test_vggss_4911.txt", 4911, "nqd6uO6hDSo_000030", None),
        ("vggsound/test.csv", 15_446, "glLQrEijrKg_000300", "playing hammond organ"),
    ],
)
def test_the_real_lists_are_read_whole(
    shared: Callable[[str], Path], name: str, count: int, first: str, label: str | None
) -> None:
    named = read_vggsound_list(shared(f"metadata/{name}"))
    assert named[0] == ListedClip(id=first, label=label)
    assert len(named) == count
    assert all(len(one.id) == 18 and one.id[11] == "_" for one in named)
    assert all((one.label is None) == (label is None) for one in named)


def test_the_real_extended_list_is_refused(shared: Callable[[str], Path]) -> None:
    with pytest.raises(HearsightError, match="pairs frames with sounds"):
        read_vggsound_list(shared("metadata/slavc/vggss_test_plus_silent.csv"))


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "PCM_U8"])
def test_sounds_of_other_rates_and_widths_are_resampled(
    tmp_path: Path, rate: int, subtype: str
) -> None:
    scoring_layout(tmp_path)
    times = np.arange(rate) / rate
    wave = 0.5 * np.sin(2 * np.pi * 440 * times)
    stereo = np.stack([wave * 1.5, wave * 0.5], 1)  # whose mean is the wave
    soundfile.write(tmp_path / "audio" / f"{IDS[0]}.wav", stereo, rate, subtype=subtype)
    clips = open_vggsound(tmp_path)
    sound = clips.sound(clips.ids.index(IDS[0]))
    assert len(sound) == RATE
    expected = 16384 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    inner = slice(500, -500)
    assert np.abs(sound[inner] - expected[inner]).max() < (300 if subtype == "PCM_U8" else 30)


@pytest.mark.parametrize(
    ("frame", "sound"), [("JPG", "WAV"), ("jpeg", "wav"), ("PNG", "WAV"), ("png", "wav")]
)
def test_files_are_found_by_suffixes_of_any_spelling(
    tmp_path: Path, frame: str, sound: str
) -> None:
    folder = scoring_layout(tmp_path)
    for kind, old, new in (("frame", "jpg", frame), ("audio", "wav", sound)):
        for path in (folder / kind).glob(f"*.{old}"):
            path.rename(path.with_suffix(f".{new}"))  # a JPEG named .png is still one
    clips = open_vggsound(folder)
    assert clips.ids == sorted(IDS)
    for number in range(len(clips)):
        assert clips[number].frame.shape == picture(0).shape
        assert len(clips.clip(number).decode().sound) > 0


def test_a_frame_of_another_kind_is_kept_without_loss(tmp_path: Path) -> None:
    scoring_layout(tmp_path)
    file = BytesIO()
    Image.fromarray(picture(5)).save(file, "BMP")
    (tmp_path / "frame" / f"{IDS[0]}.jpg").write_bytes(file.getvalue())
    clips = open_vggsound(tmp_path)
    index = clips.ids.index(IDS[0])
    assert np.array_equal(clips[index].frame, picture(5))
    assert np.array_equal(clips.clip(index).decode().frame, picture(5))


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "cannot be|empty"), (b"RIFF", "."), (b"hello" * 50, "."), (None, "No such file")],
)
def test_damaged_sounds_are_reported(tmp_path: Path, content: bytes | None, words: str) -> None:
    scoring_layout(tmp_path)
    (tmp_path / "list").write_text("\n".join(IDS))
    path = tmp_path / "audio" / f"{IDS[0]}.wav"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    clips = open_vggsound(tmp_path, listed=tmp_path / "list")
    for read in (clips.sound, clips.__getitem__, clips.clip):
        with pytest.raises(UnreadableClip, match=words):
            read(0)
    assert clips[1].id == IDS[1]


def test_a_wav_cut_by_a_full_disk_is_reported(tmp_path: Path) -> None:
    scoring_layout(tmp_path)
    path = tmp_path / "audio" / f"{IDS[0]}.wav"
    path.write_bytes(path.read_bytes()[:3000])
    clips = open_vggsound(tmp_path)
    with pytest.raises(UnreadableClip, match="cut: 3,000 of 8,044 bytes"):
        clips.sound(clips.ids.index(IDS[0]))


@pytest.mark.parametrize("name", ["vggss.json", "vggss_annotations.json", "annotations.json"])
def test_a_list_with_boxes_is_known_by_any_of_its_names_or_named(tmp_path: Path, name: str) -> None:
    made_test = scoring_layout(tmp_path / "test", "frames")
    box = (0.1, 0.2, 0.3, 0.4)
    vggss(made_test / name, [{"file": IDS[1], "class": "dog", "bbox": [box]}])
    found = open_clips(str(made_test))
    assert (found.ids, found[0].boxes) == ([IDS[1]], (box,))
    (made_test / name).rename(tmp_path / "mine.json")
    assert open_clips(str(made_test))[0].boxes is None
    named = open_clips(f"{made_test}@{tmp_path / 'mine.json'}")
    assert (named.ids, named[0].boxes, named[0].label) == ([IDS[1]], (box,), "dog")


def test_a_json_list_of_ids_alone_keeps_the_boxes_of_the_folder(tmp_path: Path) -> None:
    made_test = scoring_layout(tmp_path / "test", "frames")
    box = (0.1, 0.2, 0.3, 0.4)
    (tmp_path / "ids.json").write_text(json.dumps([IDS[1], IDS[0]]))
    spec = f"{made_test}@{tmp_path / 'ids.json'}"
    found = open_clips(spec)
    assert (found.ids, found[0].boxes) == ([IDS[1], IDS[0]], None)
    vggss(made_test / "vggss.json", [{"file": IDS[1], "class": "dog", "bbox": [box]}])
    found = open_clips(spec)
    assert (found.ids, found[0].boxes, found[1].boxes) == ([IDS[1], IDS[0]], (box,), None)


def test_training_and_test_in_one_folder_are_told_by_all_their_folders(tmp_path: Path) -> None:
    made_test = scoring_layout(tmp_path, "frames")
    (made_test / "total_video_frames").mkdir()
    with pytest.raises(HearsightError, match=r"\(total_video_frames\).*\(audio, frames\)"):
        open_clips(str(made_test))


def test_boxes_in_pixels_are_refused_and_single_corrupt_ones_kept(tmp_path: Path) -> None:
    fractions, pixels = [0.1, 0.2, 0.5, 0.9], [22.4, 44.8, 112.0, 201.6]
    held = [{"file": id, "class": "dog", "bbox": [pixels]} for id in IDS]
    wrong = vggss(tmp_path / "pixels.json", held)
    with pytest.raises(HearsightError, match=r"Most boxes of '.*pixels\.json' end beyond 2: "):
        VggSsBoxes(wrong)
    held[0]["bbox"] = [fractions, [0.1, 0.2, -2.9e16, 3e16]]
    held[1]["bbox"] = [fractions, fractions]
    held[2]["bbox"] = []
    kept = VggSsBoxes(vggss(tmp_path / "corrupt.json", held))
    assert kept.boxes(IDS[0]) == ((0.1, 0.2, 0.5, 0.9), (0.1, 0.2, -2.9e16, 3e16))
