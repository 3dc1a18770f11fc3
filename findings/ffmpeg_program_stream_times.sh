#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1.2), MPEG program streams (.mpg, .vob) with small pictures.
#
# Expected: a program stream states a time for the first picture that begins in each block of data
# (ISO/IEC 13818-1, 2.4.3.7), so that pictures made at 25 per second come back 0.04 s apart.
# Seen: where a picture's header is split between two blocks, the time of the next picture is given to
# it, and all that follow count on from there: one step of 0.08 s, and every later picture, up to the
# next stated time, is shown a frame too late against the sound. Small pictures (slides, a talk, dark
# scenes) share blocks, and the fewer times are stated the longer it lasts.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
"$work/venv/bin/python" - "$work/made.mpg" <<'P'
import sys

import av
import numpy as np

late = 0
for size in range(16, 129, 16):
    path = sys.argv[1]
    with av.open(path, "w") as output:
        stream = output.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = size, size, "yuv420p"
        for number in range(100):
            pixels = np.full((size, size, 3), (8 * (number % 32), 8 * (number // 32), 128), np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels)
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with av.open(path) as container:
        times = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    steps = np.diff(times)
    wrong = int((np.abs(steps - 0.04) > 0.001).sum())
    late += wrong > 0
    print(f"{size} x {size}: {len(times)} pictures, {wrong} steps that are not 0.04 s, longest {steps.max():.2f} s")
sys.exit(0 if late else 1)
P
