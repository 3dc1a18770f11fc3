#!/usr/bin/env bash
# FFmpeg 8.1 as PyAV 18.1.0 brings it, filter `overlay` with format=yuv420.
#
# Expected: chroma, of which there is one sample for 2 x 2 pixels, is mixed by the mean opacity of the
# pixels below it, in every place alike.
# Seen: so it is inside, but in the last row of chroma of what is laid over the upper of the two rows of
# opacity counts alone. A strip whose last two rows are transparent and nearly opaque leaves chroma below
# it as it was; the same rows further up mix it. A heat map or a caption that ends in the picture gets an
# edge of the wrong colour.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
"$work/venv/bin/python" - <<'P'
import sys
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat

WIDTH, HEIGHT, OPACITY = 64, 32, 200


def made(kind, planes):
    frame = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], kind)
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((plane.height, plane.line_size), np.uint8)
        rows[:, : plane.width] = values
        plane.update(rows.tobytes())
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame


def chroma(rows, at):
    """One sample of chroma (of 128) under a veil (of 228), whose row pair at `at` has opacity
    0 in its upper and OPACITY in its lower row."""
    graph = Graph()
    overlay = graph.add("overlay", x="0", y="0", format="yuv420")
    for pad, (kind, height) in enumerate((("yuv420p", HEIGHT), ("yuva420p", rows))):
        source = graph.add_buffer(
            width=WIDTH, height=height, format=VideoFormat(kind), time_base=Fraction(1, 25)
        )
        source.link_to(overlay, 0, pad)
        if pad == 0:
            below = source
        else:
            above = source
    sink = graph.add("buffersink")
    overlay.link_to(sink)
    graph.configure()
    full, half = (HEIGHT, WIDTH), (HEIGHT // 2, WIDTH // 2)
    below.push(made("yuv420p", [np.full(full, 100), np.full(half, 128), np.full(half, 128)]))
    alpha = np.zeros((rows, WIDTH), np.uint8)
    alpha[2 * at + 1] = OPACITY
    small = np.full((rows // 2, WIDTH // 2), 228)
    above.push(made("yuva420p", [np.full((rows, WIDTH), 100), small, small, alpha]))
    result = sink.pull()
    plane = result.planes[1]
    values = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return int(values[at, 8])


inside, last = chroma(16, 3), chroma(16, 7)
right = 128 + round(100 * OPACITY / 2 / 255)
print(f"av {av.__version__}: chroma {inside} inside, {last} in the last row; {right} by the mean")
sys.exit(0 if abs(inside - right) <= 2 and abs(last - right) > 20 else 1)
P
