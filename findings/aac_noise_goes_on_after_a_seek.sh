#!/usr/bin/env bash
# PyAV 18.1.0 (FFmpeg 8.1), AAC in an mp4 file.
#
# Expected: after a seek to the beginning, which empties the decoder, the same packets give the same
# samples as in a file just opened.
# Seen: other samples, as loud, where the sound is noise: AAC codes that as a level alone, and the numbers
# which the decoder makes up go on from those before the seek. So what is heard at a time depends on all
# that was decoded before, by far more than rounding; a sine, of which hardly any is coded so, is the same to
# a thousandth. Only a decoder that is opened anew begins again.
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

import av
import numpy as np

RATE = 44_100


def make(path, sound):
    with av.open(path, "w") as output:
        stream = output.add_stream("aac", rate=RATE, layout="mono", bit_rate=48_000)
        frame = av.AudioFrame.from_ndarray(sound.astype(np.float32)[None], format="flt", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
        output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def decoded(source):
    frames = [(frame.pts, frame.to_ndarray()[0]) for frame in source.decode(audio=0)]
    return [pts for pts, _ in frames], np.concatenate([samples for _, samples in frames])


def compared(path):
    with av.open(path) as source:
        stamps, wanted = decoded(source)
    with av.open(path) as source:
        again_stamps, again = decoded(source)
    assert stamps == again_stamps and np.array_equal(wanted, again)  # two that are opened agree
    with av.open(path) as source:
        decoded(source)
        first = source.streams.audio[0].index_entries[0].timestamp
        source.seek(first, stream=source.streams.audio[0])
        sought_stamps, sought = decoded(source)
    assert stamps == sought_stamps
    difference, level = (sought - wanted).std(), wanted.std()
    print(f"{path[len(sys.argv[1]) + 1:]}: level {level:.3f}, {sought.std():.3f} after the seek, ", end="")
    print(f"difference {difference:.1e}")
    return difference, level, sought.std()


random = np.random.default_rng(0)
times = np.arange(3 * RATE) / RATE
noise = compared(make(f"{sys.argv[1]}/noise.mp4", 0.1 * random.standard_normal(len(times))))
sine = compared(make(f"{sys.argv[1]}/sine.mp4", 0.3 * np.sin(2 * np.pi * 440 * times)))
as_loud = abs(noise[1] - noise[2]) < 0.05 * noise[1]
sys.exit(0 if noise[0] > 0.1 * noise[1] and as_loud and sine[0] < 1e-3 * sine[1] else 1)
P
