#!/usr/bin/env bash
# PyAV 18.1.0, packet.opaque with codec_context.copy_opaque.
#
# Expected: what a packet carries as `opaque` comes out with the frame that is decoded from it, whatever
# Python object it is, and also where several packets carry the same one, as a label of a stretch would be.
# Seen: objects are kept by their id() and forgotten when the first frame that carries them is freed. Of
# 50 packets that share one tuple, as soon as frames are dropped while decoding goes on, most frames
# have None. With an object of its own for each packet all 50 arrive.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
"$work/venv/bin/python" - "$work" <<'P'
import sys

import av
import numpy as np

FRAMES = 50
path = f"{sys.argv[1]}/a.mp4"
with av.open(path, "w") as output:
    stream = output.add_stream("libx264", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    for number in range(FRAMES):
        picture = np.full((48, 64, 3), 4 * number, np.uint8)
        output.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
    output.mux(stream.encode(None))


def arrived(shared: bool) -> list[bool]:
    label = ("a stretch", 1)
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.copy_opaque = True
        found = []
        for packet in container.demux(stream):
            packet.opaque = label if shared else ("a stretch", [len(found)])
            for frame in packet.decode():
                found.append(frame.opaque is not None)
                del frame
    return found


one, own = arrived(shared=True), arrived(shared=False)
print(
    f"av {av.__version__}: of {len(one)} frames {sum(one)} have the shared object, "
    f"{sum(own)} of {len(own)} their own"
)
sys.exit(0 if len(one) == FRAMES and sum(one) < FRAMES and all(own) else 1)
P
