#!/usr/bin/env bash
# LanceDB 0.40.0, Table.optimize on a table with an inverted index (IVF).
#
# Expected: a table of one file, whose index has every row and as many lists as it was asked for, is left
# as it is: there is nothing to join, to delete or to add.
# Seen: lists of fewer than some thousand vectors are joined: of 20 lists 7 are left of IVF_FLAT, 5 of IVF_RQ
# and 1 of IVF_PQ, and of 1,000 with 1,000 vectors of 512 numbers each 479, which took 45 s of a processor.
# Nothing tells of it: `index_stats` has no number of lists. A search with the same `nprobes` then compares
# a multiple of the vectors.
#
# Exits 0 while it is so, 1 when it has changed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet lancedb==0.40.0 numpy==2.4.6 pyarrow==26.0.1
"$work/venv/bin/python" - "$work" <<'P'
import re
import sys
from importlib.metadata import version

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import IvfFlat, IvfPq, IvfRq

ROWS, CHANNELS, LISTS = 20_000, 16, 20
vectors = np.random.default_rng(0).normal(size=(ROWS, CHANNELS)).astype(np.float32)
rows = pa.table({"vector": pa.FixedSizeListArray.from_arrays(vectors.ravel(), CHANNELS)})


def lists(table) -> int:
    plan = table.search(vectors[0]).limit(1).analyze_plan()
    return int(re.findall(r"partitions_ranked=(\d+)", plan)[0])


changed = False
for name, kind in (("IVF_FLAT", IvfFlat), ("IVF_PQ", IvfPq), ("IVF_RQ", IvfRq)):
    table = lancedb.connect(sys.argv[1]).create_table(name, rows)
    table.create_index("vector", config=kind(num_partitions=LISTS))
    before, stats = lists(table), table.index_stats("vector_idx")
    assert before == LISTS and stats.num_unindexed_rows == 0
    table.optimize()
    after = lists(table)
    print(f"lancedb {version('lancedb')}, {name}: {before} lists, {after} after optimizing")
    changed |= after == before
sys.exit(1 if changed else 0)
P
