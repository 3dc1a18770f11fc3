#!/usr/bin/env bash
# safetensors 0.8.0, save with metadata.
#
# Expected: the same tensors and the same metadata give the same bytes, so that a digest of a weights
# file says whether two trainings ended alike.
# Seen: the tensors are in a fixed order, but the entries of the metadata are written in a random one,
# another at each call, even within one process. With three entries 200 calls give all 6 files. Only
# with one entry, or none, is the file always the same.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.4.6
"$work/venv/bin/python" - <<'P'
import sys

import numpy as np
import safetensors
from safetensors.numpy import load, save

tensors = {f"layer{i}.weight": np.arange(i + 1, dtype=np.float32) for i in range(6)}


def files(entries: dict[str, str] | None) -> set[bytes]:
    return {save(tensors, metadata=entries) for _ in range(200)}


none, one = files(None), files({"recipe": "a"})
three = files({"recipe": "a", "data": "b", "seed": "4"})
alike = {tuple((name, value.tobytes()) for name, value in sorted(load(f).items())) for f in three}
print(
    f"safetensors {safetensors.__version__}: different files from 200 calls: {len(none)} without "
    f"metadata, {len(one)} with one entry, {len(three)} with three, all with {len(alike)} content"
)
sys.exit(0 if len(none) == len(one) == len(alike) == 1 < len(three) else 1)
P
