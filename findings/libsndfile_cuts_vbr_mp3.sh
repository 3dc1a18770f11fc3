#!/usr/bin/env bash
# soundfile 0.14.0 (libsndfile 1.2.2) and MP3 of a variable bit rate without a Xing frame, as recorders of
# web radio and cutters of MP3 write it (imageio-ffmpeg 0.6.0 makes it: FFmpeg 7.0.2, libmp3lame).
#
# Expected: `soundfile.read` gives all of a sound; where a file does not say how long it is, `info` may err.
# Seen: the length is guessed from the bit rate of the first frame, and what lies behind it is cut off
# without a word: two minutes that begin loud and go on quietly end early, and so for all that reads by
# soundfile (librosa among them). With the Xing frame, and at a constant bit rate, all is there.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet numpy==2.4.6 soundfile==0.14.0 imageio-ffmpeg==0.6.0
"$work/venv/bin/python" - "$work" <<'P'
import subprocess
import sys

import imageio_ffmpeg
import numpy as np
import soundfile

RATE = 44100
work = sys.argv[1]
time = np.arange(120 * RATE) / RATE
noise = np.random.default_rng(0).standard_normal(len(time))
soundfile.write(f"{work}/sound.wav", np.where(time < 10, 0.2, 0.0005) * noise, RATE)
kinds = {
    "variable, no Xing frame": ["-q:a", "4", "-write_xing", "0"],
    "variable, Xing frame": ["-q:a", "4"],
    "constant, no Xing frame": ["-b:a", "128k", "-write_xing", "0"],
}
share = {}
for name, options in kinds.items():
    file = f"{work}/{name}.mp3"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error"]
    subprocess.run([*ffmpeg, "-i", f"{work}/sound.wav", *options, file], check=True)
    decoded = subprocess.run([*ffmpeg, "-i", file, "-f", "s16le", "-"], check=True, capture_output=True)
    samples, _ = soundfile.read(file)
    share[name] = len(samples) / (len(decoded.stdout) // 2)
    print(f"{name}: {len(samples) / RATE:.1f} s of {len(decoded.stdout) / 2 / RATE:.1f} s")
cut, *whole = share.values()
sys.exit(0 if cut < 0.8 and all(each > 0.995 for each in whole) else 1)
P
