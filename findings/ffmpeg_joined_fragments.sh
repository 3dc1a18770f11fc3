#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1.2), two fragmented mp4 files joined byte by byte.
#
# Expected: as for joined MPEG-TS or Matroska files, the pictures of both come out, or those of the
# first and then an error. Recorders and stream savers write fragments, and people join them.
# Seen: the demuxer reports the packets of both without a word, as many as both files hold, but the
# bytes of the second part are taken from wrong places: the decoder refuses them one by one. Who skips
# damaged packets, as players do, sees the first film and a length of two.
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

folder = Path(sys.argv[1])
for part in (0, 1):
    options = {"movflags": "frag_keyframe+empty_moov"}
    with av.open(str(folder / f"{part}.mp4"), "w", options=options) as output:
        stream = output.add_stream("libx264", rate=25, options={"g": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(75):
            pixels = np.full((48, 64, 3), (3 * number, 100 * part, 128), np.uint8)
            output.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        output.mux(stream.encode(None))
joined = folder / "joined.mp4"
joined.write_bytes(b"".join((folder / f"{part}.mp4").read_bytes() for part in (0, 1)))
packets = decoded = refused = 0
with av.open(str(joined)) as container:
    stream = container.streams.video[0]
    for packet in container.demux(stream):
        packets += packet.size > 0
        try:
            decoded += len(stream.codec_context.decode(packet))
        except av.FFmpegError:
            refused += 1
print(f"75 + 75 pictures joined: {packets} packets, {decoded} pictures decoded, {refused} packets refused")
sys.exit(0 if packets == 150 and decoded < 100 else 1)
P
