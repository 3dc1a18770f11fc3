"""Clips of one id told apart by what they were taken from, and none of them lost in silence."""

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from made_clips import fill, made
from made_commands import Hearsight
from made_layouts import VGGSOUND_IDS, flickr_layout, scoring_layout
from made_media import make_video, numbered, sine

from hearsight.clips.fingerprint import SAMPLE, file_fingerprint, fingerprint, fingerprints_differ
from hearsight.clips.shard_writer import StoreWriter, write_store
from hearsight.clips.shards import Store
from hearsight.datasets.open import open_clips
from hearsight.datasets.videos import VideoClips


def film(path: Path, first: int) -> None:
    """A film of one second that begins with frame number `first`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [numbered(first + number) for number in range(10)]
    make_video(path, frames, rate=Fraction(10), sound=sine(440 + first, 1.0, 44_100))


def test_files_are_known_by_their_bytes_and_not_by_their_names(tmp_path: Path) -> None:
    content = bytearray(5 * SAMPLE)
    paths = [tmp_path / name for name in "ab"]
    for path in paths:
        path.write_bytes(content)
    first, second = map(file_fingerprint, paths)
    assert first == second != ""
    for change in (0, 5 * SAMPLE // 2, 5 * SAMPLE - 1):
        content[change] = 1
        paths[1].write_bytes(content)
        assert fingerprints_differ(first, file_fingerprint(paths[1]))
        content[change] = 0
    paths[1].write_bytes(content[:-1])
    assert fingerprints_differ(first, file_fingerprint(paths[1]))
    assert file_fingerprint(paths[0], paths[1]) != file_fingerprint(paths[1], paths[0])
    assert file_fingerprint(tmp_path / "none") == file_fingerprint(paths[0], tmp_path) == ""


def test_only_what_can_be_compared_differs() -> None:
    assert fingerprints_differ("files:1", "files:2")
    for first, second in (
        ("files:1", "files:1"),
        ("files:1", "bytes:2"),
        ("", "files:1"),
        ("", ""),
    ):
        assert not fingerprints_differ(first, second)


def test_an_import_tells_another_video_from_the_one_that_is_there(
    hearsight: Hearsight, monkeypatch: pytest.MonkeyPatch
) -> None:
    film(Path("va/clip.mp4"), 0)
    film(Path("vb/clip.mp4"), 50)
    film(Path("vb/more.mp4"), 90)
    shutil.copytree("va", "moved")

    def imported(source: str) -> tuple[list[int], str]:
        code, out, err = hearsight(f"data import {source} --out store --workers 1")
        assert code == 0, err
        return [json.loads(out)[name] for name in ("added", "already_there", "skipped")], err

    assert imported("va")[0] == [1, 0, 0]
    kept = Store("store").clip(0)
    counts, err = imported("vb")
    assert counts == [1, 0, 1]
    assert "skipped clip.mp4: another clip has this id\n" in err
    assert Store("store").clip(0) == kept
    monkeypatch.setattr(VideoClips, "__getitem__", lambda *_: pytest.fail("a video was decoded"))
    for source in ("va", "moved"):
        assert imported(source)[0] == [0, 1, 0]
    assert imported("vb")[0] == [0, 1, 1]


def test_a_list_of_videos_and_clips_at_intervals_have_the_origin_of_their_video(
    tmp_path: Path,
) -> None:
    film(tmp_path / "videos" / "clip.mkv", 0)
    (tmp_path / "list.txt").write_text("clip.mkv\n")
    whole = VideoClips(tmp_path / "videos")
    assert fingerprint(open_clips(f"{tmp_path}/videos@list.txt"), 0) == whole.fingerprint(0) != ""
    often = VideoClips(tmp_path / "videos", every=0.4)
    assert {often.fingerprint(n) for n in range(len(often))} == {whole.fingerprint(0)}


@pytest.mark.parametrize("layout", [scoring_layout, flickr_layout])
def test_a_layout_tells_clips_whose_sound_is_another(tmp_path: Path, layout: object) -> None:
    for name in "ab":
        layout(tmp_path / name)  # type: ignore[operator]
    first, second = (open_clips(str(tmp_path / name)) for name in "ab")
    ids = list(first.ids)
    assert write_store(first, tmp_path / "store").added == len(ids)
    sounds = tmp_path / "b" / "audio"
    (sounds / f"{ids[0]}.wav").write_bytes((sounds / f"{ids[1]}.wav").read_bytes())
    (tmp_path / "b" / "frame" / f"{ids[1]}.jpg").unlink()  # what is not there is not another
    written = write_store(second, tmp_path / "store")
    assert (written.added, written.others) == (0, (ids[0],))
    assert (written.present, written.unreadable) == (len(ids) - 1, ())


def test_an_extended_list_tells_other_sounds(tmp_path: Path) -> None:
    folder = scoring_layout(tmp_path / "vgg")
    (folder / "list.csv").write_text(
        f"video,audio,label\n{','.join(VGGSOUND_IDS[:2])},non-sounding"
    )
    before = fingerprint(open_clips(f"{folder}@list.csv"), 0)
    sounds = folder / "audio"
    shutil.copy(sounds / f"{VGGSOUND_IDS[2]}.wav", sounds / f"{VGGSOUND_IDS[1]}.wav")
    assert fingerprints_differ(before, fingerprint(open_clips(f"{folder}@list.csv"), 0))


def test_stores_are_compared_by_what_is_recorded_else_by_their_bytes(tmp_path: Path) -> None:
    fill(tmp_path / "a", range(3))
    with StoreWriter(tmp_path / "b") as writer:
        writer.add(made(0))
        writer.add(replace(made(9), id="clip 1"))
        writer.add(made(2), "files:1")
    for name, others in (("a", ()), ("a", ()), ("b", ("clip 1",))):
        written = write_store(Store(tmp_path / name), tmp_path / "both")
        assert written.others == others
    assert Store(tmp_path / "both").clip(2) == made(2)
    copied = write_store(Store(tmp_path / "b"), tmp_path / "copy")
    assert copied.added == 3
    assert fingerprint(Store(tmp_path / "copy"), 2) == "files:1"


def test_an_import_says_which_clips_of_a_store_are_there_twice(hearsight: Hearsight) -> None:
    fill(Path("twice"), range(3))
    shutil.copy("twice/clips-000000.tar", "twice/clips-000001.tar")
    code, out, err = hearsight("data import twice --out store")
    assert (code, json.loads(out)["added"]) == (0, 3)
    assert "3 of 6 clips of 'twice' were left out because their ids stand in an earlier" in err
