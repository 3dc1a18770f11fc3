#!/usr/bin/env bash
# LanceDB 0.40.0, ten rows taken from a column that has the same value in all of them.
#
# Expected: a column with one value is the cheapest to take a few rows of, since nothing has to be read: it
# takes a few hundred bytes on the disk.
# Seen: the constant is unpacked for every row of the file. Once `optimize` has joined a table into files of a
# million rows, ten rows of a constant text take three times as long as ten of a text that differs (6.0 ms
# against 1.9), and a vector search that selects such a column becomes as much slower. A constant number
# behaves like the text; a dictionary and a column of nulls do not.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet lancedb==0.40.0 numpy==2.4.6 pyarrow==26.0.1
"$work/venv/bin/python" - "$work" <<'P'
import sys
import time
from importlib.metadata import version

import lancedb
import numpy as np
import pyarrow as pa

ROWS, PART, TAKES = 4_000_000, 250_000, 30
random = np.random.default_rng(0)
text = pa.string()
columns = {
    "different texts": (text, lambda: pa.array(random.choice(["one", "two", "three"], PART))),
    "one text": (text, lambda: pa.array(["one"] * PART)),
    "one text, as a dictionary": (
        pa.dictionary(pa.int8(), text),
        lambda: pa.DictionaryArray.from_arrays(pa.array([0] * PART, pa.int8()), ["one"]),
    ),
    "one number": (pa.int64(), lambda: pa.array([1] * PART, pa.int64())),
    "null": (text, lambda: pa.nulls(PART, text)),
}
taken = {}
for number, (name, (kind, make)) in enumerate(columns.items()):
    schema = pa.schema([("value", kind)])
    table = lancedb.connect(sys.argv[1]).create_table(str(number), schema=schema)
    for _ in range(ROWS // PART):
        table.add(pa.table([make()], schema))
    table.optimize()
    assert table.stats()["fragment_stats"]["num_fragments"] <= ROWS / 1_000_000
    spent = []
    for _ in range(TAKES):
        rows = sorted(random.integers(0, 1_000_000, 10).tolist())  # of one file
        begin = time.process_time()
        assert len(table.take_offsets(rows).to_arrow()) == 10
        spent.append(1000 * (time.process_time() - begin))
    taken[name] = float(np.median(spent))
told = ", ".join(f"{name} {ms:.1f} ms" for name, ms in taken.items())
print(f"lancedb {version('lancedb')}: ten rows of {told}")
sys.exit(0 if taken["one text"] > 1.5 * taken["different texts"] else 1)
P
