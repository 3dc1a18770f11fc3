"""Flickr-SoundNet: the layouts, lists and annotators' boxes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_clips import picture, tone
from made_layouts import FLICKR_IDS as IDS
from made_layouts import annotation, flickr_layout
from made_media import frequency_of, make_sound, sine

from hearsight.clips.clip import UnreadableClip, encode_picture
from hearsight.datasets.flickr import open_flickr, read_flickr_list
from hearsight.errors import HearsightError
from hearsight.media.samples import RATE


def spec_boxes(text: str) -> list[list[int]]:
    """Pixels at 224 by the letter of the protocol: drop the first child, int(224 * int / 256)."""
    from xml.etree import ElementTree

    return [
        [int(224 * int(number.text or "") / 256) for number in list(box)[1:]]
        for box in ElementTree.fromstring(text).iter("bbox")
    ]


@pytest.mark.parametrize("frames", ["frame", "frames"])
@pytest.mark.parametrize("annotations", ["anno", "Annotations"])
def test_all_annotators_boxes_are_kept_in_order(
    tmp_path: Path, frames: str, annotations: str
) -> None:
    clips = open_flickr(flickr_layout(tmp_path, frames, annotations))
    assert clips.ids == IDS
    clip = clips[1]
    assert clip.boxes is not None
    pixels = [[10, 20, 100, 200], [12, 22, 256, 255], [0, 0, 1, 1]]
    assert np.array_equal(np.array(clip.boxes) * 256, pixels)
    text = (tmp_path / annotations / f"{IDS[1]}.xml").read_text()
    assert [[int(224 * value) for value in box] for box in clip.boxes] == spec_boxes(text)
    assert np.array_equal(clip.sound, tone(seed=1))
    assert clips.clip(1).boxes == clip.boxes


def test_every_pixel_comes_back_from_its_fraction() -> None:
    assert all(int(224 * (pixel / 256)) == int(224 * pixel / 256) for pixel in range(257))


@pytest.mark.parametrize(
    "text",
    [
        "<a>",
        annotation([(1, 2, 3)]),
        annotation([("x", 2, 3, 4)]),
        annotation([(1.5, 2, 3, 4)]),
    ],
)
def test_damaged_annotations_are_reported_by_name(tmp_path: Path, text: str) -> None:
    flickr_layout(tmp_path)
    (tmp_path / "anno" / f"{IDS[0]}.xml").write_text(text)
    clips = open_flickr(tmp_path)
    with pytest.raises(UnreadableClip, match=f"clip '{IDS[0]}' .* boxes are damaged"):
        clips[0]
    assert clips[1].boxes


def test_without_annotations_nothing_is_claimed(tmp_path: Path) -> None:
    flickr_layout(tmp_path)
    (tmp_path / "anno" / f"{IDS[0]}.xml").unlink()
    assert open_flickr(tmp_path)[0].boxes is None
    with pytest.raises(HearsightError, match=r"no folder .*nowhere"):
        open_flickr(tmp_path, truth=tmp_path / "nowhere")
    (tmp_path / "else").mkdir()
    assert open_flickr(tmp_path, truth=tmp_path / "else")[1].boxes is None


def test_the_training_layout_uses_four_seconds_of_mp3(tmp_path: Path) -> None:
    id = "videos/0/0/0/2615133000.mp4"
    frames, sounds = tmp_path / "frames" / id, tmp_path / "mp3" / id
    frames.mkdir(parents=True)
    sounds.parent.mkdir(parents=True)
    (frames / "00000003.jpg").write_bytes(encode_picture(picture()))
    make_sound(Path(f"{sounds}.mp3"), sine(440, 6.0, 44_100), 44_100, "libmp3lame")
    (tmp_path / "list.txt").write_text(id)
    clips = open_flickr(tmp_path, listed=tmp_path / "list.txt")
    assert clips.ids == [id]
    assert len(clips[0].sound) == 4 * RATE
    assert frequency_of(clips[0].sound, RATE) == pytest.approx(440, abs=1)
    assert len(clips.clip(0).decode().sound) == 4 * RATE


@pytest.mark.parametrize(
    ("name", "count", "first"),
    [
        ("lvs/flickr_test.csv", 249, "10000130166"),
        ("slavc/flickr_test.csv", 250, "10000130166"),
        ("ssltie/test_flick.csv", 249, "10000130166"),
        ("ssltie/test_flickr_250.txt", 249, "10000130166"),
        ("ssltie/test_flickr_5k.txt", 5000, "10000130166"),
        ("htf/flickr_test_trimmed.csv", 178, "10000130166"),
        ("slavc/flickr_sup_train.txt", 4750, "10000255784"),
        ("ezvsl/flickr_10k.txt", 10_000, "10004743663"),
        ("ssltie/train_flickr_10k.txt", 10_000, "videos/0/0/0/2615133000.mp4"),
    ],
)
def test_the_real_lists_are_read_whole(
    shared: Callable[[str], Path], name: str, count: int, first: str
) -> None:
    named = read_flickr_list(shared(f"metadata/{name}"))
    assert (named[0].id, named[0].label) == (first, None)
    assert len(named) == count
