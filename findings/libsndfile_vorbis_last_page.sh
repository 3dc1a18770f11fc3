#!/usr/bin/env bash
# soundfile 0.14.0 (libsndfile 1.2.2), Ogg Vorbis that it wrote itself.
#
# Expected: `read(start=n)` gives the samples of the whole sound from the n-th on, as of FLAC and Opus.
# Seen: of a start near the end (the last Ogg page; here the last 3,000 samples) samples come that lie
# behind those asked for, by 52 at 44.1 kHz (1.2 ms) and 128 at 16 kHz (8 ms), other numbers for other
# lengths; as many from behind the sound's end are put at the end, so that nothing seems to be missing.
# Windows that are cut from the end of recordings are so not the windows of the whole.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet numpy==2.4.6 soundfile==0.14.0
"$work/venv/bin/python" - "$work" <<'P'
import sys

import numpy as np
import soundfile

LENGTH = 400  # samples compared


def shifts(file, starts):
    """By how many samples what is read from each start lies behind it."""
    whole, _ = soundfile.read(file)
    for start in starts:
        part, _ = soundfile.read(file, start=start)
        near = range(-200, 201)
        heard = part[300 : 300 + LENGTH]
        yield next(
            shift for shift in near if np.allclose(whole[start + 300 + shift :][:LENGTH], heard, atol=1e-5)
        ), len(part) - (len(whole) - start)


found = {}
for kind, subtype, rate in (
    ("OGG", "VORBIS", 44100), ("OGG", "VORBIS", 16000), ("OGG", "OPUS", 16000), ("FLAC", "PCM_16", 44100)
):
    noise = 0.1 * np.random.default_rng(0).standard_normal(3 * rate)
    file = f"{sys.argv[1]}/{subtype}{rate}"
    soundfile.write(file, noise, rate, format=kind, subtype=subtype)
    starts = [rate // 2, rate, 3 * rate - 3000, 3 * rate - 1500]
    found[subtype, rate] = list(shifts(file, starts))
    print(subtype, rate, "Hz: (behind, too many), by start:", dict(zip(starts, found[subtype, rate])))
vorbis = [each for (kind, _), each in found.items() if kind == "VORBIS"]
others = [each for (kind, _), each in found.items() if kind != "VORBIS"]
right = (0, 0)
changed = any(first[:2] != [right] * 2 or first[-1] == right for first in vorbis)
sys.exit(1 if changed or any(each != [right] * 4 for each in others) else 0)
P
