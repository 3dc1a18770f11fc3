#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1, SVT-AV1), encoding AV1 as root, as the processes of most containers run.
#
# Expected: an encoder schedules its own threads as it likes; the thread that calls it is, at the latest when
# the file is closed, scheduled as before, as it is by x264, x265 and libvpx.
# Seen: by the first frame the calling thread itself is put under SCHED_FIFO with priority 99, the highest of
# real time, and stays there when the film is written and closed. Threads and processes that it starts from
# then on inherit it: a DataLoader, a server or a browser started after one small AV1 film run in real time,
# and all other processes of the machine get the twentieth that Linux keeps for them (a test suite with a
# browser took over 85 minutes instead of 10). Nothing is said. `os.sched_setscheduler` sets it back.
#
# Needs root, whom Linux allows it: exits 2 for others. Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
if [ "$(id -u)" != 0 ] || ! chrt --fifo 1 true 2>/dev/null; then
    echo "needs a user who may use SCHED_FIFO, as root may"
    exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6
SVT_LOG=1 "$work/venv/bin/python" - "$work" <<'P'
import os
import subprocess
import sys
import threading
from pathlib import Path

import av
import numpy as np

POLICIES = {os.SCHED_OTHER: "SCHED_OTHER", os.SCHED_FIFO: "SCHED_FIFO"}
SETTINGS = {"libx265": {"x265-params": "log-level=none"}}


def scheduled():
    return POLICIES[os.sched_getscheduler(0)], os.sched_getparam(0).sched_priority


def encode(folder, codec):
    """Scheduling of this thread before a film of ten frames, within, and when it is closed."""
    seen = [scheduled()]
    with av.open(str(folder / f"{codec}.mkv"), "w") as output:
        stream = output.add_stream(codec, rate=25, options=SETTINGS.get(codec, {}))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(10):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8))
            frame.pts = number
            output.mux(stream.encode(frame))
        seen.append(scheduled())
        output.mux(stream.encode(None))
    return [*seen, scheduled()]


folder = Path(sys.argv[1])
usual = ("SCHED_OTHER", 0)
seen = {}
for codec in ("libx264", "libx265", "libvpx-vp9", "libsvtav1"):
    seen[codec] = encode(folder, codec)
    print(codec, "before, within, closed:", *seen[codec])
av1 = seen.pop("libsvtav1")
found = []
thread = threading.Thread(target=lambda: found.append(scheduled()))
thread.start()
thread.join()
code = "import os; print(os.sched_getscheduler(0) == os.SCHED_FIFO, os.sched_getparam(0).sched_priority)"
child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
print(f"a thread started afterwards: {found[0]}; a process: SCHED_FIFO, priority: {child.stdout.strip()}")
real = ("SCHED_FIFO", 99)
so = all(each == [usual] * 3 for each in seen.values()) and av1 == [usual, real, real]
so = so and found == [real] and child.stdout.strip() == "True 99"
os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
print("as it was:", so, "and set back:", scheduled())
sys.exit(0 if so and scheduled() == usual else 1)
P
