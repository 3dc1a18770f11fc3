"""Which videos and sounds browsers play, and clips and copies of those that they do not.

What a browser plays is a matter of the codecs, not of the ending of the name: MPEG-4 part 2 and
HEVC lie in .mp4 files, too.
"""

from fractions import Fraction
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import soundfile  # type: ignore[import-untyped]

from hearsight.clips.clip import fit_frame
from hearsight.media.read import VideoReader, read_sound
from hearsight.media.samples import RATE as HEARD
from hearsight.media.source import open_media
from hearsight.media.veils import Veil
from hearsight.media.write import write_video
from hearsight.progress import Progress, no_notice, no_progress, of_stage

CONTAINERS = {".m4v": "mov", ".mov": "mov", ".mp4": "mp4", ".webm": "webm"}  # as FFmpeg says
PICTURES = {"av1", "h264", "vp8", "vp9"}  # codecs that all browsers decode
SOUNDS = {"aac", "flac", "mp3", "opus", "vorbis"}
SOUND_CONTAINERS = {
    **CONTAINERS,
    **{".flac": "flac", ".m4a": "mov", ".mp3": "mp3", ".wav": "wav"},
    **dict.fromkeys((".oga", ".ogg", ".opus"), "ogg"),
}
UNCOMPRESSED = {"pcm_f32le", "pcm_s16le", "pcm_s24le", "pcm_u8"}  # in .wav
EIGHT_BIT = {"yuv420p", "yuvj420p"}  # of H.264, no browser decodes more
SIDE = 240  # pixels, shorter side of a clip at most
RATE = 44_100  # hertz of a clip's sound
FASTEST = Fraction(25)  # frames per second of a clip at most


def is_playable(path: Path) -> bool:
    """Whether browsers play the picture and the sound of a file from a disk, by its codecs.

    Raises:
        MediaError: it cannot be read.
    """
    wanted = CONTAINERS.get(path.suffix.lower())
    with open_media(path) as source:
        picture, sound = source.picture, source.sound
        if wanted not in source.container.format.name.split(",") or picture is None:
            return False
        codec = picture.codec_context.codec.canonical_name
        if codec not in PICTURES:
            return False
        if codec == "h264" and picture.codec_context.pix_fmt not in EIGHT_BIT:
            return False
        return sound is None or sound.codec_context.codec.canonical_name in SOUNDS


def is_playable_sound(path: Path) -> bool:
    """Whether browsers play the sound of a file from a disk, by its codec.

    Raises:
        MediaError: it cannot be read.
    """
    wanted = SOUND_CONTAINERS.get(path.suffix.lower())
    with open_media(path) as source:
        if wanted not in source.container.format.name.split(",") or source.sound is None:
            return False
        codec = source.sound.codec_context.codec.canonical_name
        return codec in (UNCOMPRESSED if wanted == "wav" else SOUNDS)


def make_sound_clip(path: Path, start: float, seconds: float) -> bytes:
    """`seconds` of a file's sound from `start` on, as the encoders hear it: a mono .wav file.

    Raises:
        MediaError: the sound cannot be read.
    """
    samples = read_sound(path, rate=HEARD, start=start, seconds=seconds)
    written = BytesIO()
    soundfile.write(written, samples, HEARD, format="WAV", subtype="PCM_16")
    return written.getvalue()


def make_clip(path: Path, start: float, seconds: float) -> bytes:
    """A small H.264 clip with AAC sound, as an .mp4 file, of `seconds` of a video from `start` on.

    Its shorter side has at most `SIDE` pixels; it ends where the video ends.

    Raises:
        MediaError: the video cannot be read.
    """
    with VideoReader(path) as video, TemporaryDirectory() as folder:
        info = video.info()
        rate = min(info.frame_rate or FASTEST, FASTEST)
        length = min(seconds, max(info.duration - start, 0.0))
        count = max(1, round(length * rate))
        middles = [float(start + (number + Fraction(1, 2)) / rate) for number in range(count)]
        sound = None
        if info.has_sound:
            sound = read_sound(path, rate=RATE, start=start, seconds=float(count / rate))
        clip = Path(folder) / "clip.mp4"
        frames = (fit_frame(frame.pixels, SIDE) for frame in video.frames_at(middles))
        write_video(clip, frames, frame_rate=rate, sound=sound, rate=RATE)
        return clip.read_bytes()


def copy_playable(path: Path, target: Path, *, progress: Progress = no_progress) -> None:
    """Write a video anew as H.264 with a sound that browsers play, frame for frame.

    Its size and its times are kept; a sound that browsers play is copied. target: an .mp4 file.

    Raises:
        HearsightError: the video cannot be read, or `target` cannot be written.
    """
    from hearsight.localising.localise import paint_film  # imports torch; pages do without it

    with VideoReader(path) as video:
        info = video.info()
    told = of_stage(progress, "making a copy that browsers play")
    paint_film(
        info,
        lambda frame: frame.pixels,
        target,
        told,
        veil=lambda time, height, width: Veil(None),
        copied=SOUNDS,
        notice=no_notice,
    )
