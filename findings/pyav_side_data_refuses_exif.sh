#!/usr/bin/env bash
# PyAV 18.1.0, frame.side_data.
#
# Expected: a kind of side data that PyAV has no name for is left out, or given by its number; the
# others, as the display matrix that tells which way up a picture is, can be read.
# Seen: FFmpeg 8.1 gives a frame the EXIF of its JPEG (AVFrameSideDataType 31), as cameras write it into
# motion JPEG. PyAV's names end at 27, and any look at side_data of such a frame, also for another kind,
# is a ValueError: 31 is not a valid Type. The display matrix that FFmpeg has made of the EXIF
# orientation is out of reach; FFmpeg's filter "sidedata", which deletes kinds by number, brings it back.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6 pillow==12.0.0
"$work/venv/bin/python" - "$work" <<'P'
import sys
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph
from PIL import Image

work = sys.argv[1]
exif = Image.Exif()
exif[0x0112] = 6  # to be turned by 90 degrees
Image.fromarray(np.full((48, 64, 3), 128, np.uint8)).save(f"{work}/a.jpg", exif=exif)
with av.open(f"{work}/a.avi", "w") as output:
    stream = output.add_stream("mjpeg", rate=25)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
    packet = av.Packet(open(f"{work}/a.jpg", "rb").read())
    packet.stream, packet.time_base, packet.pts, packet.dts = stream, Fraction(1, 25), 0, 0
    output.mux(packet)

with av.open(f"{work}/a.avi") as container:
    frame = next(container.decode(video=0))
    try:
        frame.side_data.get("DISPLAYMATRIX")
        refused = None
    except ValueError as error:
        refused = str(error)
    graph = Graph()
    begin = graph.add_buffer(
        width=64, height=48, format=frame.format, time_base=Fraction(1, 25)
    )
    delete, end = graph.add("sidedata", "mode=delete:type=31"), graph.add("buffersink")
    begin.link_to(delete)
    delete.link_to(end)
    graph.configure()
    graph.push(frame)
    left = graph.pull().side_data.get("DISPLAYMATRIX")
print(f"av {av.__version__}, FFmpeg {av.ffmpeg_version_info}: {refused}; after the filter: {left}")
sys.exit(0 if refused and left is not None else 1)
P
