#!/usr/bin/env bash
# decord 0.6.0 and FFmpeg in imageio-ffmpeg 0.6.0 and PyAV 18.1.0, an mp4 that was cut without encoding anew.
#
# Expected: frame 125 of 25 a second is the one at 5 s, as in the film before it was cut, and as players,
# FFmpeg and PyAV show it. `ffmpeg -ss 3.3 -t 10 -c copy` is how most data sets of short clips are cut: it
# begins at the key frame before and hides what comes before 3.3 s by an edit list.
# Seen: decord's `len` counts the hidden frames, and which frame `vr[125]` is depends on what was read
# before: asked for at once it lies as much before 5 s as was hidden, up to the distance of two key
# frames; after the 125 frames before it, it is the right one. `get_frame_timestamp` has times below 0
# and tells that of the first.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet decord==0.6.0 imageio-ffmpeg==0.6.0 av==18.1.0 numpy==2.4.6
"$work/venv/bin/python" - "$work" <<'P'
import subprocess
import sys

import av
import decord
import imageio_ffmpeg
import numpy as np

work = sys.argv[1]
whole, cut = f"{work}/whole.mp4", f"{work}/cut.mp4"
with av.open(whole, "w") as output:
    stream = output.add_stream("libx264", rate=25, options={"g": "50"})
    stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
    for number in range(500):
        pixels = np.zeros((64, 128, 3), np.uint8)
        for bit in range(10):  # a bar for each bit of the frame's number
            pixels[:, 12 * bit : 12 * bit + 12] = 255 * (number >> bit & 1)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
    output.mux(stream.encode(None))
command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-ss", "3.3", "-i", whole]
subprocess.run([*command, "-t", "10", "-c", "copy", cut], check=True)


def number_of(pixels):
    return sum(int(pixels[32, 12 * bit + 6].mean() > 128) << bit for bit in range(10))


def shown(path, second):
    with av.open(path) as source:
        frames = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in source.decode(video=0)]
    return len(frames), number_of([pixels for time, pixels in frames if time <= second + 1e-6][-1])


for path in (whole, cut):
    count, wanted = shown(path, 5.0)
    reader, other = decord.VideoReader(path), decord.VideoReader(path)
    at_once = number_of(reader[125].asnumpy())
    in_turn = [number_of(other[place].asnumpy()) for place in range(126)][-1]
    time = float(reader.get_frame_timestamp([125])[0, 0])
    print(f"{path[len(work) + 1:]}: at 5 s frame {wanted} of {count}; of {len(reader)} frames vr[125], of", end=" ")
    print(f"{time:.2f} s, is {at_once} at once and {in_turn} in turn")
    if path == whole:
        same = at_once == in_turn == wanted and len(reader) == count
sys.exit(0 if same and in_turn == wanted >= at_once + 10 and len(reader) > count else 1)
P
