"""`localise --export` writes what it prints, in every format at once."""

import json
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import soundfile
from made_commands import Hearsight
from made_library import make_clip, tiny_model
from made_media import sine
from PIL import Image

from hearsight.exports.formats import FORMATS


@pytest.fixture
def files(hearsight: Hearsight) -> None:
    """In the folder of the command: a model, a video of 4 s, a picture and a sound."""
    assert hearsight
    tiny_model(Path("tiny.safetensors"))
    make_clip(Path("film.mp4"), 1, 4.0)
    Image.new("RGB", (64, 48), "red").save("a.png")
    soundfile.write("a.wav", sine(440.0, 2.0, 16_000), 16_000)


@pytest.mark.usefixtures("files")
def test_where_no_moment_has_a_source_that_is_said(hearsight: Hearsight) -> None:
    model = "--model tiny.safetensors"
    code, out, err = hearsight(f"localise film.mp4 {model} --threshold 1")
    highest = max(json.loads(line)["confidence"] for line in out.splitlines())
    assert code == 0
    assert f"any of the 4 moments: the highest confidence is {highest:.3f}, below the" in err
    soundfile.write("silent.wav", 0 * sine(440.0, 2.0, 16_000), 16_000)
    _, _, err = hearsight(f"localise a.png --sound silent.wav {model} --threshold -1")
    assert "No source was found at this moment: the sound is silent (below -60 dBFS).\n" in err
    _, _, err = hearsight(f"localise a.png --sound a.wav {model} --threshold -1")
    assert "No source" not in err


@pytest.mark.usefixtures("files")
def test_every_format_is_written_from_one_run(hearsight: Hearsight) -> None:
    line = "localise film.mp4 --model tiny.safetensors --every 0.5 --threshold -1"
    names = [f"film{format.ending}" for format in FORMATS.values()]
    code, out, err = hearsight(f"{line} {' '.join(f'--export {name}' for name in names)}")
    assert code == 0, err
    assert all(f"wrote {name}\n" in err for name in names)
    assert Path("film.jsonl").read_text() == out
    printed = [json.loads(line) for line in out.splitlines()]
    assert [one["time"] for one in printed] == [0.5 * place for place in range(8)]
    rate = Fraction(printed[0]["frame_rate"])
    assert [one["frame"] for one in printed] == [int(one["time"] * rate) for one in printed]
    track = ET.parse("film.xml").find("track")
    assert track is not None
    seen = [one["frame"] for one in printed if one["box"]]
    assert [int(box.attrib["frame"]) for box in track if box.attrib["outside"] == "0"] == seen
    asset = ET.parse("film.fcpxml").find("resources/asset")
    assert asset is not None
    assert asset.attrib["src"] == Path("film.mp4").absolute().as_uri()
    assert Path("film.vtt").read_text().count("-->") == len(printed)


@pytest.mark.usefixtures("files")
def test_a_format_that_is_named_counts_whatever_the_ending(hearsight: Hearsight) -> None:
    line = "localise a.png --sound a.wav --model tiny.safetensors --export one.txt --export two"
    code, out, err = hearsight(f"{line} --export-format jsonl --export-format coco")
    assert code == 0, err
    assert Path("one.txt").read_text() == out
    [moment] = map(json.loads, out.splitlines())
    assert (moment["frame"], moment["frame_rate"]) == (None, None)
    assert json.loads(Path("two").read_text())["images"][0]["file_name"] == "a.png"
