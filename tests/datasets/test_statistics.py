"""What is counted in lists, stores and layouts."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_clips import fill, picture, tone
from made_layouts import VGGSOUND_IDS, flickr_layout, scoring_layout
from made_numbers import vggss_boxes

from hearsight.clips.clip import Box, annotation, encode_clip
from hearsight.clips.selection import ChosenClips, JoinedClips
from hearsight.clips.shard_writer import StoreWriter
from hearsight.clips.shards import Store
from hearsight.datasets.statistics import count, statistics_text
from hearsight.errors import HearsightError


def square(side: int) -> Box:
    """A box of so many pixels on the canvas of 224."""
    return (0.0, 0.0, (side + 0.5) / 224, (side + 0.5) / 224)


def listed(path: Path, held: dict[str, list[Box]], again: str = "") -> str:
    items = [{"file": id, "class": id[0], "bbox": boxes} for id, boxes in held.items()]
    items += [item for item in items if item["file"] == again]
    path.write_text(json.dumps(items))
    return str(path)


def test_everything_in_a_list_is_counted_and_named(tmp_path: Path) -> None:
    held = {
        "AAAAAAAAAAA_000001": [square(31)],
        "AAAAAAAAAAA_000050": [square(32)],
        "BBBBBBBBBBB_000001": [square(95), square(10)],
        "CCCCCCCCCCC_000001": [square(144)],
        "DDDDDDDDDDD_000001": [(0.5, 0.5, -2.9e16, 0.7)],
        "EEEEEEEEEEE_000001": [square(100), (0.5, 0.5, 0.5, 0.9)],
        "FFFFFFFFFFF_000001": [],
    }
    found = count(listed(tmp_path / "list.json", held, again="CCCCCCCCCCC_000001"))
    assert (found.clips, found.videos, found.annotated, found.boxes) == (7, 6, 7, 8)
    assert found.classes == {"A": 2, "B": 1, "C": 1, "D": 1, "E": 1, "F": 1}
    assert list(found.sizes.values()) == [1, 2, 1, 1]
    assert list(found.sizes)[-1] == "144 x 144 and above"
    assert found.corrupt == ("DDDDDDDDDDD_000001",)
    assert found.degenerate == ("DDDDDDDDDDD_000001", "EEEEEEEEEEE_000001")
    assert found.empty == ("DDDDDDDDDDD_000001",)
    assert found.sourceless == ("FFFFFFFFFFF_000001",)
    assert found.repeated == ("CCCCCCCCCCC_000001",)
    assert found.shared_videos == {"AAAAAAAAAAA": 2}
    areas = np.array([31**2, 32**2, 95**2, 10**2, 144**2, 100**2]) / 224**2
    assert found.box_areas["0.5"] == pytest.approx(np.quantile(areas, 0.5))
    assert found.truth_areas["1"] == pytest.approx(144**2 / 224**2)
    text = statistics_text(found, most=1)
    assert "2 boxes that cover no pixel (degenerate): DDDDDDDDDDD_000001 and 1 more" in text
    row = json.loads(json.dumps(found.row(1)))
    assert row["degenerate"] == {"count": 2, "ids": ["DDDDDDDDDDD_000001"]}
    with pytest.raises(HearsightError, match="`decode`"):
        count(str(tmp_path / "list.json"), decode=True)


def test_a_store_says_its_annotations_without_being_decoded(tmp_path: Path) -> None:
    store = fill(tmp_path / "store", range(12))
    wanted = [(store[index].label, store[index].boxes) for index in range(12)]
    joined = JoinedClips([store])
    assert [annotation(store, index) for index in range(12)] == wanted
    assert [annotation(ChosenClips(joined, [5, 3]), index) for index in (0, 1)] == [
        wanted[5],
        wanted[3],
    ]
    found = count(str(tmp_path / "store"))
    assert found.classes == {"dog": 6}
    assert (found.unlabelled, found.annotated) == (6, 4)
    assert found.corrupt == ("clip 3", "clip 9")
    assert found.degenerate == found.empty == ()
    assert found.sourceless == ("clip 0", "clip 6")
    assert "--decode" in statistics_text(found)


def test_clips_that_cannot_be_read_are_named_when_they_are_read(tmp_path: Path) -> None:
    whole = encode_clip("whole", picture(1), tone())
    damaged = encode_clip("damaged", picture(2), tone())
    object.__setattr__(damaged, "frame", damaged.frame[:300])
    with StoreWriter(tmp_path / "store") as writer:
        assert writer.add(whole)
        assert writer.add(damaged)
    assert count(str(tmp_path / "store")).unreadable == {}
    found = count(str(tmp_path / "store"), decode=True)
    assert list(found.unreadable) == ["damaged"]
    assert found.clips == 2
    assert "1 clip that cannot be read: damaged (" in statistics_text(found)


def test_a_clip_in_two_shards_is_there_twice(tmp_path: Path) -> None:
    for number in range(2):
        fill(tmp_path / str(number), range(2))
    shard = tmp_path / "1" / "clips-000000.tar"
    shard.rename(tmp_path / "0" / "clips-000001.tar")
    assert Store(tmp_path / "0").repeated == ["clip 0", "clip 1"]
    assert count(str(tmp_path / "0")).repeated == ("clip 0", "clip 1")


def test_layouts_are_counted_alike(tmp_path: Path) -> None:
    found = count(str(flickr_layout(tmp_path / "flickr")))
    assert (found.clips, found.videos, found.boxes) == (2, 2, 6)


def test_a_split_is_obeyed_where_there_is_one_and_refused_elsewhere(tmp_path: Path) -> None:
    rows = "AAAAAAAAAAA,1,dog,train\nBBBBBBBBBBB,2,cat,test\nCCCCCCCCCCC,3,cat,test\n"
    (tmp_path / "both.csv").write_text(rows)
    (tmp_path / "ids.txt").write_text("AAAAAAAAAAA_000001\n")
    fill(tmp_path / "store", range(2))
    listed = str(tmp_path / "both.csv")
    assert [count(listed, split).clips for split in (None, "train", "val")] == [3, 1, 2]
    layout = f"{scoring_layout(tmp_path / 'vggss')}@list.csv"
    (tmp_path / "list.csv").write_text(
        "".join(
            f"{id[:11]},{int(id[12:])},dog,{('train', 'test')[id[0] == 'z']}\n"
            for id in VGGSOUND_IDS
        )
    )
    assert [count(layout, split).clips for split in ("train", "val")] == [2, 1]
    for source in (tmp_path / "ids.txt", tmp_path / "store", flickr_layout(tmp_path / "flickr")):
        with pytest.raises(HearsightError, match="does not tell train from val"):
            count(str(source), "train")
    for source in (listed, str(tmp_path / "store"), "toys"):
        with pytest.raises(HearsightError, match=r"may be train or val, not 'vall'.*'val'"):
            count(source, "vall")


@pytest.mark.parametrize("source", ["nowhere", "empty"])
def test_what_is_no_source_is_refused(tmp_path: Path, source: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(HearsightError, match=source):
        count(str(tmp_path / source))


def test_the_boxes_of_vgg_ss(tmp_path: Path) -> None:
    held = {f"{clip:011}_000000": list(boxes) for clip, boxes in enumerate(vggss_boxes())}
    found = count(listed(tmp_path / "vggss.json", held))
    assert (found.clips, found.boxes) == (5158, 5941)
    assert (len(found.corrupt), len(found.degenerate), len(found.empty)) == (12, 18, 2)
    assert sum(found.sizes.values()) == 5156


def test_the_real_truths_of_vgg_ss(shared: Callable[[str], Path]) -> None:
    found = count(str(shared("metadata/lvs/vggss.json")))
    assert (found.clips, found.videos, found.boxes, len(found.classes)) == (5158, 5017, 5941, 221)
    assert (len(found.corrupt), len(found.degenerate)) == (12, 18)
    assert found.empty == ("M1P1xla8rg0_000000", "MKC9LvRivTM_000030")
    assert sum(found.sizes.values()) == 5156
    assert len(found.shared_videos) == 141
