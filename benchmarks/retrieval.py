"""Ranking 20,304 vectors against each other, against the bare product of the same matrices.

    python benchmarks/retrieval.py [--count 20304] [--channels 512] [--threads 2]

The gallery of SSL-TIE's sound retrieval: 20,304 clips of 512 channels, the 10 nearest of each, the
clip itself left out. "bare" is the matrix product alone, in blocks into one buffer that is used
again (the faster of two block sizes), so it neither sorts nor keeps anything. "clustered" are
vectors in which many cosines are nearly equal, as those of a trained model are. Each runs in a
process of its own, in turns; the best of several rounds counts, by the clock and by processor time.
The peak is the largest resident set of a process (VmHWM, so Linux only), torch included. Prints one
JSON object.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

K = 10
JOBS = ("bare 256", "bare 2048", "random", "clustered")


def peak() -> float:
    """The largest resident set this process ever had, in MiB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def run(job: str, count: int, channels: int, threads: int) -> None:
    """One job: print seconds by the clock, seconds of the processor, MiB."""
    import torch

    from hearsight.model.nearest import rank, unit

    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(count, channels, generator=generator)
    if job == "clustered":
        centres = torch.randn(309, channels, generator=generator)
        vectors = centres[torch.arange(count) % 309] + 0.2 * vectors
        vectors.relu_()
    vectors = unit(vectors)

    itself = torch.arange(count)

    def bare(rows: int) -> None:
        board = torch.empty(rows, count)
        for top in range(0, count, rows):
            block = vectors[top : top + rows]
            torch.matmul(block, vectors.T, out=board[: len(block)])

    def ranked() -> None:
        found.append(rank(vectors, vectors, K, exclude=itself)[1])

    found: list[torch.Tensor] = []
    rank(vectors[:64], vectors[:64], 1)  # what torch does once
    begin, used = time.perf_counter(), time.process_time()
    if job.startswith("bare"):
        bare(int(job.split()[1]))
    else:
        ranked()
    print(time.perf_counter() - begin, time.process_time() - used, peak())
    for indices in found:  # some queries against the definition
        for query in range(0, count, max(1, count // 20)):
            exact = vectors.double() @ vectors[query].double()
            exact[query] = -torch.inf
            assert indices[query].tolist() == exact.topk(K).indices.tolist()


def main() -> None:
    """Run every job in turns and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_304)
    parser.add_argument("--channels", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--job", choices=JOBS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        run(options.job, options.count, options.channels, options.threads)
        return
    best = {job: [float("inf")] * 2 for job in JOBS}
    peaks = dict.fromkeys(JOBS, 0.0)
    shape = [f"--{name}={getattr(options, name)}" for name in ("count", "channels", "threads")]
    for _ in range(options.rounds):
        for job in JOBS:
            command = [sys.executable, __file__, *shape, "--job", job]
            surroundings = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
            output = subprocess.run(
                command, check=True, capture_output=True, text=True, env=surroundings
            ).stdout
            clock, used, highest = map(float, output.split())
            best[job] = [min(pair) for pair in zip(best[job], (clock, used), strict=True)]
            peaks[job] = max(peaks[job], highest)
    product = [min(pair) for pair in zip(best["bare 256"], best["bare 2048"], strict=True)]
    found = {"count": options.count, "channels": options.channels, "threads": options.threads}
    print(
        json.dumps(
            found
            | {
                "bare product, seconds": round(product[0], 2),
                "ranked, seconds": round(best["random"][0], 2),
                "ratio, random": round(best["random"][0] / product[0], 2),
                "ratio, clustered": round(best["clustered"][0] / product[0], 2),
                "processor time, random": round(best["random"][1] / product[1], 2),
                "processor time, clustered": round(best["clustered"][1] / product[1], 2),
                "peak MiB": round(max(peaks["random"], peaks["clustered"])),
            }
        )
    )


if __name__ == "__main__":
    main()
