"""Localises the sound of a video, or of a picture and a sound file, as `Moment`s.

The sound encoder gets the sound around the moment: a window of `SOUND_SECONDS` (less where the
recipe's spectrogram is shorter) with the moment in its middle. Near the ends of the sound track
the window is moved inwards until it lies within the track; a track shorter than the window is
taken whole, and the spectrogram repeats it.

The frame encoder gets the whole frame, scaled without distortion so that its shorter side is the
recipe's `frame_size`; the encoders are convolutional, so a wider frame gives a wider response map
and boxes cover the whole picture. (Training and evaluation crop the middle square instead.)

The confidence is the peak of the response map: the highest cosine between the sound and a place
of the frame, from -1 to 1. Below the threshold there is no source in the picture. Where the sound
within half a second of the moment stays under `QUIET`, or the sound track has ended, there is no
source either, and the confidence is 0.
"""

import logging
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int16, UInt8
from torch import Tensor

from hearsight.checkpoints.checkpoint import Model, load_model
from hearsight.clips.read_ahead import in_batches, one_ahead
from hearsight.errors import HearsightError
from hearsight.files.output import check_output
from hearsight.files.text import counted
from hearsight.localising.moments import (
    MappedMoment,
    Moment,
    MomentHeatmap,
    VideoPainter,
    check_strip,
    check_style,
    paint,
    region_box,
    to_heatmap,
)
from hearsight.localising.painting import PICTURES, check_sides, save_picture
from hearsight.media.in_memory import (
    MediaFile,
    PictureSource,
    SoundSource,
    as_file,
    open_picture,
    open_sound,
)
from hearsight.media.picture import is_picture, resize_bicubic
from hearsight.media.pixels import Pixels
from hearsight.media.read import (
    LEAST,
    Frame,
    MediaInfo,
    VideoReader,
    stream_sound,
)
from hearsight.media.samples import RATE, to_samples
from hearsight.media.sound_windows import QUIET, SoundWindow, loudest_window, sound_windows
from hearsight.media.source import MediaError
from hearsight.media.veils import Veil, Veiler
from hearsight.media.write import SUFFIXES, check_paint, paint_video
from hearsight.model.colour import from_bytes, normalise
from hearsight.model.device import device_of, move
from hearsight.model.passes import in_passes
from hearsight.model.response import matched
from hearsight.progress import Notice, Progress, no_progress, of_stage, warn
from hearsight.recipes.recipe import Recipe

LOGGER = logging.getLogger(__name__)

MODEL = "composed"  # of the models that come with the package, the one used by default
SOUND_SECONDS = 3.0  # length of the clips that every recipe here is trained on
THRESHOLD = 0.4  # cosine under which SSL-TIE's objective takes a place for background
STEP = 16  # pixels; the longer side that the encoders see is a multiple of it
STRETCH = 4.0  # a frame longer than this many times its shorter side is squeezed to that

ResponseFunction = Callable[[Tensor, Tensor], Tensor]
"""Encoders: response maps, b a h w, of b frames and a spectrograms."""


def localise_video(
    video: MediaFile,
    *,
    model: Model | Path | str | None = None,
    every: float = 1.0,
    overlay: Path | str | None = None,
    style: str | None = None,
    strip: str | None = None,
    threshold: float | None = None,
    maps: bool = False,
    device: str | None = None,
    batch_size: int = 16,
    progress: Progress = no_progress,
    notice: Notice = warn,
) -> Iterator[Moment]:
    """A `Moment` for 0, `every`, 2 `every`, ... seconds of a video, in order.

    Frames and sound are streamed: memory grows with the video's length only if it is painted, by
    a few hundred bytes per moment.

    Args:
        video: any file with a picture and a sound track: its path, its bytes, or open for reading
            bytes (which is copied to a temporary file).
        model: a model that `load_model` gave, a checkpoint, or the name of weights that come with
            the package.
        every: seconds between two moments, at least `media.read.LEAST`.
        overlay: where to write the video with every frame painted, maps blended from moment to
            moment, a timeline along the bottom, and the original sound. Written after the iterator
            is exhausted.
        style: of the painted frames: `heat` (the default), `contour` or `box`.
        strip: the timeline of the painted video: `none`, `thin` (the default: a line that tells
            where there is a source) or `full` (the confidence, a twelfth of the frame high).
        threshold: confidence below which there is no source; by default what the checkpoint says
            (its fact `threshold`), else `THRESHOLD`.
        maps: give each moment with its response map, as a `MappedMoment`.
        device: such as `cpu` or `cuda`; by default a GPU if there is one, and where a loaded model
            is.
        batch_size: moments computed together.
        progress: called with the stage, what is done of it, and of how much.
        notice: called if the painted video cannot hold the original sound, which is then encoded
            anew; by default that is a warning.

    Raises:
        HearsightError: before any moment is computed, for a file that cannot be read, is a picture,
            has no moving pictures or no sound track, for a painted video that cannot be written,
            and for a wrong option.
    """
    target, style = _painting(overlay, style)
    if strip is not None:
        check_strip(strip)
        if target is None:
            raise HearsightError("`strip` is for painting: name the file to write by `overlay`.")
    with ExitStack() as opened:  # closed here if a check fails, else by `_moments`
        path = opened.enter_context(as_file(video))
        reader = opened.enter_context(VideoReader(path))
        info = _tracks(reader)
        check_every(every)
        if target is not None:
            check_output(target, SUFFIXES, path)
            check_paint(info, target)
        localiser = load_localiser(
            model, threshold=threshold, maps=maps, device=device, batch_size=batch_size
        )
        reading = opened.pop_all()
    painter = VideoPainter(
        style=style,
        strip=strip or "thin",
        threshold=localiser.threshold,
        duration=info.duration,
    )
    return _moments(reading, reader, info, localiser, every, target, painter, progress, notice)


def check_every(every: float) -> None:
    """Refuse a time between two moments that is too short or not finite.

    Raises:
        HearsightError: it is.
    """
    if not LEAST <= every < math.inf:
        raise HearsightError(f"`every` must be a number of seconds from {LEAST:g} up, not {every}.")


def _painting(overlay: Path | str | None, style: str | None) -> tuple[Path | None, str]:
    """The file to paint, if any, and the style; HearsightError if a style would have no effect."""
    if style is not None:
        check_style(style)
        if overlay is None:
            raise HearsightError("`style` is for painting: name the file to write by `overlay`.")
    return None if overlay is None else Path(overlay), style or "heat"


def _tracks(reader: VideoReader) -> MediaInfo:
    """What a video holds; raises HearsightError unless there are moving pictures and sound."""
    try:
        info = reader.info()
    except MediaError:  # FFmpeg decodes no animated WebP
        refuse_picture(reader.path)
        raise
    if not (info.has_picture and info.has_sound):
        refuse_picture(info.path)
    if not info.has_picture:
        raise HearsightError(f"'{info.path}' has no moving pictures to find a source in.")
    if not info.has_sound:
        raise HearsightError(f"'{info.path}' has no sound track, so there is no source to find.")
    return info


def refuse_picture(path: Path) -> None:
    """Raise HearsightError if a file is a picture, moving or not, which has no sound."""
    if is_picture(path):
        raise HearsightError(f"'{path}' is a picture: name the sound it is seen with by `sound`.")


def localise_image(
    image: PictureSource,
    sound: SoundSource,
    *,
    model: Model | Path | str | None = None,
    overlay: Path | str | None = None,
    style: str | None = None,
    threshold: float | None = None,
    maps: bool = False,
    device: str | None = None,
) -> Moment:
    """Where in a picture a sound comes from; options as in `localise_video`.

    The sound is a sound file, or a video of which only the sound is used. Of a sound longer than
    the window the loudest window is taken, searched in steps of half its length; its middle is
    the moment's time, and its level decides on silence.

    image: a file, as the video of `localise_video`, or RGB pixels, height x width x 3, uint8.
    sound: a file, or samples and their rate: (samples,) or (samples, channels), int16 or floats in
    [-1, 1], and hertz.

    Raises:
        HearsightError: for a file that cannot be read, one without sound, an array of another kind,
            and a wrong option.
    """
    target, style = _painting(overlay, style)
    if target is not None:
        files = [Path(one) for one in (image, sound) if isinstance(one, str | Path)]
        check_output(target, PICTURES, *files)
    with open_sound(sound) as blocks:
        pixels = open_picture(image)
        if target is not None:
            check_sides(target, *pixels.shape[:2])
        localiser = load_localiser(
            model, threshold=threshold, maps=maps, device=device, batch_size=1
        )
        heard = loudest_window(blocks, localiser.seconds)
    localised = localiser([prepare_whole_frame(pixels, localiser.recipe.frame_size)], [heard])[0]
    if target is not None:
        save_picture(paint(pixels, localised, style), target)
    return localised.moment


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderFrame:
    """A frame in the size that the frame encoder takes, with the size of the original.

    It is normalised where it is embedded (`normalised`): in the thread that decodes, torch would
    share the little work with threads that wait for it in a loop.
    """

    pixels: UInt8[np.ndarray, "seen_height seen_width 3"]
    height: int  # pixels of the original frame
    width: int
    number: int | None = None  # as of a `Moment`
    frame_rate: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Localiser:
    """A model ready to localise: moments and their heatmaps from frames and sound windows."""

    encoders: ResponseFunction
    recipe: Recipe
    threshold: float  # cosine
    device: torch.device
    batch_size: int  # moments computed together
    maps: bool = False  # moments carry their response maps

    @property
    def seconds(self) -> float:
        """Length of the sound window of a moment."""
        return min(SOUND_SECONDS, self.recipe.spectrogram.seconds)

    @torch.inference_mode()
    def __call__(
        self, frames: Sequence[EncoderFrame], sounds: Sequence[SoundWindow]
    ) -> list[MomentHeatmap]:
        """The moment of each frame with its sound; all of one size and one length.

        Raises:
            HearsightError: a response map is not finite.
        """
        pcm = torch.from_numpy(np.stack([to_samples(heard.samples) for heard in sounds]))
        responses = self._respond(stacked(frames), pcm).cpu()
        if not responses.isfinite().all():
            raise HearsightError("A response map is not finite: the weights are damaged.")
        return [
            self.moment(response, frame, heard)
            for response, frame, heard in zip(responses.numpy(), frames, sounds, strict=True)
        ]

    def _respond(
        self, seen: UInt8[Tensor, "b y x 3"], pcm: Int16[Tensor, "b n"]
    ) -> Float[Tensor, "b h w"]:
        """The response map of each frame to its own sound, the same to the last digit on a CPU.

        There each moment is computed by itself, several at the same time, whatever `batch_size` is.
        """

        def respond(frames: Tensor, sounds: Tensor) -> Tensor:
            spectrograms = self.recipe.spectrogram(sounds.to(self.device))
            return matched(self.encoders(normalised(frames).to(self.device), spectrograms)).float()

        rows = 1 if self.device.type == "cpu" else len(seen)
        return in_passes(respond, seen, pcm, device=self.device, rows=rows)

    def moment(
        self, response: Float32[np.ndarray, "h w"], frame: EncoderFrame, heard: SoundWindow
    ) -> MomentHeatmap:
        """The moment of a frame by its response map to its sound."""
        silent = heard.level < QUIET
        confidence = 0.0 if silent else float(response.max())
        heatmap, box, share = np.zeros_like(response), None, 0.0
        if not silent and confidence >= self.threshold:
            heatmap = to_heatmap(response)
            box, share = region_box(heatmap, frame.height, frame.width)
        values: dict[str, Any] = {
            "time": heard.time,
            "box": box,
            "confidence": confidence,
            "share": share,
            "frame": frame.number,
            "frame_rate": frame.frame_rate,
        }
        size = (frame.height, frame.width)
        moment = (
            MappedMoment(**values, response=response.copy(), frame_size=size)
            if self.maps
            else Moment(**values)
        )
        return MomentHeatmap(moment=moment, heatmap=np.rint(heatmap * 255).astype(np.uint8))


def prepare_whole_frame(
    pixels: UInt8[np.ndarray, "height width 3"],
    side: int,
    *,
    number: int | None = None,
    frame_rate: Fraction | None = None,
) -> EncoderFrame:
    """The whole frame, scaled bicubically so that its shorter side is `side`.

    The longer side becomes the nearest multiple of `STEP`, at most `STRETCH` times the shorter.
    number, frame_rate: as a `Moment` of a video has them.
    """
    height, width, _ = pixels.shape
    return EncoderFrame(
        pixels=scale_whole_frame(pixels, side),
        height=height,
        width=width,
        number=number,
        frame_rate=frame_rate,
    )


def scale_whole_frame(
    pixels: UInt8[np.ndarray, "height width 3"], side: int
) -> UInt8[np.ndarray, "seen_height seen_width 3"]:
    """The pixels of `prepare_whole_frame`: the frame in the size that the encoder takes."""
    height, width, _ = pixels.shape
    long = min(max(height, width) / min(height, width), STRETCH) * side
    long = side if height == width else max(side, round(long / STEP) * STEP)
    return resize_bicubic(pixels, *((long, side) if width > height else (side, long)))


def stacked(frames: Sequence[EncoderFrame]) -> UInt8[Tensor, "b seen_height seen_width 3"]:
    """Frames, all of one size, as a batch that `normalised` takes."""
    return torch.from_numpy(np.stack([frame.pixels for frame in frames]))


def normalised(pixels: UInt8[Tensor, "b y x 3"]) -> Float[Tensor, "b 3 y x"]:
    """Frames as the frame encoder takes them."""
    return normalise(from_bytes(pixels))


def _moments(
    reading: ExitStack,
    reader: VideoReader,
    info: MediaInfo,
    localiser: Localiser,
    every: float,
    target: Path | None,
    painter: VideoPainter,
    progress: Progress,
    notice: Notice,
) -> Iterator[Moment]:
    """The moments as they are computed; after the last one the painted video is written."""
    count = max(1, math.ceil(info.duration / every - 1e-9))
    times = [every * index for index in range(count)]
    side = localiser.recipe.frame_size
    LOGGER.info("%s: %.1f s, %s", info.path, info.duration, counted(count, "moment"))
    with reading:
        frames = (
            prepare_whole_frame(frame.pixels, side, number=frame.number, frame_rate=info.frame_rate)
            for frame in reader.frames_at(times, numbered=True)
        )
        sounds = sound_windows(stream_sound(info.path, rate=RATE), times, localiser.seconds)
        pairs = zip(frames, sounds, strict=True)
        done = 0
        with closing(one_ahead(in_batches(pairs, localiser.batch_size))) as parts:
            for part in parts:
                localised = localiser(*zip(*part, strict=True))
                done += len(part)
                progress("localising", done, count)
                for one in localised:
                    if target is not None:
                        painter.localised.append(one)
                    yield one.moment
        if target is not None:
            told = of_stage(progress, "painting")
            paint_film(info, painter, target, told, veil=painter.veiler, notice=notice)


def paint_film(
    film: MediaInfo,
    painter: Callable[[Frame], Pixels],
    target: Path,
    progress: Callable[[int, int | None], None],
    *,
    veil: Veiler | None = None,
    copied: Collection[str] | None = None,
    notice: Notice = warn,
) -> None:
    """`media.write.paint_video` that tells its progress: frames done, and about how many there are.

    Raises:
        HearsightError: as it.
    """
    total = max(1, round(film.duration * float(film.frame_rate or 25)))
    done = 0

    def tell() -> None:
        nonlocal done
        done += 1
        progress(done, max(done, total))

    def painted(frame: Frame) -> Pixels:
        tell()
        return painter(frame)

    def laid(time: float, height: int, width: int) -> Veil:
        assert veil is not None
        tell()
        return veil(time, height, width)

    paint_video(
        film.path,
        target,
        painted,
        veil=None if veil is None else laid,
        copied=copied,
        notice=notice,
    )
    progress(done, done)  # what the duration promised may be a few frames more


def threshold_of(facts: Mapping[str, Any]) -> float:
    """The confidence (a cosine) below which a model finds no source, by its checkpoint's facts."""
    return float(facts.get("threshold", THRESHOLD))


def load_localiser(
    model: Model | Path | str | None,
    *,
    threshold: float | None,
    maps: bool,
    device: str | None,
    batch_size: int,
) -> Localiser:
    """A model ready to localise; arguments as in `localise_video`.

    Raises:
        HearsightError: there is no such model or device, or a number is out of range.
    """
    if batch_size < 1:
        raise HearsightError(f"`batch_size` must be at least 1, not {batch_size}.")
    if isinstance(model, Model):
        encoders, recipe, facts = model
        place = device_of(encoders) if device is None else move(encoders, device)
    else:
        encoders, recipe, facts = load_model(MODEL if model is None else model)
        place = move(encoders, device)
    if threshold is None:
        threshold = threshold_of(facts)
    if not -1 <= threshold <= 1:
        raise HearsightError(f"The threshold is a cosine from -1 to 1, not {threshold}.")
    return Localiser(
        encoders=encoders.eval(),
        recipe=recipe,
        threshold=threshold,
        device=place,
        batch_size=batch_size,
        maps=maps,
    )
