#!/usr/bin/env bash
# Pillow 12.0.0 and 13.0.0, TIFF and PNG.
#
# Expected: a picture has the same pixels whether it is opened by its path or from memory, white that a
# file states as 0 is white, and values of 12 bits are as light as the same values of 8.
# Seen, each without a word:
# - an uncompressed grey TIFF whose orientation is 5 to 8, opened by its path: the file is mapped into
#   memory with rows as long as those of the turned picture, so that pixels stand at wrong places;
# - grey of 16 bits with PhotometricInterpretation 0 (WhiteIsZero), as scanners write: a negative;
# - grey of 12 bits: 0 to 4095 of 65535, nearly black;
# - PNG of 4 bits of grey with a clear level (tRNS): 7 is taken for the level 7 of 255, not for 7 * 17.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet pillow==12.0.0 numpy==2.4.6
"$work/venv/bin/python" - "$work" <<'P'
import struct
import sys
import zlib
from io import BytesIO

import numpy as np
import PIL
from PIL import Image

work = sys.argv[1]
grey = np.arange(0, 240, 10).reshape(4, 6)


def tiff(bits, data, white, orientation=1):
    tags = {256: 6, 257: 4, 258: bits, 259: 1, 262: white, 274: orientation, 277: 1, 278: 4}
    rows = [(tag, 3, value) for tag, value in tags.items()]
    rows += [(273, 4, 8 + 2 + 12 * 10 + 4), (279, 4, len(data))]
    listed = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in sorted(rows))
    return b"II*\0" + struct.pack("<IH", 8, 10) + listed + bytes(4) + data


def opened(content):
    return np.asarray(Image.open(BytesIO(content))).astype(int)


deep = (grey * 257).astype("<u2")
with open(f"{work}/a.tif", "wb") as file:
    file.write(tiff(16, deep.tobytes(), 1, 6))
with open(f"{work}/a.tif", "rb") as file:
    right = opened(file.read())
turned = not np.array_equal(np.asarray(Image.open(f"{work}/a.tif")), right)
negative = np.array_equal(opened(tiff(16, (65535 - deep).tobytes(), 0)), 65535 - deep)
fine = (grey * 16).reshape(-1, 2).tolist()
twelve = opened(tiff(12, b"".join((a << 12 | b).to_bytes(3, "big") for a, b in fine), 1)).max() < 4096


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 4, 0, 0, 0, 0))
png += chunk(b"tRNS", struct.pack(">H", 7)) + chunk(b"IDAT", zlib.compress(b"\0\x72"))
png += chunk(b"IEND", b"")
clear = np.asarray(Image.open(BytesIO(png)).convert("RGBA"))[0, :, 3].tolist()
print(f"Pillow {PIL.__version__}: turned {turned}, negative {negative}, 12 bits {twelve}, alpha {clear}")
sys.exit(0 if turned and negative and twelve and clear == [255, 255] else 1)
P
