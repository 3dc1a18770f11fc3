#!/usr/bin/env bash
# Pillow 12.0.0 and 13.0.0, Image.resize.
#
# Expected: a picture squeezed into the square of an image network, as the test transforms of this field
# do it (224 x 224, bicubic), has the same pixels under both, as one that is wider than high has.
# Seen: a picture that loses more of its height than of its width, so any portrait, has other pixels
# under 13: its columns are resized before its rows there, up to 12 its rows before its columns, and
# between the two values are rounded to bytes and cut off at 0 and 255. Proportions kept, pictures are
# the same, unless rounding the size takes more from the height, or nothing is rounded (300 x 900 to
# 224 x 672). Resized along its rows by one call and along its columns by the next, a picture has the
# values of 12 under both.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet numpy==2.4.6
for version in 12.0.0 13.0.0; do
    "$work/venv/bin/pip" install --quiet --no-deps --target "$work/$version" "pillow==$version"
    PYTHONPATH="$work/$version" "$work/venv/bin/python" - "$work/$version.npz" <<'P'
import sys

import numpy as np
from PIL import Image

CUBIC = Image.Resampling.BICUBIC
SIZES = {
    "portrait": ((360, 640), (224, 224)),
    "landscape": ((640, 360), (224, 224)),
    "portrait, proportions kept": ((360, 640), (224, 398)),
    "portrait, exact proportions": ((300, 900), (224, 672)),
}
found = {}
for name, ((width, height), size) in SIZES.items():
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    image = Image.fromarray(noise)
    found[name] = np.asarray(image.resize(size, CUBIC))
    found[f"{name}, in two calls"] = np.asarray(image.resize((size[0], height), CUBIC).resize(size, CUBIC))
np.savez(sys.argv[1], **found)
P
done
"$work/venv/bin/python" - "$work" <<'P'
import sys

import numpy as np

old, new = (np.load(f"{sys.argv[1]}/{version}.npz") for version in ("12.0.0", "13.0.0"))
apart = {name: np.abs(old[name].astype(int) - new[name]) for name in old.files}
for name, levels in apart.items():
    print(f"{name}: {(levels > 0).mean():.1%} of the values differ, by {levels.max()} levels at most")
other = {name for name, levels in apart.items() if levels.any()}
as_before = all((new[f"{name}, in two calls"] == old[name]).all() for name in apart if "calls" not in name)
sys.exit(0 if other == {"portrait", "portrait, exact proportions"} and as_before else 1)
P
