"""`hearsight index`, `search` and `similar` as they are typed."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_commands import Hearsight, refused
from made_library import RATE, make_clip, tiny_model
from made_media import numbered
from made_pages import Page
from PIL import Image

from hearsight.checkpoints.checkpoint import shipped_models


@pytest.fixture
def videos(hearsight: Hearsight) -> None:
    """In the empty folder: two videos, a broken one, and a model."""
    Path("videos").mkdir()
    make_clip(Path("videos/a.mp4"), 0, 6.0)
    make_clip(Path("videos/b.mp4"), 1, 6.0)
    Path("videos/torn.mp4").write_text("torn")
    Path("videos/notes.txt").write_text("no video")
    tiny_model(Path("tiny.safetensors"))


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.usefixtures("videos")
def test_videos_are_indexed_and_searched(hearsight: Hearsight) -> None:
    code, out, err = hearsight("index lib videos --model tiny.safetensors --every 2")
    assert code == 0
    (done,) = lines(out)
    broken = str(Path("videos/torn.mp4").absolute())
    assert done["added"] == 2
    assert done["moments"] == 6
    assert list(done["unreadable"]) == [broken]  # type: ignore[call-overload]
    assert f"skipped {broken}: " in err
    assert done["passed_over"] == {"count": 1, "names": ["notes.txt"]}
    assert "1 of the files and folders there was passed over" in err
    assert "could not be read: 1 file or folder" in err
    assert "'lib' holds 2 videos, 0 sounds and 0 pictures: 6 moments" in err
    _, out, _ = hearsight("index lib videos --prune --optimize")
    assert lines(out)[0]["unchanged"] == 2
    outputs = "--sheet s.png --page p.html -k 3"
    code, out, err = hearsight(f"search lib --video videos/a.mp4 --at 3 {outputs}")
    assert (code, err) == (0, "wrote s.png\nwrote p.html\n")
    first = lines(out)[0]
    assert first == {
        "file": str(Path("videos/a.mp4").absolute()),
        "time": 3.0,
        "score": 1.0,
        "kind": "video",
        "silent": False,
    }
    assert len(lines(out)) == 3
    assert np.asarray(Image.open("s.png")).ndim == 3
    assert "Sounds like a.mp4 at 3 s" in Path("p.html").read_text()
    Image.fromarray(numbered(16)).save("q.png")
    line = "search lib --image q.png --to sound --exact"
    assert len(lines(hearsight(line)[1])) in (3, 4)  # of two videos; more only as the first three
    assert len(lines(hearsight(f"{line} --same-video keep")[1])) == 6
    code, out, err = hearsight("similar lib videos/a.mp4 --at 3 --same-video drop --to image")
    assert "Nothing was found" not in err
    assert {str(line["file"])[-5:] for line in lines(out)} == {"b.mp4"}
    soundfile.write("silent.wav", np.zeros(RATE), RATE)
    code, out, err = hearsight("search lib --sound silent.wav -k 2")
    assert code == 0
    assert "Warning: 'silent.wav' is silent: its nearest moments are silent ones, too." in err
    assert len(lines(out)) == 2


@pytest.mark.usefixtures("videos")
def test_where_nothing_is_found_that_is_said(hearsight: Hearsight) -> None:
    hearsight("index lib videos/a.mp4 --model tiny.safetensors --every 6")
    code, out, err = hearsight("similar lib videos/a.mp4 --at 3")
    assert (code, out) == (0, "")
    assert err == "Nothing was found: 'lib' has no other sound to compare.\n"


@pytest.mark.usefixtures("videos")
def test_numbers_are_printed_to_three_digits(hearsight: Hearsight) -> None:
    hearsight("index lib videos --model tiny.safetensors --every 0.7")
    _, found, _ = hearsight("search lib --video videos/a.mp4 --at 1 -k 20 --same-video keep")
    _, localised, _ = hearsight("localise videos/a.mp4 --every 0.7 --model tiny.safetensors")
    numbers = [
        number
        for line in lines(found) + lines(localised)
        for number in line.values()
        if isinstance(number, float)
    ]
    assert len(numbers) > 40
    assert all(number == round(number, 3) for number in numbers)
    assert any(number != round(number, 2) for number in numbers)
    assert "-0.0" not in found + localised


@pytest.mark.usefixtures("videos")
def test_the_cards_of_a_page_are_in_the_order_of_what_is_printed(hearsight: Hearsight) -> None:
    """That is the order of their scores, where silent moments come last among sounds."""
    make_clip(Path("videos/silent.mp4"), 2, 6.0, gain=0.0)
    hearsight("index lib videos --model tiny.safetensors --every 1")
    Image.fromarray(numbered(16)).save("q.png")
    for number, line in enumerate(
        (
            "search lib --video videos/a.mp4 --at 3",
            "search lib --image q.png",
            "similar lib videos/b.mp4 --at 2.5",
            "similar lib videos/b.mp4 --at 2.5 --to image --same-video drop",
        )
    ):
        code, out, _ = hearsight(f"{line} -k 12 --page p{number}.html")
        printed = lines(out)
        assert (code, len(printed) > 3) == (0, True)
        text = Path(f"p{number}.html").read_text()
        shown = re.findall(r"<strong>(.+?)</strong> 0:([\d.]+).*?>(\w+\.mp4)</a>", text)
        assert [(float(score), float(time), name) for score, time, name in shown] == [
            (one["score"], round(float(one["time"]), 1), Path(str(one["file"])).name)  # type: ignore[arg-type]
            for one in printed
        ]
        assert [one["id"] for one in Page(text).all("figure")[-len(printed) :]] == [
            f"moment-{rank}" for rank in range(1, len(printed) + 1)
        ]
        by_sound = "image" not in line
        ranks = [(by_sound and one["silent"], -float(one["score"])) for one in printed]  # type: ignore[arg-type]
        assert ranks == sorted(ranks)
        assert any(one["silent"] for one in printed) or "drop" in line


@pytest.mark.usefixtures("videos")
def test_missing_files_are_pruned_and_reported(hearsight: Hearsight) -> None:
    hearsight("index lib videos --model tiny.safetensors")
    Path("videos/a.mp4").unlink()
    refused(hearsight, "index lib videos/a.mp4", "There is no file or folder 'videos/a.mp4'")
    code, out, err = hearsight("index lib videos/a.mp4 --prune")
    assert (code, lines(out)[0]["removed"], lines(out)[0]["moments"]) == (0, 1, 2)
    assert "removed, being gone: 1 file" in err
    Path("videos/b.mp4").unlink()
    Path("videos/torn.mp4").unlink()
    code, out, err = hearsight("index lib videos --prune")
    assert (code, lines(out)[0]["removed"], lines(out)[0]["moments"]) == (0, 1, 0)


@pytest.mark.usefixtures("videos")
def test_wrong_options_are_refused_before_the_work(hearsight: Hearsight) -> None:
    index = "index lib videos --model tiny.safetensors"
    for every in ("1e-9", "0", "-1", "nan", "inf"):
        refused(hearsight, f"{index} --every {every}", "--every must be")
    for device in ("abacus", "meta", "cuda:99"):
        refused(hearsight, f"{index} --device {device}", f"There is no device '{device}' here")
    for number in ("0", "-3", "99999", f"{10**30}", "many"):
        refused(hearsight, f"{index} --batch-size {number}", "--batch-size")
        refused(hearsight, f"{index} --threads {number}", "--threads")
    torn = index.replace("videos", "videos/torn.mp4")
    refused(hearsight, torn, "nothing could be read: torn.mp4: '")
    for place in ("foo://x", "s3://", "''", "tiny.safetensors"):
        for line in ("index {} videos", "search {} --sound q.wav", "similar {} a.mp4 --at 1"):
            refused(
                hearsight, line.format(place), place.strip("'") or "name of the library is empty"
            )
    hearsight(f"{index} --every 3")
    Path("folder.png").mkdir()
    Path("model.png").touch()
    # the query files are broken, too: these options are checked before
    for line in ("search lib --sound videos/torn.mp4", "similar lib videos/torn.mp4 --at 1"):
        refused(hearsight, f"{line} -k 0", "`k` must be from 1 to 10,000, not 0")
        refused(hearsight, f"{line} -k {10**12}", "`k` must be from 1 to 10,000")
        refused(hearsight, f"{line} --sheet s.gif", "'s.gif' must end in .png")
        refused(hearsight, f"{line} --sheet none/s.png", "there is no folder 'none'")
        refused(hearsight, f"{line} --sheet folder.png", "'folder.png' is a folder")
        refused(hearsight, f"{line} --page p.txt", "'p.txt' must end in .html")
        refused(hearsight, f"{line} --page /proc/p.html", "'/proc/p.html' cannot be written")
    refused(hearsight, "search lib --image model.png --sheet model.png", "is read for this")
    for at in ("-1", "nan", "inf", "99"):
        refused(hearsight, f"search lib --video videos/a.mp4 --at {at}", "lasts 6.0 s")
        refused(hearsight, f"similar lib videos/a.mp4 --at {at}", "moments from 1.5 to 4.5 s")


@pytest.mark.usefixtures("videos")
def test_mistakes(hearsight: Hearsight) -> None:
    Path("empty").mkdir()
    refused(hearsight, "index lib empty", "'empty' holds no videos")
    refused(hearsight, "index lib", "Name the videos or folders")
    refused(hearsight, "index lib absent.mp4", "There is no file or folder 'absent.mp4'")
    refused(hearsight, "index lib videos --engine rey", "Did you mean 'ray'")
    ray = "index lib videos --model tiny.safetensors --engine ray"
    refused(hearsight, f"{ray} --threads 2", "--threads is for the local engine")
    refused(hearsight, f"{ray} --device cpu:0", "name the device cpu, not cpu:0")
    refused(hearsight, "index videos videos --model tiny.safetensors", "is not a library: it holds")
    refused(hearsight, "index lib videos --model nowhere", "neither a checkpoint")
    refused(hearsight, "search lib --sound videos/a.mp4", "There is no library 'lib'")
    refused(hearsight, "similar lib videos/a.mp4 --at 1", "There is no library 'lib'")
    hearsight("index lib videos/a.mp4 --model tiny.safetensors")
    refused(hearsight, "search lib", "Give one thing to search by")
    refused(hearsight, "search lib --video videos/a.mp4", "given together")
    refused(hearsight, "search lib --sound videos/a.mp4 --at 1", "given together")
    refused(hearsight, "search lib --sound videos/a.mp4 --image q.png", "Give one thing")
    refused(hearsight, "search lib --sound videos/a.mp4 --to picture", "--to is sound or image")
    refused(hearsight, "search lib --sound videos/a.mp4 --page p.txt", "must end in .html")
    refused(hearsight, "search lib --sound videos/a.mp4 --sheet p.gif", "must end in")
    refused(hearsight, "similar lib videos/b.mp4 --at 1", "is not in the library 'lib'")
    shipped = next(iter(shipped_models()))
    refused(hearsight, f"index lib videos --model {shipped} --quiet", "vectors of two models")
    for path in Path("lib/moments.lance/data").iterdir():
        path.write_bytes(b"garbage")
    refused(hearsight, "search lib --sound videos/a.mp4", "index its videos into a new one")
