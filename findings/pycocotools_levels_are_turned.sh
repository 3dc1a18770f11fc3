#!/usr/bin/env bash
# pycocotools 2.0.11, masks as run lengths.
#
# Expected: `mask.encode` takes what is not 0 for the object, or refuses more than two values. Maps of labels,
# and masks with soft edges, as resizing or JPEG make them, are given to it everywhere.
# Seen: every change of value ends a run, and runs are outside and inside by turns. Where a column of a
# mask has three values one below the other, the second is inside, the third outside, and what follows,
# black though it be, inside, up to the next such place. Nothing is said. Masks of two values alone, be they
# 0 and 1 or 0 and 255, are encoded rightly.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pycocotools==2.0.11 numpy==2.4.6
"$work/venv/bin/python" - <<'P'
import sys

import numpy as np
from pycocotools import mask as coco



def encoded(mask):
    return coco.decode(coco.encode(np.asfortranarray(mask))).astype(bool)


hard = np.zeros((64, 64), np.uint8)
hard[16:48, 16:48] = 255
labels = np.zeros((64, 64), np.uint8)
labels[16:32, 16:48], labels[32:48, 16:48] = 1, 2  # one object above the other
soft = hard.copy()
soft[15, 16:48] = 100  # a row that a resized edge leaves
right = all(np.array_equal(encoded(mask), hard > 0) for mask in (hard, hard // 255, hard > 0))
turned = []
for name, mask in (("two labels", labels), ("soft edge", soft)):
    found = encoded(mask)
    outside, inside = found[mask == 0], found[mask == mask.max()]
    print(f"{name}: {outside.mean():.0%} of what is 0 is inside, {inside.mean():.0%} of the highest value")
    turned.append(bool(outside.mean() > 0.1 and inside.mean() < 0.6))
sys.exit(0 if right and all(turned) else 1)
P
