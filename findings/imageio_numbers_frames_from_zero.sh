#!/usr/bin/env bash
# imageio 2.38.1 with its plugin pyav, PyAV 18.1.0, films of a constant 25 frames a second.
#
# Expected: `imread(film, plugin="pyav", index=k)` is the k-th frame that `imiter` gives, also by default,
# where the film is looked at to see whether its frame rate is constant, as it is here.
# Seen: other frames, without a word, where the first frame is not shown at the time 0 of the container, as
# in any MPEG-TS, in AVI with frames that are coded out of their order, and in an mp4 whose picture begins
# late: one frame too early (AVI), up to 24 frames away (MPEG-TS), frames as many seconds too early as the
# film begins late. With `constant_framerate=False`, which is slower, all are right.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0 imageio==2.38.1 numpy==2.4.6
"$work/venv/bin/python" - "$work" <<'P'
import sys
from fractions import Fraction

import av
import imageio.v3 as iio
import numpy as np

work, count, asked = sys.argv[1], 300, (0, 40, 77, 151, 250)


def picture(number):
    bits = [(number >> bit) & 1 for bit in range(10)]
    return np.repeat(np.tile(np.repeat(np.uint8(bits) * 255, 16), (64, 1))[..., None], 3, axis=2)


def number_of(pixels):
    return sum(int(pixels[32, 16 * bit + 8].mean() > 127) << bit for bit in range(10))


def film(name, begin):
    path = f"{work}/{name}"
    with av.open(path, "w") as output:
        stream = output.add_stream("libx264", rate=25, width=160, height=64, pix_fmt="yuv420p")
        stream.options = {"g": "50"}
        stream.time_base = Fraction(1, 25)
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = number + begin, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


wrong = {}
for name, begin in {"a.mp4": 0, "a.mkv": 0, "late.mp4": 75, "a.ts": 0, "a.avi": 0}.items():
    path = film(name, begin)
    assert [number_of(each) for each in iio.imiter(path, plugin="pyav")] == list(range(count))
    found = [number_of(iio.imread(path, plugin="pyav", index=k)) for k in asked]
    slowly = [number_of(iio.imread(path, plugin="pyav", index=k, constant_framerate=False)) for k in asked]
    assert slowly == list(asked)
    wrong[name] = found != list(asked)
    print(f"{name}: asked for {asked}, got {tuple(found)}")
sys.exit(0 if [name for name, is_so in wrong.items() if is_so] == ["late.mp4", "a.ts", "a.avi"] else 1)
P
