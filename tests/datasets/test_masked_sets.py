"""Data sets with exact masks in their own layouts: sources, clips, parts, and what is missing."""

import errno
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import made_masked as made
import numpy as np
import pytest
from made_masked import IS3, SIDE, save_mask, save_picture, square
from PIL import Image

from hearsight.clips.clip import Clips, StoredClips, UnreadableClip
from hearsight.clips.frame_truth import FrameTruth, MaskedClips, frames_by_clip, origins
from hearsight.clips.leaks import check_selection
from hearsight.clips.masked_store import MaskedStore, encode_truth
from hearsight.clips.selection import JoinedClips, name_left_out, restrict
from hearsight.clips.shard_writer import StoreWriter, write_store
from hearsight.datasets.avsbench_semantic import palette
from hearsight.datasets.masked_frames import MaskedFrame, Sources, fitted, read_mask
from hearsight.datasets.open import name_as_test, open_clips, tells_splits
from hearsight.datasets.statistics import count, statistics_text
from hearsight.errors import HearsightError
from hearsight.scoring.saved_map_scores import evaluate_maps


def truths(clips: object) -> dict[str, FrameTruth | None]:
    assert isinstance(clips, MaskedClips)
    return {id: clips.frame_truth(index) for index, id in enumerate(clips.ids)}


@pytest.mark.parametrize("kind", ["grey", "ones", "bits", "palette", "colour", "float", "jpeg"])
def test_a_mask_is_what_is_not_black_however_it_is_written(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"mask.{ {'float': 'tiff', 'jpeg': 'jpg'}.get(kind, 'png') }"
    save_mask(path, square(), kind)
    assert np.array_equal(read_mask(path), square())
    save_mask(path, np.zeros((SIDE, SIDE), np.bool_), kind)
    assert not read_mask(path).any()


def test_a_resized_mask_is_cut_at_half_of_its_range(tmp_path: Path) -> None:
    for top, kind in ((255, "L"), (1.0, "F")):
        levels = np.linspace(0, top, 11)[None].repeat(2, 0)
        path = tmp_path / f"{kind}.tiff"
        Image.fromarray(levels.astype(np.uint8 if kind == "L" else np.float32)).save(path)
        assert read_mask(path).sum() == 2 * (5 if kind == "L" else 6)


@pytest.mark.parametrize("kind", ["<u2", ">u2"])
@pytest.mark.parametrize("top", [1, 255, 65_535])
def test_a_mask_of_16_bits_is_read_in_either_order_of_bytes(
    tmp_path: Path, kind: str, top: int
) -> None:
    path = tmp_path / "mask.tiff"
    Image.fromarray((square() * top).astype(kind)).save(path)
    assert path.read_bytes()[:2] == (b"II" if kind == "<u2" else b"MM")
    assert np.array_equal(read_mask(path), square())


def test_a_mask_is_scaled_to_its_frame_if_it_has_the_same_shape() -> None:
    mask = np.array([[True, False]])
    assert fitted(mask, 2, 4).tolist() == [[True, True, False, False]] * 2
    with pytest.raises(ValueError, match="2 x 1 pixels, its frame 4 x 4"):
        fitted(mask, 4, 4)


@pytest.mark.parametrize("released", [True, False])
def test_is3_pairs_two_sources_of_a_scene_by_their_stem(tmp_path: Path, released: bool) -> None:
    clips = open_clips(str(made.is3(tmp_path, released=released)))
    assert clips.ids == list(IS3)
    assert [clips[i].label for i in range(4)] == ["dog", "harpsichord", "fox", "subway"]
    assert clips[3].boxes == ((28 / 224, 56 / 224, 140 / 224, 168 / 224),)
    assert np.array_equal(clips[0].mask, square())
    assert frames_by_clip(clips) == {id: [i] for i, id in enumerate(IS3)}
    assert name_left_out(clips, "IS3") == []


def test_s4_has_five_frames_a_clip_and_in_train_one_mask(tmp_path: Path) -> None:
    folder = str(made.s4(tmp_path, "palette"))
    train, test = open_clips(folder), open_clips(folder, split="val")
    assert train.ids == [f"AAAAAAAAAAA_{n}" for n in range(1, 6)]
    assert [each is not None for each in truths(train).values()] == [True] + [False] * 4
    found = list(truths(test).values())
    assert [(each.clip, each.number, each.subset) for each in found if each] == [
        ("BBBBBBBBBBB", number, "test") for number in range(5)
    ]
    assert test[0].label == "lion roar"
    assert [bool(each and each.sources) for each in found] == [True] * 4 + [False]
    assert tells_splits(folder)
    assert open_clips(f"{folder}@test").ids == test.ids
    assert len(test.sound(0)) == 800
    with pytest.raises(HearsightError, match="no frames of 'val', only of test, train"):
        open_clips(f"{folder}@val")
    with pytest.raises(HearsightError, match=r"no list and no part 'dev': .* has train, val, test"):
        open_clips(f"{folder}@dev")


def test_ms3_names_its_frames_otherwise_and_its_masks_may_be_ones(tmp_path: Path) -> None:
    clips = open_clips(str(made.ms3(tmp_path)), split="val")
    assert clips.ids == [f"CCCCCCCCCCC_1_{n}" for n in range(1, 6)]
    assert clips[0].label == "guitar, violin"
    assert all(np.array_equal(each.mask(), square()) for each in truths(clips).values() if each)
    assert tells_splits(str(tmp_path))


def test_no_part_is_taken_for_another_unasked(tmp_path: Path) -> None:
    only_test = str(made.ms3(tmp_path / "ms3"))
    with pytest.raises(HearsightError, match="no frames of 'train', only of test"):
        open_clips(only_test)
    assert len(open_clips(f"{only_test}@test")) == 5
    halved = made.s4(tmp_path / "s4")
    for path in halved.glob("s4_data/audio_wav/test/*/*.wav"):
        path.unlink()
    with pytest.raises(HearsightError, match="no frames of 'test', only of train"):
        open_clips(str(halved), split="val")
    only_val = open_clips(str(made.vpo(tmp_path / "vpo")), split="val")
    assert "no part 'test', so all of it" in " ".join(name_left_out(only_val, "vpo"))


def test_a_video_whose_name_another_one_begins_with_keeps_all_its_frames(tmp_path: Path) -> None:
    made.ms3(tmp_path)  # of CCCCCCCCCCC_1
    made.save_sound(tmp_path / "ms3_data/audio_wav/test/CCCCCCCCCCC.wav")
    for number in range(1, 6):
        name = f"CCCCCCCCCCC/CCCCCCCCCCC.mp4_{number}.png"
        save_picture(tmp_path / "ms3_data/visual_frames" / name)
        mask = tmp_path / "ms3_data/gt_masks/test/CCCCCCCCCCC" / f"CCCCCCCCCCC_{number}.png"
        save_mask(mask, square())
    clips = open_clips(str(tmp_path), split="val")
    frames = frames_by_clip(clips)
    assert {clip: len(own) for clip, own in frames.items()} == {
        "CCCCCCCCCCC_1": 5,
        "CCCCCCCCCCC": 5,
    }


def test_frames_come_in_the_order_of_the_table(tmp_path: Path) -> None:
    made.s4(tmp_path)
    for video in ("AAAAAAAAAAB", "ZZZZZZZZZZZ"):
        made.save_sound(tmp_path / f"s4_data/audio_wav/test/lion_roar/{video}.wav")
        name = Path("test/lion_roar", video, f"{video}_1.png")
        save_picture(tmp_path / "s4_data/visual_frames" / name)
        save_mask(tmp_path / "s4_data/gt_masks" / name, square())
    order = ["ZZZZZZZZZZZ", "BBBBBBBBBBB", "AAAAAAAAAAB"]
    rows = [("name", "category", "split"), *((one, "lion_roar", "test") for one in order)]
    made.save_table(tmp_path / "s4_meta_data.csv", rows)
    clips = open_clips(str(tmp_path), split="val")
    assert list(frames_by_clip(clips)) == order
    assert clips.ids[1:6] == [f"BBBBBBBBBBB_{number}" for number in range(1, 6)]


def test_a_flat_copy_is_read_like_the_official_one(tmp_path: Path) -> None:
    made.s4(tmp_path / "official")
    made.flat(tmp_path / "flat")
    official = open_clips(str(tmp_path / "official"), split="val")
    clips = open_clips(str(tmp_path / "flat"), split="val")
    assert clips.ids == official.ids
    assert np.array_equal(clips[1].mask, official[1].mask)
    listed = tmp_path / "some.csv"
    listed.write_text("BBBBBBBBBBB_2,lion\nBBBBBBBBBBB_1,lion\nXXXXXXXXXXX_1,cat\n")
    some = open_clips(f"{tmp_path / 'flat'}@{listed}")
    assert some.ids == ["BBBBBBBBBBB_2", "BBBBBBBBBBB_1"]
    assert some[0].label == "lion"
    [said] = name_left_out(some, "flat")
    assert "1 of 3 frames" in said
    assert "XXXXXXXXXXX_1" in said


def test_lists_of_boxes_are_read_beside_any_layout(tmp_path: Path) -> None:
    made.s4(tmp_path / "s4")
    made.ms3(tmp_path / "ms3")
    names = {"s4": "BBBBBBBBBBB_{}.png", "ms3": "CCCCCCCCCCC_1.mp4_{}.png"}
    for name, pattern in names.items():
        pictures = [pattern.format(n) for n in range(1, 6)]
        items = made.box_items("/mnt/x/test/lion", pictures) + made.box_items("/m", ["gone.png"])
        items[0]["gt_box"] = [0.0, 0.0, 0.0, 0.0]
        (tmp_path / f"{name}_box.json").write_text(json.dumps(items))
        clips = open_clips(f"{tmp_path / name}@{name}_box.json")
        assert len(clips) == 5
        assert clips[0].boxes == ((0.0,) * 4,)
        assert clips[1].boxes == ((0.125, 0.25, 0.625, 0.75),)
        assert "gone" in name_left_out(clips, name)[0]


def test_semantic_masks_have_a_source_for_each_class(tmp_path: Path) -> None:
    assert palette()[[1, 2, 4, 8, 70]].tolist() == [
        [128, 0, 0],
        [0, 128, 0],
        [0, 0, 128],
        [64, 0, 0],
        [32, 128, 128],
    ]
    clips = open_clips(str(made.semantic(tmp_path)), split="val")
    assert clips.ids == [f"EEEEEEEEEEE_0_10000/{n}" for n in range(10)]
    first = truths(clips)[clips.ids[0]]
    assert first is not None
    assert [(each.name, int(each.mask.sum())) for each in first.sources] == [("dog", 256)]
    assert first.kind == "v2"
    assert "FFFFFFFFFFF_0_10000" in name_left_out(clips, "AVSS")[0]
    train = truths(open_clips(f"{tmp_path}@train"))
    assert [each is not None for each in train.values()] == [True] + [False] * 4


def test_vpo_has_the_sounds_of_all_sources_of_a_picture(tmp_path: Path) -> None:
    single = open_clips(str(made.vpo(tmp_path / "a")), split="val")
    several = open_clips(str(made.vpo(tmp_path / "b", several=True)), split="val")
    assert (single.ids, several.ids) == (["000000000042_000000000007"], ["000000000042"])
    one, both = truths(single)[single.ids[0]], truths(several)[several.ids[0]]
    assert one is not None
    assert both is not None
    assert [(each.label, each.sounds) for each in one.sources] == [("dog", True)]
    assert [each.label for each in both.sources] == ["dog", "baby"]
    assert int(both.mask().sum()) == 256 + 4
    heard, sum_of = int(single.sound(0)[0]), int(several.sound(0)[0])
    assert sum_of == pytest.approx(3 * heard, abs=2)
    assert origins(several) == ["GGGGGGGGGGG_000030", "HHHHHHHHHHH_000010"]


def test_numbers_of_vpo_may_be_written_as_decimals(tmp_path: Path) -> None:
    table = made.vpo(tmp_path) / "vpo.csv"
    table.write_text(table.read_text().replace("42,7,18,", "42.0,7.0,18.0,"))
    clips = open_clips(str(table.parent), split="val")
    [found] = truths(clips).values()
    assert found is not None
    assert [(each.label, each.sounds) for each in found.sources] == [("dog", True)]


def test_a_row_of_vpo_that_no_file_or_mask_can_have_is_left_out(tmp_path: Path) -> None:
    table = made.vpo(tmp_path) / "vpo.csv"
    whole = table.read_text()
    row = "dog,42,7,18,GGGGGGGGGGG_000030,val"
    assert row in whole
    for other in (row.replace("42", "4" * 300), row.replace("18", "1" * 5000)):
        table.write_text(f"{whole}{other}\n")
        [found] = truths(open_clips(str(table.parent), split="val")).values()
        assert found is not None
        assert [(each.label, each.sounds) for each in found.sources] == [("dog", True)]


def test_an_expression_of_ref_avs_is_a_clip_and_null_ones_show_nothing(tmp_path: Path) -> None:
    clips = open_clips(str(made.ref_avs(tmp_path)), split="val")
    found = truths(clips)
    uid = "IIIIIIIIIII_1000_11000_hair-dryer_1"
    null = "null_c-IIIIIIIIIII_1000_11000_null_1"
    assert list(frames_by_clip(clips)) == [uid, null]
    first, last = found[f"{uid}/0"], found[f"{null}/9"]
    assert first is not None
    assert last is not None
    assert np.array_equal(first.mask(), square())
    assert (first.subset, first.null, first.sources[0].label) == ("test_u", False, "hair-dryer")
    assert (last.subset, last.null, last.sources, last.number) == ("test_n", True, (), 9)
    said = " ".join(name_left_out(clips, "Ref-AVS"))
    for words in ("1 of 4 expressions has no media", "cat_1", "twice", "1 of 5 rows", "dog_1"):
        assert words in said
    assert set(frames_by_clip(open_clips(f"{tmp_path}@test_u"))) == {uid}
    assert origins(clips) == ["IIIIIIIIIII_1000_11000"]


def test_outlines_of_avatar_are_sources_and_off_screen_sounds_show_none(tmp_path: Path) -> None:
    clips = open_clips(str(made.avatar(tmp_path)))
    assert clips.ids == ["l_7B1wnTNtA_00020/00009", "l_7B1wnTNtA_00020/00254"]
    mixed, off = truths(clips).values()
    assert mixed is not None
    assert off is not None
    assert [each.name for each in mixed.sources] == ["dog", "dog 2"]
    assert np.array_equal(mixed.sources[0].mask, square())
    assert (mixed.kind, mixed.null, mixed.number) == ("Mixed-sound", False, 0)
    assert (off.kind, off.null, off.sources, off.number) == ("Off-Screen", True, (), 1)
    assert "00300" in name_left_out(clips, "AVATAR")[0]


MAKERS: dict[str, Callable[[Path], Path]] = {
    "is3": made.is3,
    "s4": made.s4,
    "ms3": made.ms3,
    "flat": made.flat,
    "semantic": made.semantic,
    "vpo": made.vpo,
    "ref_avs": made.ref_avs,
    "avatar": made.avatar,
}


VIDEOS = {
    "is3": 4,
    "s4": 1,
    "ms3": 1,
    "flat": 1,
    "semantic": 1,
    "vpo": 1,
    "ref_avs": 1,
    "avatar": 1,
}


@pytest.mark.parametrize("name", MAKERS)
def test_every_set_is_counted_stored_and_known_as_a_test_set(tmp_path: Path, name: str) -> None:
    folder = MAKERS[name](tmp_path / "set")
    divided = name in ("s4", "ms3", "vpo", "ref_avs")  # of which the test part alone is there
    found = count(str(folder), "val" if divided or name == "semantic" else None, decode=True)
    assert found.masks["masked frames"] > 0
    assert (found.videos, found.unreadable) == (VIDEOS[name], {})
    assert len(found.shared_videos) == (1 if name == "ref_avs" else 0)  # frames are no clips
    assert found.masks["null frames"] == {"ref_avs": 10, "avatar": 1}.get(name, 0)
    assert found.empty_masks == (("BBBBBBBBBBB_5",) if name == "s4" else ())
    assert "exact masks" in statistics_text(found)
    clips = open_clips(str(folder), split="val")
    assert write_store(clips, tmp_path / "store").added == len(clips)
    assert same_truths(open_clips(str(tmp_path / "store")), clips)
    again = count(str(tmp_path / "store"))
    assert (again.masks, again.videos, again.empty_masks) == (
        (found.masks, found.videos, found.empty_masks)
    )
    with pytest.raises(HearsightError, match="names a test set"):
        check_selection(name_as_test(str(folder)), None, allowed=False)


def same_truths(first: Clips, second: Clips) -> bool:
    """Whether two sources tell the same of every frame, pixel by pixel."""
    assert isinstance(first, MaskedClips)
    assert isinstance(second, MaskedClips)
    assert first.ids == second.ids
    for index in range(len(first)):
        one, other = first.frame_truth(index), second.frame_truth(index)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert replace(one, sources=()) == replace(other, sources=())
            for a, b in zip(one.sources, other.sources, strict=True):
                assert (a.name, a.label, a.sounds) == (b.name, b.label, b.sounds)
                assert np.array_equal(a.mask, b.mask)
        assert (first.clip_of(index), first.origins_of(index), first.annotation(index)) == (
            (second.clip_of(index), second.origins_of(index), second.annotation(index))
        )
        assert np.array_equal(first[index].mask, second[index].mask)
    return True


def test_a_store_keeps_frames_that_nobody_masked_and_masks_of_another_size(tmp_path: Path) -> None:
    folder = made.s4(tmp_path / "s4")
    large = np.zeros((90, 90), np.bool_)
    large[31:77, 12:59] = True
    save_mask(folder / "s4_data/gt_masks/train/dog_bark/AAAAAAAAAAA/AAAAAAAAAAA_1.png", large)
    clips = open_clips(str(folder))
    write_store(clips, tmp_path / "store")
    assert same_truths(open_clips(str(tmp_path / "store")), clips)
    assert same_truths(JoinedClips([open_clips(str(tmp_path / "store"))]), clips)
    [index] = (tmp_path / "store").glob("*.index")
    index.unlink()
    assert same_truths(open_clips(str(tmp_path / "store")), clips)


PROTOCOLS = {"s4": "avsbench-official", "ref_avs": "ref-avs", "avatar": "avatar"}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_store_has_the_scores_of_its_data_set_to_the_last_digit(
    tmp_path: Path, name: str
) -> None:
    clips = open_clips(str(MAKERS[name](tmp_path / "set")), split="val")
    write_store(clips, tmp_path / "store")
    generator = np.random.default_rng(1)
    maps = {id: generator.random((7, 7)) for id in clips.ids}
    found, stored = (
        evaluate_maps(maps, one, PROTOCOLS[name])
        for one in (clips, open_clips(str(tmp_path / "store")))
    )
    assert found == stored


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_store_without_these_facts_is_refused_where_they_count(tmp_path: Path, name: str) -> None:
    clips = open_clips(str(MAKERS[name](tmp_path / "set")), split="val")
    assert isinstance(clips, StoredClips)
    with StoreWriter(tmp_path / "old") as writer:
        for index in range(len(clips)):
            writer.add(replace(clips.clip(index), truth=None))
    for path in (tmp_path / "old").glob("*.index"):  # as they were
        held = json.loads(path.read_text())
        held |= {"version": 1, "places": [each[:4] for each in held["places"]]}
        path.write_text(json.dumps(held))
    old = open_clips(str(tmp_path / "old"))
    assert not isinstance(old, MaskedStore)
    maps = {id: np.eye(7) for id in clips.ids}
    with pytest.raises(HearsightError, match="is a frame of a clip, but its store, made by an old"):
        evaluate_maps(maps, old, PROTOCOLS[name])
    assert evaluate_maps(maps, old, "masks").rows


def test_a_frame_without_its_mask_in_a_store_is_left_out_and_named(tmp_path: Path) -> None:
    clips = open_clips(str(made.s4(tmp_path / "set")), split="val")
    assert isinstance(clips, StoredClips)
    for name in ("old", "new"):
        with StoreWriter(tmp_path / name) as writer:
            for index in range(len(clips)):
                clip = clips.clip(index)
                if name == "old":
                    writer.add(replace(clip, mask=clip.mask if index else None, truth=None))
                else:
                    bare = encode_truth("BBBBBBBBBBB", ("BBBBBBBBBBB",), None)
                    writer.add(clip if index else replace(clip, mask=None, truth=bare))
        maps = {id: np.eye(7) for id in clips.ids}
        found = evaluate_maps(maps, open_clips(str(tmp_path / name)), "masks")
        assert "1 of 5 clips was left out:\n  BBBBBBBBBBB_1: nobody masked it" in found.notes[-1]


def test_two_layouts_in_one_folder_are_refused(tmp_path: Path) -> None:
    made.s4(tmp_path / "twice")
    place = tmp_path / "twice/s4_data"
    save_picture(place / "visual_frames/BBBBBBBBBBB_1.png")
    with pytest.raises(HearsightError, match="the picture 'BBBBBBBBBBB_1' twice"):
        open_clips(str(tmp_path / "twice"))
    made.s4(tmp_path / "both/s4")
    made.ms3(tmp_path / "both/ms3")
    with pytest.raises(HearsightError, match=r"several data sets: name one of them, as '.*s4'"):
        open_clips(str(tmp_path / "both"))
    made.is3(tmp_path / "mixed")
    made.avatar(tmp_path / "mixed")
    with pytest.raises(HearsightError, match=r"IS3. and of AVATAR: keep each"):
        open_clips(str(tmp_path / "mixed"))


def test_half_of_a_data_set_is_named_and_counted(tmp_path: Path) -> None:
    folder = made.s4(tmp_path)
    (folder / "s4_data/audio_wav/train/dog_bark/AAAAAAAAAAA.wav").unlink()
    (folder / "s4_data/visual_frames/test/lion_roar/BBBBBBBBBBB/BBBBBBBBBBB_2.png").unlink()
    said = " ".join(name_left_out(open_clips(str(folder), split="val"), "s4"))
    assert "5 of 9 pictures have no sound" in said
    assert "1 of 6 masks has no picture: BBBBBBBBBBB_2" in said
    assert "1 of 2 videos of" in said
    for path in folder.rglob("*.wav"):
        path.unlink()
    with pytest.raises(HearsightError, match=r"No frame .* can be used. 9 of 9 pictures"):
        open_clips(str(folder), split="val")


def test_a_mask_of_another_shape_is_an_unreadable_clip(tmp_path: Path) -> None:
    folder = made.flat(tmp_path)
    save_mask(folder / "gt_masks/BBBBBBBBBBB_3.png", np.ones((8, 30), np.bool_))
    (folder / "gt_masks/BBBBBBBBBBB_4.png").write_bytes(b"no picture")
    found = count(str(folder), decode=True)
    assert list(found.unreadable) == ["BBBBBBBBBBB_3", "BBBBBBBBBBB_4"]
    assert "another shape" in found.unreadable["BBBBBBBBBBB_3"]
    clips = open_clips(str(folder))
    with pytest.raises(UnreadableClip, match="its mask is not used: the file is not a picture"):
        clips[3]


def test_a_mask_that_a_disk_fails_to_give_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(frame: MaskedFrame) -> Sources:
        raise OSError(errno.EIO, "Input/output error")  # as of reading, which names no file

    clips = open_clips(str(made.flat(tmp_path)))
    monkeypatch.setattr(clips, "_read_sources", fail)
    with pytest.raises(UnreadableClip, match=r"gt_masks/BBBBBBBBBBB_1.png': Input/output error"):
        clips[0]


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([0, 0, 300, 100], "ends at 300: its boxes are of another size"),
        ([0.1, 0.2, 0.5, 0.9], "are fractions of the frame"),
        ([0, 0, 1], "is not a list of image, audio and gt_box"),
        ([0, 0, 1, float("nan")], "is not a list of image, audio and gt_box"),
    ],
)
def test_boxes_of_another_size_are_refused(tmp_path: Path, box: object, words: str) -> None:
    folder = made.flat(tmp_path)
    names = [f"BBBBBBBBBBB_{n}.png" for n in range(1, 6)]
    (folder / "box.json").write_text(json.dumps(made.box_items("x", names, box)))
    with pytest.raises(HearsightError, match=words):
        open_clips(str(folder))


def test_an_id_that_a_list_names_twice_counts_once(tmp_path: Path) -> None:
    folder = made.flat(tmp_path)
    items = made.box_items("x", ["BBBBBBBBBBB_1.png", "BBBBBBBBBBB_1.png"])
    (folder / "box.json").write_text(json.dumps(items))
    clips = open_clips(str(folder))
    assert clips.ids == ["BBBBBBBBBBB_1"]
    left, repeated = name_left_out(clips, "flat")
    assert "4 of 5 frames are not in" in left
    assert "BBBBBBBBBBB_1" in repeated


def test_a_clip_of_two_parts_of_avss_is_the_one_of_its_row(tmp_path: Path) -> None:
    folder = made.semantic(tmp_path)
    uid = "EEEEEEEEEEE_0_10000"
    shutil.copytree(folder / "v2" / uid, folder / "v1s" / uid)
    clips = open_clips(str(folder), split="val")
    assert {each.kind for each in truths(clips).values() if each} == {"v2"}
    assert (
        f"1 of 2 clips lies in two of v1s, v1m, v2; that of its row counts, else the first: {uid}"
        in (" ".join(name_left_out(clips, "AVSS")))
    )


def test_frames_of_no_part_are_in_none_and_named(tmp_path: Path) -> None:
    folder = made.semantic(tmp_path / "avss")
    shutil.copytree(folder / "v2/EEEEEEEEEEE_0_10000", folder / "v2/KKKKKKKKKKK_0_10000")
    for split in ("train", "val"):
        clips = open_clips(str(folder), split=split)
        assert not any(id.startswith("K") for id in clips.ids)
        assert "KKKKKKKKKKK" in " ".join(name_left_out(clips, "AVSS"))
    folder = made.s4(tmp_path / "s4")
    made.save_sound(folder / "s4_data/audio_wav/KKKKKKKKKKK.wav")
    save_picture(folder / "s4_data/visual_frames/KKKKKKKKKKK_1.png")
    for split in ("train", "val"):
        clips = open_clips(str(folder), split=split)
        assert len(clips) == 5
        said = "1 of 11 frames is of no part of the data set: KKKKKKKKKKK_1"
        assert said in " ".join(name_left_out(clips, "s4"))


def test_masks_of_other_values_than_a_set_has_are_no_empty_truths(tmp_path: Path) -> None:
    folder = made.semantic(tmp_path / "avss")
    for path in folder.glob("v2/*/labels_rgb/*.png"):
        Image.fromarray(square().astype(np.uint8) * 2).save(path)  # numbers of classes
    found = count(str(folder), "val")
    assert len(found.unreadable) == 10
    assert "none of which is that of a class" in next(iter(found.unreadable.values()))
    for level in (255, 1):
        folder = made.vpo(tmp_path / str(level))
        for path in folder.glob("mask/*.png"):
            Image.fromarray(square().astype(np.uint8) * level).save(path)
        [why] = count(str(folder), "val").unreadable.values()
        assert f"has the numbers 0, {level}, none of them that of dog" in why
    for maker in (made.semantic, made.vpo):  # a black one is a frame without a masked pixel
        folder = maker(tmp_path / f"black {maker.__name__}")
        for path in [*folder.glob("v2/*/labels_rgb/*.png"), *folder.glob("mask/*.png")]:
            Image.new("RGB" if "labels" in str(path) else "L", (SIDE, SIDE)).save(path)
        found = count(str(folder), "val")
        assert (found.unreadable, len(found.empty_masks)) == ({}, found.masks["frames"])


def test_the_kind_of_an_avatar_frame_is_that_of_what_is_seen(tmp_path: Path) -> None:
    place = made.avatar(tmp_path) / "metadata/l_7B1wnTNtA_00020"
    off, seen = (
        {"task": task, "audio_visual_category": name}
        for task, name in (("Off-Screen", "man"), ("Mixed-sound", "dog"))
    )
    outline = {"segmentation": [[4, 8, 19, 8, 19, 23, 4, 23]]}
    tries = {
        "off first": ([off, seen | outline], "Mixed-sound", False, True, True),
        "off last": ([seen | outline, off], "Mixed-sound", False, True, True),
        "off with an outline": ([off | outline], "Off-Screen", True, False, True),
        "off twice": ([off, off], "Off-Screen", True, False, False),
        "two kinds": (
            [seen | outline, seen | {"task": "Single-sound"}],
            "Mixed-sound",
            False,
            True,
            True,
        ),
        "no outline": ([seen], "Mixed-sound", False, False, False),
        "none": ([], None, False, False, False),
    }
    held = {"original_width": SIDE, "original_height": SIDE}
    for annotations, kind, null, shown, named in tries.values():
        (place / "00009.json").write_text(json.dumps(held | {"annotations": annotations}))
        clips = open_clips(str(tmp_path))
        truth = next(iter(truths(clips).values()))
        assert truth is not None
        assert (truth.kind, truth.null, bool(truth.mask().any())) == (kind, null, shown)
        said = "1 of 3 frames has annotations that disagree" in " ".join(
            name_left_out(clips, "AVATAR")
        )
        assert said == named


@pytest.mark.parametrize(("side", "outlines"), [(16_384, 1), (8_000, 200)])
def test_an_annotation_of_avatar_whose_masks_no_memory_holds_is_damaged(
    tmp_path: Path, side: int, outlines: int
) -> None:
    place = made.avatar(tmp_path) / "metadata/l_7B1wnTNtA_00020"
    one = {"task": "Mixed-sound", "audio_visual_category": "dog"}
    one |= {"segmentation": [[0, 0, 1, 0, 0, 1]]}
    held = {"original_width": side, "original_height": side, "annotations": [one] * outlines}
    (place / "00009.json").write_text(json.dumps(held))
    said = " ".join(name_left_out(open_clips(str(tmp_path)), "AVATAR"))
    assert "2 of 3 annotations are damaged" in said


@pytest.mark.parametrize("box", [[], None, [[]], [None]])
def test_an_empty_box_is_a_frame_that_shows_no_source(tmp_path: Path, box: object) -> None:
    folder = made.flat(tmp_path)
    items = made.box_items("x", [f"BBBBBBBBBBB_{n}.png" for n in range(1, 6)])
    items[0]["gt_box"] = box
    (folder / "box.json").write_text(json.dumps(items))
    clips = open_clips(str(folder))
    assert clips[0].boxes == ()
    said = " ".join(name_left_out(clips, "flat"))
    assert "has an empty box, and shows no source: BBBBBBBBBBB_1" in said
    found = evaluate_maps({id: np.eye(7) for id in clips.ids}, clips, "ssl-align-others")
    assert "1 clip whose truth is empty, so that its cIoU is 0: BBBBBBBBBBB_1." in found.notes


def test_a_list_of_empty_boxes_alone_is_not_one_of_fractions(tmp_path: Path) -> None:
    folder = made.flat(tmp_path)
    items = made.box_items("x", ["BBBBBBBBBBB_1.png"], [0, 0, 0, 0])
    (folder / "box.json").write_text(json.dumps(items))
    assert open_clips(str(folder))[0].boxes == ((0.0,) * 4,)


def test_a_list_of_videos_means_all_their_frames(tmp_path: Path) -> None:
    clips = open_clips(str(made.s4(tmp_path / "s4")), split="val")
    (tmp_path / "ids.txt").write_text("BBBBBBBBBBB\nCCCCCCCCCCC\n")
    chosen, missing = restrict(clips, tmp_path / "ids.txt")
    assert (chosen.ids, missing) == (clips.ids, ["CCCCCCCCCCC"])
    for name in ("BBBBBBBBBBB", "test/BBBBBBBBBBB.npy"):
        with pytest.raises(HearsightError, match="wanted for each, called 'BBBBBBBBBBB_1' to 'BBB"):
            evaluate_maps({name: np.eye(7)}, clips, "masks")
