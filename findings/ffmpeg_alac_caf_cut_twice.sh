#!/usr/bin/env bash
# FFmpeg 8.1 (PyAV 18.1.0), ALAC in CAF.
#
# Expected: a lossless sound comes back with as many samples as were written.
# Seen: of 8,001 samples 7,810 come back. The last packet of ALAC says itself how many samples it holds, and
# the decoder gives no more; the `pakt` chunk of the CAF says by how many its packets were filled up
# (remainder), and FFmpeg cuts these from the samples once more. With the codec flag `skip_manual`, which
# leaves such cuts to the caller, all 8,001 come, equal to those written.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet av==18.1.0 numpy==2.4.6 soundfile==0.13.1
"$work/venv/bin/python" - "$work" <<'P'
import sys

import av
import numpy as np
import soundfile
from av.codec.context import Flags2

path, count = f"{sys.argv[1]}/a.caf", 8001
written = np.random.default_rng(4).integers(-20_000, 20_000, count, dtype=np.int16)
soundfile.write(path, written, 16_000, format="CAF", subtype="ALAC_16")


def read(manual: bool) -> np.ndarray:
    with av.open(path) as container:
        stream = container.streams.audio[0]
        if manual:
            stream.codec_context.flags2 |= Flags2.skip_manual
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(stream)])


usual, manual = read(manual=False), read(manual=True)
samples = manual >> 16 if manual.dtype == np.int32 else manual
print(
    f"av {av.__version__}, libsndfile {soundfile.__libsndfile_version__}: {count} written, "
    f"{len(usual)} read, {len(manual)} with skip_manual"
)
sys.exit(0 if len(usual) < count and np.array_equal(samples, written) else 1)
P
