#!/usr/bin/env bash
# FFmpeg 7.0.2 (imageio-ffmpeg 0.6.0) and moviepy 2.2.1, films whose sound begins a second after the picture, as of
# recorders that open the microphone late and of films that are cut without encoding them again.
#
# Expected: `ffmpeg -i film sound.wav`, by which data sets of this field get their sounds, and moviepy's `audio`
# have a click where the film has it, beside the flash at 2 s, or the second before is silence.
# Seen: the sound stands at the start of the file, a second before its picture, without a word, in mp4, mov and
# mkv; 0.5 s before it from `-ss 0.5` on; in its place from `-ss 1.5` on, where it has begun. So the
# windows of one film are not the windows of its sound, depending on where they are cut. With the filter
# `aresample=async=1:first_pts=0` the silence is there and all are in their places.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet imageio-ffmpeg==0.6.0 moviepy==2.2.1 numpy==2.4.6
"$work/venv/bin/python" - "$work" <<'P'
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
from moviepy import VideoFileClip

RATE, work = 44100, sys.argv[1]
FFMPEG = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error"]


def click(*options):
    """When the sound of a film is first loud, in seconds of what FFmpeg writes of it."""
    raw = [*FFMPEG, *options, "-ac", "1", "-ar", str(RATE), "-f", "f32le", "-"]
    return heard(np.frombuffer(subprocess.run(raw, check=True, capture_output=True).stdout, np.float32))


def heard(samples):
    return np.argmax(np.abs(samples) > 0.2) / RATE


picture = "color=black:s=160x120:r=25:d=5,drawbox=c=white:t=fill:enable='between(t,2,2.2)'"
sound = "aevalsrc='if(between(t,1,1.05),0.8*sin(2*PI*1000*t),0)':s=44100:d=4"
made = [*FFMPEG, "-f", "lavfi", "-i", picture, "-itsoffset", "1", "-f", "lavfi", "-i", sound]
subprocess.run([*made, "-c:v", "libx264", "-c:a", "aac", f"{work}/a.mp4"], check=True)
found = []
for kind in ("mp4", "mov", "mkv"):
    film = f"{work}/late.{kind}"
    subprocess.run([*FFMPEG, "-i", f"{work}/a.mp4", "-c", "copy", film], check=True)
    times = [
        click("-i", film),
        0.5 + click("-ss", "0.5", "-i", film),
        1.5 + click("-ss", "1.5", "-i", film),
        click("-i", film, "-af", "aresample=async=1:first_pts=0"),
    ]
    with VideoFileClip(film) as clip:
        flash = next(time for time in np.arange(0, 4, 0.04) if clip.get_frame(time).mean() > 100)
        times.append(heard(clip.audio.to_soundarray(fps=RATE).max(axis=1)))
    found.append([*times, flash])
    whole, from_half, from_later, filled, by_moviepy, flash = np.round(found[-1], 2)
    print(f"{kind}: flash {flash}; click {whole}, from 0.5 s on {from_half}, from 1.5 s on {from_later};", end=" ")
    print(f"filled {filled}; moviepy {by_moviepy}")
expected = [1.0, 1.5, 2.0, 2.0, 1.0, 2.0]
sys.exit(0 if np.allclose(found, expected, atol=0.05) else 1)
P
