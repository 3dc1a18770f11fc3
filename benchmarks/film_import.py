"""How fast are clips of films imported, against one ffmpeg for each clip?

    python benchmarks/film_import.py [--films 4] [--minutes 2] [--every 3] [--film FILM...]
        [--ffmpeg PATH]

Films are made as `vggsound_import.py` makes them, with a key frame every 2 s; of films that are
named instead, each `--minutes` long at least, there are as many copies in all. Ours is
`hearsight data import FOLDER --every 3` as a command, its start included: each film is opened once,
and of each clip the frame and the 3 s of sound around it are written into shards. ffmpeg is run
once for each clip, as many at once as there are processors, and seeks to it before it writes a
JPEG and a WAV. Ratios are of clips a second, and of clips a second of all processors; in turns,
`--rounds` of them, of which the middle, least and largest are printed. Beside them stands what of
ours cannot be saved, in one process, on each film that was named or on the first that was made:
decoding the frames that lead to the clips', once each, less those that no other is decoded from,
and their sound, resampling it, and encoding JPEG and FLAC.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from subprocess import DEVNULL

import av
import numpy as np
import soxr
from indexing import repeat
from vggsound_import import RATE, film, find_ffmpeg, timed

from hearsight.clips.clip import encode_picture, encode_sound
from hearsight.clips.read_ahead import available_cores
from hearsight.clips.shards import Store
from hearsight.media.read import probe
from hearsight.media.samples import RATE as SAMPLES

SECONDS = 3.0  # of sound in a clip
DIFFERENT = 4  # films that are made; the others are copies


def fill(folder: Path, named: list[Path], count: int, minutes: int, ffmpeg: str) -> list[Path]:
    """Films made, or those named repeated until they are long enough, and copies of them."""
    folder.mkdir()
    films = []
    for number in range(count):
        different = len(named) or DIFFERENT
        suffix = named[number % different].suffix if named else ".mp4"
        path = folder / f"film{number}{suffix}"
        if number >= different:
            shutil.copy(films[number % different], path)
        elif named:
            repeat(named[number], path, ffmpeg, minutes)
        else:
            film(path, number, group=2 * RATE, seconds=60 * minutes)
        films.append(path)
    return films


def by_ffmpeg(ffmpeg: str, wanted: list[tuple[Path, float]], out: Path) -> None:
    """A JPEG and a WAV of each clip, given as film and time of its frame."""
    out.mkdir()

    def extract(clip: tuple[Path, float]) -> None:
        path, time = clip
        name, heard = out / f"{path.stem}_{time:07.2f}", max(0.0, time - SECONDS / 2)
        start = [ffmpeg, "-v", "error", "-nostdin", "-y"]
        seen = ["-ss", f"{time}", "-i", str(path), "-frames:v", "1", "-q:v", "2", f"{name}.jpg"]
        subprocess.run([*start, *seen], check=True)
        said = ["-ss", f"{heard}", "-t", f"{SECONDS}", "-i", str(path), "-vn", "-ac", "1"]
        subprocess.run([*start, *said, "-ar", "16000", f"{name}.wav"], check=True)

    with ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(extract, wanted))
    assert len(list(out.iterdir())) == 2 * len(wanted)


def ours(folder: Path, store: Path, every: float) -> None:
    """The command."""
    line = [sys.executable, "-m", "hearsight", "data", "import", str(folder)]
    subprocess.run(
        [*line, "--every", str(every), "--out", str(store), "--quiet"], check=True, stdout=DEVNULL
    )


def shown_frames(path: Path, times: list[float]) -> tuple[set[int], list[int]]:
    """Stamps of the frames shown at some times, and of them the last after each key frame."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        found = [(one.pts, one.is_keyframe) for one in file.demux(stream) if one.pts is not None]
        wanted = [round(time / stream.time_base) for time in times]  # not of a closed file
    stamps, keys = sorted(pts for pts, _ in found), sorted(pts for pts, key in found if key)
    shown = [stamps[bisect_right(stamps, stamp) - 1] for stamp in wanted]
    last = {bisect_right(keys, stamp): stamp for stamp in sorted(shown)}
    return set(shown), list(last.values())


def needed(path: Path, every: float) -> dict[str, float]:
    """Processor seconds for all clips of a film, of each part that any importer has to do."""
    with av.open(str(path)) as file:
        seconds = float((file.duration or 0) / av.time_base)
        rate = file.streams.audio[0].rate
    times = [every * (number + 0.5) for number in range(int(seconds / every))]
    shown, last = shown_frames(path, times)

    def decode_frames() -> av.VideoFrame:
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            stream.codec_context.thread_type = "NONE"
            frames: list[av.VideoFrame] = []
            for wanted in last:
                file.seek(wanted, stream=stream)
                for packet in file.demux(stream):
                    if packet.dts is None or packet.dts > wanted:
                        break
                    kept = packet.is_keyframe or packet.pts in shown
                    stream.codec_context.skip_frame = "DEFAULT" if kept else "NONREF"
                    frames = stream.codec_context.decode(packet) or frames
                frames = stream.codec_context.decode(None) or frames  # what was held back
                stream.codec_context.flush_buffers()
        return frames[-1]

    def decode_sound() -> None:
        with av.open(str(path)) as file:
            for packet in file.demux(file.streams.audio[0]):
                at = float((packet.pts or 0) * packet.time_base)
                if abs(at % every - every / 2) <= SECONDS / 2:
                    packet.decode()

    def resample() -> None:
        resampler = soxr.ResampleStream(rate, SAMPLES, 1, dtype="float32", quality="HQ")
        for _ in times:
            resampler.resample_chunk(np.zeros(round(SECONDS * rate), np.float32))

    pixels = decode_frames().to_ndarray(format="rgb24")
    noise = np.random.default_rng(0).normal(0, 2000, round(SECONDS * SAMPLES)).astype(np.int16)
    parts: dict[str, Callable[[], object]] = {
        "frames": decode_frames,
        "sound": decode_sound,
        "resampling": resample,
        "JPEG": lambda: [encode_picture(pixels) for _ in times],
        "FLAC": lambda: [encode_sound(noise) for _ in times],
    }
    return {
        name: min(timed(part)[1] for _ in range(3)) / len(times) for name, part in parts.items()
    }


def main() -> None:
    """Make the films, and print the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--films", type=int, default=4)
    parser.add_argument("--minutes", type=int, default=2)
    parser.add_argument("--every", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--film", type=Path, nargs="+", default=[])
    parser.add_argument("--ffmpeg")
    chosen = parser.parse_args()
    ffmpeg = find_ffmpeg(chosen.ffmpeg)
    if ffmpeg is None:
        raise SystemExit("no ffmpeg to compare with: pip install imageio-ffmpeg, or --ffmpeg PATH")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        films = fill(folder / "films", chosen.film, chosen.films, chosen.minutes, ffmpeg)
        clocks, works = [], []
        for turn in range(chosen.rounds):
            store = folder / f"store{turn}"
            took, worked = timed(partial(ours, folder / "films", store, chosen.every))
            ids = Store(store).ids
            wanted = [
                (folder / "films" / name, float(time))
                for name, time in (id.rsplit("@", 1) for id in ids)
            ]
            assert len(wanted) == sum(int(probe(path).duration / chosen.every) for path in films)
            clock, work = timed(partial(by_ffmpeg, ffmpeg, wanted, folder / f"out{turn}"))
            clocks.append(clock / took)
            works.append(work / worked)
            print(
                f"ours: {len(wanted) / took:.1f} clips/s, {1000 * worked / len(wanted):.0f} ms of "
                f"one processor a clip; ffmpeg: {len(wanted) / clock:.1f} clips/s, "
                f"{1000 * work / len(wanted):.0f} ms",
                flush=True,
            )
        each = [needed(path, chosen.every) for path in films[: len(chosen.film) or 1]]
        parts = {name: sum(one[name] for one in each) / len(each) for name in each[0]}
        told = ", ".join(f"{name} {1000 * part:.1f}" for name, part in parts.items())
        print(f"it cannot be less than {1000 * sum(parts.values()):.1f} ms a clip: {told}")
        for what, ratios in (("as fast", clocks), ("by processor time", works)):
            print(f"ours {median(ratios):.2f}x {what} ({min(ratios):.2f}x to {max(ratios):.2f}x)")


if __name__ == "__main__":
    main()
