#!/usr/bin/env bash
# LanceDB 0.40.0, a search by the synchronous Python API against the same search by the asynchronous one.
#
# Expected: the synchronous call hands one search to the event loop of LanceDB's thread and waits for it.
# Seen: `search(...).limit(10).select([...]).to_arrow()` waits for that thread six times: three times for
# the table's schema, though no column is a blob, once for the search and twice for what it gives. That is a
# millisecond of a search by an index, which takes some five (IVF_RQ of 120,000 rows; below there is no index).
# `await table.vector_search(...)...to_arrow()` in one coroutine crosses once and finds the same.
#
# Exits 0 while it is so, 1 when it has changed. Prints both medians, which differ from machine to machine.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet lancedb==0.40.0 numpy==2.4.6 pyarrow==26.0.1
"$work/venv/bin/python" - "$work" <<'P'
import asyncio
import sys
import time
from importlib.metadata import version
from statistics import median

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.background_loop import BackgroundEventLoop

ROWS, CHANNELS, SEARCHES = 20_000, 64, 300
vectors = np.random.default_rng(0).normal(size=(ROWS, CHANNELS)).astype(np.float32)
column = pa.FixedSizeListArray.from_arrays(vectors.ravel(), CHANNELS)
rows = pa.table({"number": np.arange(ROWS), "vector": column})
table = lancedb.connect(sys.argv[1]).create_table("rows", rows)
crossings, run = [], BackgroundEventLoop.run


def counted(loop, coroutine):
    crossings.append(coroutine)
    return run(loop, coroutine)


def synchronous(query):
    return table.search(query).limit(10).select(["number", "_distance"]).to_arrow()


def milliseconds(search) -> tuple[float, list]:
    begin = time.perf_counter()
    found = search()
    return 1000 * (time.perf_counter() - begin), found["number"].to_pylist()


BackgroundEventLoop.run = counted
synchronous(vectors[0])
BackgroundEventLoop.run = run
crossed = len(crossings)


async def both() -> None:
    other = await (await lancedb.connect_async(sys.argv[1])).open_table("rows")
    spent = {"synchronous": [], "asynchronous": []}
    for query in vectors[:SEARCHES]:
        took, found = await asyncio.to_thread(milliseconds, lambda q=query: synchronous(q))
        spent["synchronous"].append(took)
        begin = time.perf_counter()
        search = other.vector_search(query).limit(10).select(["number", "_distance"])
        same = await search.to_arrow()
        spent["asynchronous"].append(1000 * (time.perf_counter() - begin))
        assert same["number"].to_pylist() == found
    for name, each in spent.items():
        print(f"{name}: {median(each):.2f} ms in the middle of {SEARCHES}")


print(f"lancedb {version('lancedb')}: a synchronous search crosses to its event loop {crossed} times")
asyncio.run(both())
sys.exit(0 if crossed == 6 else 1)
P
