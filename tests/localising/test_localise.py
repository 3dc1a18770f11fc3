"""From files to moments, with encoders whose result is known.

`hears_colours` sees each place's colour and hears a low tone as red, a high one as blue. So the
truth is: the box lands on the square of the colour that sounds, and follows it.
"""

import threading
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from made_media import coded_pictures, join_pictures, make_video
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from hearsight.checkpoints.checkpoint import load_model, save_checkpoint
from hearsight.errors import HearsightError
from hearsight.localising import localise as module
from hearsight.localising.localise import localise_image, localise_video
from hearsight.media.read import stream_frames
from hearsight.media.samples import RATE
from hearsight.media.source import open_media
from hearsight.media.write import write_video
from hearsight.model.colour import DEVIATION, MEAN
from hearsight.model.encoders import Encoders
from hearsight.model.spectrogram import MelSpectrogram
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe

LOW, HIGH = 300.0, 3000.0  # hertz
RED, BLUE = (220, 30, 30), (30, 30, 220)


class Colours(Encoders):
    """A grid of colours against the colour of a sound; nothing is learned."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def forward(self, frames: Tensor, spectrograms: Tensor) -> Tensor:
        deviation = torch.tensor(DEVIATION)[:, None, None]
        colours = frames * deviation + torch.tensor(MEAN)[:, None, None]
        seen = avg_pool2d(colours - colours.mean(1, keepdim=True), 8) / 0.61  # pure red is 1 long
        power = (10 ** (spectrograms / 10)).mean(3)[:, 0]
        middle = power.shape[1] // 2
        low, high = power[:, :middle].sum(1), power[:, middle:].sum(1)
        heard = torch.stack([low, torch.zeros_like(low), high], 1)
        heard = normalize(heard - heard.mean(1, keepdim=True))
        return torch.einsum("bchw,ac->bahw", seen, heard)


@pytest.fixture(autouse=True)
def hears_colours(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Every model is `Colours`; the facts of its checkpoint are what the test puts in."""
    facts: dict[str, Any] = {}
    recipe = Recipe(frame_size=96, spectrogram=MelSpectrogram(seconds=3.0))
    monkeypatch.setattr(module, "load_model", lambda source: (Colours(), recipe, facts))
    return facts


def tone(hertz: float, seconds: float, gain: float = 0.5) -> np.ndarray:
    times = np.arange(round(seconds * RATE)) / RATE
    return (gain * np.sin(2 * np.pi * hertz * times)).astype(np.float32)


def square_box(time: float) -> tuple[int, int, int, int]:
    """The red square of `film` moves from left to right, 10 pixels a second."""
    left = round(20 + 10 * time)
    return left, 40, left + 48, 88


BLUE_BOX = (208, 64, 256, 112)


def picture(time: float) -> np.ndarray:
    pixels = np.full((144, 256, 3), 128, np.uint8)
    for (x0, y0, x1, y1), colour in ((square_box(time), RED), (BLUE_BOX, BLUE)):
        pixels[y0:y1, x0:x1] = colour
    return pixels


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 s: a low tone for 4 s, silence for 4 s, a high tone for 4 s."""
    path = tmp_path_factory.mktemp("film") / "squares.mp4"
    sound = np.concatenate([tone(LOW, 4), np.zeros(4 * RATE, np.float32), tone(HIGH, 4)])
    frames = (picture(index / 10) for index in range(120))
    write_video(path, frames, frame_rate=Fraction(10), sound=sound)
    return path


def overlap(box: tuple[int, ...], truth: tuple[int, ...]) -> float:
    """Intersection over union."""
    width = min(box[2], truth[2]) - max(box[0], truth[0])
    height = min(box[3], truth[3]) - max(box[1], truth[1])
    shared = max(0, width) * max(0, height)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, truth)]
    return shared / (sum(areas) - shared)


def test_the_box_lands_on_what_sounds_and_moves_with_it_and_silence_has_none(film: Path) -> None:
    moments = list(localise_video(film, every=0.5))
    assert [moment.time for moment in moments] == [index / 2 for index in range(24)]
    for moment in moments:
        assert (moment.frame, moment.frame_rate) == (round(moment.time * 10), 10)
        if moment.time <= 3.5:
            truth: tuple[int, ...] | None = square_box(moment.time)
        elif moment.time >= 9:
            truth = BLUE_BOX
        elif 5 <= moment.time <= 7:
            truth = None
        else:
            continue  # the tone of the other side of the change may be heard
        if truth is None:
            assert (moment.box, moment.confidence, moment.share) == (None, 0.0, 0.0)
        else:
            assert moment.box is not None
            assert overlap(moment.box, truth) > 0.65
            assert 0.9 < moment.confidence <= 1.0001
            assert moment.share == pytest.approx(48 * 48 / (144 * 256), rel=0.5)


@pytest.mark.parametrize("name", ["ssl_tie:small", "composed"])
def test_no_digit_of_a_moment_depends_on_the_batch_or_on_threads(film: Path, name: str) -> None:
    model, before, found = load_model(name), torch.get_num_threads(), []
    for batch, threads in ((16, 1), (1, 2), (2, 3)):
        torch.set_num_threads(threads)
        try:
            moments = localise_video(film, model=model, every=1.9, batch_size=batch, maps=True)
            found.append([(m.box, m.confidence, m.response.tolist()) for m in moments])
        finally:
            torch.set_num_threads(before)
    assert len(found[0]) >= 4
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_leaving_in_the_middle_of_a_film_ends_its_reading(film: Path) -> None:
    before = threading.active_count()
    moments = localise_video(film, every=0.1, batch_size=2)
    assert next(moments).time == 0
    moments.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_the_threshold_is_the_argument_or_the_checkpoints_or_the_constant(
    film: Path, hears_colours: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(**options: float) -> int:
        return sum(moment.box is not None for moment in localise_video(film, **options))

    assert found() >= 8
    hears_colours["threshold"] = 1.0
    assert found() <= 2
    assert found(threshold=0.4) >= 8
    hears_colours.clear()
    monkeypatch.setattr(module, "THRESHOLD", 1.0)
    assert found() <= 2


@pytest.mark.parametrize("style", ["heat", "contour", "box"])
def test_the_painted_video_keeps_frames_times_and_sound(
    film: Path, tmp_path: Path, style: str
) -> None:
    painted = tmp_path / "painted.mp4"
    stages: list[tuple[str, int, int]] = []
    moments = localise_video(
        film,
        overlay=painted,
        style=style,
        strip="full",
        progress=lambda *stage: stages.append(stage),
    )
    assert not painted.exists()
    assert len(list(moments)) == 12
    before, after = list(stream_frames(film)), list(stream_frames(painted))
    assert [frame.time for frame in after] == [frame.time for frame in before]
    assert sound_packets(painted) == sound_packets(film)
    above = slice(0, 128)  # the timeline is below
    change = [
        np.abs(b.pixels[above].astype(int) - a.pixels[above]).mean(2)
        for a, b in zip(before, after, strict=True)
    ]
    left, top, right, bottom = square_box(2.0)
    inside = change[20][top - 4 : bottom + 4, left - 4 : right + 4]
    assert inside.mean() > 4
    assert inside.mean() > 5 * change[60].mean()  # silence: only the codec
    assert change[100][58:116, 202:].mean() > 3 * change[60][58:116, 202:].mean()
    below = [
        np.abs(b.pixels[134:].astype(int) - a.pixels[134:]).mean()
        for a, b in zip(before, after, strict=True)
    ]
    assert min(below) > 10
    assert stages[-1] == ("painting", 120, 120)
    assert ("localising", 12, 12) in stages


@pytest.mark.parametrize("painted", [None, "painted.mp4"])
def test_a_video_is_opened_once_for_each_use_and_not_again(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, painted: str | None
) -> None:
    opened, opening = [], av.open

    def counted(file: Any, *arguments: Any, **options: Any) -> Any:
        opened.append(Path(str(file).removeprefix("file:")))  # some are in memory
        return opening(file, *arguments, **options)

    monkeypatch.setattr("av.open", counted)
    overlay = None if painted is None else tmp_path / painted
    assert len(list(localise_video(film, overlay=overlay))) == 12
    reading = 2  # frames, sound
    painting = 3  # the kind of sound, before any work and again; frames and sound in one pass
    assert opened.count(film) == (reading if painted is None else reading + painting)


def with_sound(pictures: Path, sounds: Path, path: Path) -> Path:
    """The pictures of one file and the sound of another, joined by copying."""
    with (
        av.open(str(pictures)) as seen,
        av.open(str(sounds)) as heard,
        av.open(str(path), "w") as output,
    ):
        streams = [seen.streams.video[0], heard.streams.audio[0]]
        copies = [output.add_stream_from_template(one, opaque=True) for one in streams]
        for container, stream, copy in zip((seen, heard), streams, copies, strict=True):
            for packet in container.demux(stream):
                if packet.size:
                    packet.stream = copy
                    output.mux(packet)
    return path


def test_boxes_lie_on_the_scale_of_what_is_shown(film: Path, tmp_path: Path) -> None:
    narrow = np.ascontiguousarray(picture(0.0)[:, ::2])  # stored with pixels twice as wide as high
    small = np.ascontiguousarray(picture(0.0)[::3, ::4])
    parts = [
        coded_pictures([narrow] * 25, aspect=Fraction(2)),
        coded_pictures([small] * 50),  # a picture that gets smaller in mid-film
    ]
    pictures = join_pictures(tmp_path / "pictures.mkv", *parts)
    path = with_sound(pictures, film, tmp_path / "film.mkv")
    painted = tmp_path / "painted.mp4"
    moments = list(localise_video(path, every=0.5, overlay=painted, style="box"))
    for moment in moments[:6]:
        assert moment.box is not None
        assert overlap(moment.box, square_box(0.0)) > 0.6
    assert {frame.pixels.shape for frame in stream_frames(painted)} == {(144, 256, 3)}


def test_a_film_that_cannot_be_painted_is_refused_before_any_moment(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = [np.zeros((16, 16_400, 3), np.uint8)] * 2
    pictures = make_video(tmp_path / "pictures.mkv", wide, codec="ffv1", kind="bgr0")
    path = with_sound(pictures, film, tmp_path / "film.mkv")
    monkeypatch.setattr(module, "load_model", lambda name: pytest.fail("work was done"))
    with pytest.raises(HearsightError, match="libx264 refuses frames of 16400x16 pixels"):
        localise_video(path, overlay=tmp_path / "painted.mp4")


def test_a_sound_that_the_painted_file_cannot_hold_is_told_once(film: Path, tmp_path: Path) -> None:
    said: list[str] = []
    list(localise_video(film, overlay=tmp_path / "b.webm", every=3.0, notice=said.append))
    assert [sentence.startswith("A .webm file cannot hold") for sentence in said] == [True]
    with pytest.warns(UserWarning, match=r"A \.webm file cannot hold sound of the kind aac"):
        list(localise_video(film, overlay=tmp_path / "b.webm", every=3.0))


def sound_packets(path: Path) -> list[bytes]:
    with open_media(path) as source:
        return [
            bytes(packet)
            for packet in source.container.demux(source.container.streams.audio[0])
            if packet.size
        ]


def test_one_frame_and_a_tenth_of_a_second_of_sound_are_enough(tmp_path: Path) -> None:
    path, painted = tmp_path / "one.mp4", tmp_path / "painted.mp4"
    write_video(path, [picture(0.0)], frame_rate=Fraction(10), sound=tone(LOW, 0.1))
    moments = list(localise_video(path, overlay=painted))
    assert moments[0].time == 0.0
    assert moments[0].box is not None
    assert overlap(moments[0].box, square_box(0.0)) > 0.65
    assert len(list(stream_frames(painted))) == 1


def test_a_sound_that_ends_before_the_picture_has_no_source_there(tmp_path: Path) -> None:
    path = tmp_path / "short.mp4"
    frames = (picture(0.0) for _ in range(60))
    write_video(path, frames, frame_rate=Fraction(10), sound=tone(LOW, 2))
    found = [moment.box is not None for moment in localise_video(path)]
    assert found[:2] == [True, True]
    assert found[3:] == [False] * (len(found) - 3)


def write_wave(path: Path, sound: np.ndarray, rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((sound * 32767).astype("<i2").tobytes())
    return path


@pytest.mark.parametrize(("hertz", "truth"), [(LOW, square_box(0.0)), (HIGH, BLUE_BOX)])
def test_a_picture_and_a_sound(tmp_path: Path, hertz: float, truth: tuple[int, ...]) -> None:
    image, painted = tmp_path / "picture.png", tmp_path / "painted.png"
    Image.fromarray(picture(0.0)).save(image)
    quiet = np.zeros(RATE * 2, np.float32)
    sound = write_wave(tmp_path / "sound.wav", np.concatenate([quiet, tone(hertz, 3), quiet]))
    moment = localise_image(image, sound, overlay=painted, style="box")
    assert moment.box is not None
    assert overlap(moment.box, truth) > 0.65
    assert 2.5 < moment.time < 4.5
    assert np.asarray(Image.open(painted)).shape == (144, 256, 3)
    assert list(tmp_path.glob(".*")) == []


def test_a_picture_too_long_for_the_painted_one_is_refused_before_the_model_is_loaded(
    tmp_path: Path,
) -> None:
    image, painted = tmp_path / "long.png", tmp_path / "painted.webp"
    Image.new("RGB", (16384, 1)).save(image)
    sound = write_wave(tmp_path / "sound.wav", tone(LOW, 2))
    with pytest.raises(HearsightError, match=r"painted\.webp' cannot hold 16384 x 1 pixels"):
        localise_image(image, sound, overlay=painted, model="no such model")
    assert not painted.exists()


def test_a_picture_in_silence_has_no_source(tmp_path: Path) -> None:
    image = tmp_path / "picture.png"
    Image.fromarray(picture(0.0)).save(image)
    sound = write_wave(tmp_path / "sound.wav", tone(LOW, 2, gain=0.0005))
    assert localise_image(image, sound).box is None


def test_a_video_serves_as_the_sound_of_a_picture(film: Path, tmp_path: Path) -> None:
    image = tmp_path / "grey.png"
    Image.fromarray(picture(0.0)).convert("L").save(image)
    moment = localise_image(image, film)
    assert moment.box is None  # a picture without colour has nothing of the sound's colour
    assert moment.confidence == pytest.approx(0.0, abs=0.05)


def files(folder: Path, film: Path) -> dict[str, Path]:
    made = {name: folder / name for name in ("text.mp4", "mute.mp4", "sound.wav", "grey.png")}
    made["text.mp4"].write_text("no video")
    write_video(made["mute.mp4"], [picture(0.0)] * 3, frame_rate=Fraction(10))
    write_wave(made["sound.wav"], tone(LOW, 1))
    Image.fromarray(picture(0.0)).save(made["grey.png"])
    return made | {"film": film, "missing": folder / "missing.mp4"}


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("missing", {}, "does not exist"),
        ("text.mp4", {}, "not a media file"),
        ("mute.mp4", {}, "no sound track"),
        ("sound.wav", {}, "no moving pictures"),
        ("grey.png", {}, r"grey\.png' is a picture: name .* by `sound`"),
        ("film", {"every": 0.0}, "every"),
        ("film", {"every": float("nan")}, "every"),
        ("film", {"every": 1e-320}, "from 0.01 up"),
        ("film", {"style": "head"}, "Did you mean 'heat'"),
        ("film", {"strip": "thick"}, "There is no strip 'thick', only none, thin, full"),
        ("film", {"strip": "thin"}, "`strip` is for painting: name .* by `overlay`"),
        ("film", {"style": "contour"}, "`style` is for painting: name .* by `overlay`"),
        ("film", {"threshold": 40.0}, "cosine"),
        ("film", {"threshold": float("nan")}, "cosine"),
        ("film", {"device": "toaster"}, "toaster"),
        ("film", {"batch_size": 0}, "batch_size"),
        ("film", {"overlay": "painted.txt"}, "must end in"),
        ("film", {"overlay": "nowhere/painted.mp4"}, "folder"),
    ],
)
def test_mistakes_are_said_at_once(
    name: str, options: dict[str, Any], says: str, film: Path, tmp_path: Path
) -> None:
    if "overlay" in options:
        options = options | {"overlay": tmp_path / options["overlay"]}
    with pytest.raises(HearsightError, match=says):
        localise_video(files(tmp_path, film)[name], **options)


@pytest.mark.parametrize("form", ["WEBP", "GIF", "PNG"])
def test_a_moving_picture_is_told_to_name_a_sound(tmp_path: Path, form: str) -> None:
    frames = [Image.fromarray(np.full((48, 64, 3), 40 * n, np.uint8)) for n in range(3)]
    path = tmp_path / "moving"
    frames[0].save(path, form, save_all=True, append_images=frames[1:], duration=40)
    with pytest.raises(HearsightError, match=r"moving' is a picture: name the sound .* `sound`"):
        localise_video(path)


def test_a_video_is_not_painted_over_itself(film: Path) -> None:
    with pytest.raises(HearsightError, match="name another file"):
        localise_video(film, overlay=film)


@pytest.mark.parametrize(
    ("image", "sound", "says"),
    [
        ("missing", "sound.wav", "does not exist"),
        ("text.mp4", "sound.wav", "not a picture"),
        ("grey.png", "missing", "does not exist"),
        ("grey.png", "mute.mp4", "no sound track"),
        ("grey.png", "text.mp4", "not a media file"),
    ],
)
def test_mistakes_with_a_picture(
    image: str, sound: str, says: str, film: Path, tmp_path: Path
) -> None:
    made = files(tmp_path, film)
    with pytest.raises(HearsightError, match=says):
        localise_image(made[image], made[sound])
    with pytest.raises(HearsightError, match="`style` is for painting"):
        localise_image(made[image], made[sound], style="heat")


@pytest.mark.parametrize(
    ("height", "width", "seen"),
    [(144, 256, (96, 176)), (256, 144, (176, 96)), (50, 50, (96, 96)), (10, 900, (96, 384))],
)
def test_the_whole_frame_is_seen(height: int, width: int, seen: tuple[int, int]) -> None:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, -max(1, width // 8) :] = 255
    colours = module.normalised(module.stacked([module.prepare_whole_frame(pixels, 96)]))[0]
    assert tuple(colours.shape[1:]) == seen
    assert colours[:, :, -1].min() > 1.5  # the right edge is there
    assert colours[:, :, 0].max() < -1.5


def test_damaged_weights_are_said(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        Colours, "forward", lambda self, f, s: torch.full((len(f), len(s), 3, 3), torch.nan)
    )
    with pytest.raises(HearsightError, match="not finite"):
        next(localise_video(film))


def test_a_checkpoint_on_disk_serves(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "load_model", load_model)
    torch.manual_seed(0)
    recipe = load_recipe("ssl_tie:small")
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, Encoders(recipe.encoder), recipe, facts={"threshold": -1.0})
    moments = list(localise_video(film, model=path, every=3.0))
    assert [moment.box is None for moment in moments] == [False, False, True, False]
    with pytest.raises(HearsightError, match="no checkpoint"):
        localise_video(film, model=tmp_path / "none.safetensors")
