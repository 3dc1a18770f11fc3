"""How fast are VGGSound's videos imported, against ffmpeg taking a JPEG and a WAV from each?

    python benchmarks/vggsound_import.py [--clips 120] [--ffmpeg PATH]

Films of 10 s are made, 640x360 with 25 frames a second, H.264 of 1 Mbit/s with a key frame every
10 s, and AAC. Ours is `write_store` with a process for each processor: the frame at 5 s and the 3 s
of sound around it, decoded, encoded, checked and written into shards. ffmpeg is run once for each
film, as many at once as there are processors, in two ways: one command that decodes the film up to
the frame and writes all of its sound, which is what scripts do, and two that seek first. Ratios are
of clips a second, and of clips a second of all processors, which others' work does not change; the
start of our processes is included. ffmpeg is the one on PATH, or that of the PyPI package
imageio-ffmpeg.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from functools import partial
from pathlib import Path
from time import perf_counter

import av
import numpy as np
from PIL import Image

from hearsight.clips.read_ahead import available_cores
from hearsight.clips.shard_writer import write_store
from hearsight.datasets.vggsound_videos import open_vggsound_videos

WIDTH, HEIGHT, RATE, SECONDS = 640, 360, 25, 10
DIFFERENT = 8  # films that are made; the others are copies


def film(path: Path, seed: int, group: int = RATE * SECONDS, seconds: int = SECONDS) -> None:
    """Something large and something small move before a camera that shakes and is noisy.

    group: frames from one key frame to the next.
    """
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    wide = np.asarray(Image.fromarray(coarse).resize((900, 540), Image.Resampling.BICUBIC))
    times = np.arange(seconds * 44_100) / 44_100
    tones = np.stack([np.sin(2 * np.pi * f * times) for f in (220 + 30 * seed, 330)])
    sound = (0.3 * tones + random.normal(0, 0.05, tones.shape)).astype(np.float32)
    with av.open(str(path), "w") as output:
        pictures = output.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        pictures.width, pictures.height, pictures.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        pictures.codec_context.gop_size = group
        sounds = output.add_stream("aac", rate=44_100, layout="stereo")
        for number in range(RATE * seconds):
            x, y = (int(100 + 80 * np.sin(number / step + seed)) for step in (20, 31))
            pixels = wide[y : y + HEIGHT, x : x + WIDTH].astype(np.int16)
            at = 3 * number % (HEIGHT - 60)
            pixels[at : at + 60, 2 * at : 2 * at + 80] = (255, 30, 30)
            pixels += random.integers(-6, 7, pixels.shape, dtype=np.int16)
            frame = av.VideoFrame.from_ndarray(np.clip(pixels, 0, 255).astype(np.uint8))
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        packed = np.ascontiguousarray(sound.T).reshape(1, -1)
        heard = av.AudioFrame.from_ndarray(packed, format="flt", layout="stereo")
        heard.sample_rate, heard.time_base, heard.pts = 44_100, Fraction(1, 44_100), 0
        output.mux(sounds.encode(heard))
        output.mux(sounds.encode(None))


def find_ffmpeg(given: str | None) -> str | None:
    """The ffmpeg that was named, that on PATH, or that of imageio-ffmpeg."""
    if found := given or shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg
    except ImportError:
        return None
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def by_ffmpeg(ffmpeg: str, films: list[Path], out: Path, *, seek: bool) -> None:
    """A JPEG and a WAV of each film."""
    out.mkdir()

    def extract(path: Path) -> None:
        picture, sound = out / f"{path.stem}.jpg", out / f"{path.stem}.wav"
        shot = ["-frames:v", "1", "-q:v", "2", str(picture)]
        heard = ["-vn", "-ac", "1", "-ar", "16000", str(sound)]
        start = [ffmpeg, "-v", "error", "-nostdin", "-y"]
        if not seek:
            subprocess.run([*start, "-i", str(path), "-ss", "5", *shot, *heard], check=True)
            return
        subprocess.run([*start, "-ss", "5", "-i", str(path), *shot], check=True)
        subprocess.run([*start, "-ss", "3.5", "-t", "3", "-i", str(path), *heard], check=True)

    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(extract, films))
    assert len(list(out.iterdir())) == 2 * len(films)


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the clock, and of all processors, those of ended processes included."""
    begun, used = perf_counter(), os.times()
    run()
    more = os.times()
    return perf_counter() - begun, sum(more[:4]) - sum(used[:4])


def main() -> None:
    """Make the films, and print the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=120)
    parser.add_argument("--ffmpeg")
    chosen = parser.parse_args()
    ffmpeg = find_ffmpeg(chosen.ffmpeg)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "videos").mkdir()
        films = [folder / f"videos/v{n:010d}_{n:06d}.mp4" for n in range(chosen.clips)]
        for number, path in enumerate(films):
            if number < DIFFERENT:
                film(path, number)
            else:
                shutil.copy(films[number % DIFFERENT], path)
        rows = [f"{path.stem[:11]},{int(path.stem[12:])},dog,train" for path in films]
        (folder / "vggsound.csv").write_text("\n".join(rows))
        clips = open_vggsound_videos(folder / "videos")
        assert len(clips) == len(films)

        def ours() -> None:
            written = write_store(clips, folder / "store", workers=available_cores())
            assert written.added == len(films)

        took, worked = timed(ours)
        count = len(films)
        print(
            f"ours: {count / took:.1f} clips/s on {available_cores()} processors, "
            f"{1000 * worked / count:.0f} ms of one a clip"
        )
        if ffmpeg is None:
            print("no ffmpeg to compare with: pip install imageio-ffmpeg, or name one by --ffmpeg")
            return
        for seek, what in ((False, "one command a film"), (True, "two that seek")):
            out = folder / f"out {seek}"
            clock, work = timed(partial(by_ffmpeg, ffmpeg, films, out, seek=seek))
            print(
                f"ffmpeg, {what}: {count / clock:.1f} clips/s, {1000 * work / count:.0f} ms; ours "
                f"{clock / took:.2f}x as fast, {work / worked:.2f}x by processor time"
            )


if __name__ == "__main__":
    main()
