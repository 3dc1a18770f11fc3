#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1), a film decoded and encoded anew.
#
# Expected: the encoder chooses which frames become key frames, as it does for frames made from arrays.
# Seen: a decoded frame carries the type that it had in the source (`pict_type`), and x264 takes it for
# an order. A film of key frames alone (an editing format, a camera's MJPEG or all-intra H.264) is
# encoded with every frame a key frame, several times as large, whatever group length is asked for; the
# same frames with `pict_type` set to 0 get one.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
"$work/venv/bin/python" - "$work" <<'P'
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

folder = Path(sys.argv[1])
FRAMES = 50


def written(path, frames, options):
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number, frame in enumerate(frames):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    with av.open(str(path)) as container:
        keys = sum(packet.is_keyframe for packet in container.demux(video=0) if packet.size)
    return keys, path.stat().st_size


def drawn():
    still = np.random.default_rng(0).integers(0, 256, (180, 320, 3), dtype=np.uint8)
    for number in range(FRAMES):
        still[:8, number * 4 : number * 4 + 4] = 255
        yield av.VideoFrame.from_ndarray(still)


def decoded(path, forget):
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if forget:
                frame.pict_type = 0
            yield frame


source = folder / "keys.mp4"
made = written(source, drawn(), {"g": "1"})
kept = written(folder / "kept.mp4", decoded(source, forget=False), {})
forgotten = written(folder / "forgotten.mp4", decoded(source, forget=True), {})
print(f"av {av.__version__}, key frames of {FRAMES} and bytes: source {made}, encoded anew {kept}, "
      f"with pict_type 0 {forgotten}")
sys.exit(0 if kept[0] == FRAMES and forgotten[0] == 1 and kept[1] > 3 * forgotten[1] else 1)
P
