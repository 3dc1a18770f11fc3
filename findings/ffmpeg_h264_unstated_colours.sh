#!/usr/bin/env bash
# FFmpeg 8.1 (PyAV 18.1.0), H.264 of which a later part states no colours.
#
# Expected: a picture has the matrix and range of its own sequence parameter set; where that states none,
# they are "unspecified" and limited (ITU-T H.264, E.2.1), whatever was decoded before.
# Seen: two recordings joined end to end, of which the first states BT.2020 and full range and the second
# nothing: all pictures of the second are told to be BT.2020, full range, too. Decoded alone they are
# unspecified. Who converts to RGB by what the frames say shows the second part in other colours than it has,
# and in others after a seek than when it is played.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
"$work/venv/bin/python" - "$work" <<'P'
import sys
from pathlib import Path

import av
import numpy as np

work, frames = Path(sys.argv[1]), 10


def recording(name: str, stated: str) -> bytes:
    path = work / name
    with av.open(str(path), "w", format="h264") as output:
        stream = output.add_stream("libx264", rate=25, options={"x264-params": f"bframes=0{stated}"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((72, 64), 128, np.uint8), format="yuv420p")
            output.mux(stream.encode(picture))
        output.mux(stream.encode(None))
    return path.read_bytes()


def told(path: Path) -> list[tuple[int, int]]:
    with av.open(str(path), format="h264") as container:
        return [(int(each.colorspace), int(each.color_range)) for each in container.decode(video=0)]


first = recording("first.h264", ":colormatrix=bt2020nc:fullrange=on")
second = recording("second.h264", "")
(work / "joined.h264").write_bytes(first + second)
alone, joined = told(work / "second.h264"), told(work / "joined.h264")[frames:]
print(
    f"av {av.__version__}, FFmpeg {av.ffmpeg_version_info}: matrix and range of the second part "
    f"alone {set(alone)}, joined {set(joined)}"
)
sys.exit(0 if len(joined) == len(alone) == frames and set(joined) == {(9, 2)} != set(alone) else 1)
P
