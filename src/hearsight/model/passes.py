"""Computing in passes of one size, so that results depend neither on batches nor on threads.

Of the same clip a network gives other last digits (up to 4e-7 of a cosine) for another size of the
batch, and for another number of threads: libraries then take other kernels, which add in another
order. A digit is enough to move a pixel over a threshold. So every pass has the same number of
rows, and one thread computes it alone; several threads compute several passes at the same time.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock

import torch
from torch import Tensor

PASS = 8  # rows; 2 cost a third more time each, 32 save none
_THREADS = Lock()  # held while torch's number of threads is changed


def whole_passes(rows: int) -> int:
    """The least multiple of `PASS` that is at least `rows`.

    Batches of so many rows put each row at the same place of the same pass, whatever `rows` is.
    """
    return -(-rows // PASS) * PASS


def in_passes(
    compute: Callable[..., Tensor], *inputs: Tensor, device: torch.device, rows: int = PASS
) -> Tensor:
    """`compute(*inputs)` in passes of `rows` rows, without gradient; results are joined.

    Args:
        compute: its result has a row for each row of its inputs.
        inputs: at least one, of equally many rows, at least one row. The last pass is filled up
            with copies of the last row, whose results are dropped.
        device: where `compute` computes; on a CPU passes run at the same time, as many as torch has
            threads.
        rows: of a pass; 1 where few rows come at a time, which none then waits to fill up.
    """
    count = len(inputs[0])

    @torch.inference_mode()
    def run(start: int) -> Tensor:
        at = torch.arange(start, start + rows).clamp(max=count - 1)
        return compute(*(one[at] for one in inputs))[: count - start]

    starts = range(0, count, rows)
    if device.type != "cpu":
        return torch.cat([run(start) for start in starts])
    with one_thread() as threads:
        if min(threads, len(starts)) == 1:
            return torch.cat([run(start) for start in starts])
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return torch.cat(list(pool.map(run, starts)))


@contextmanager
def one_thread() -> Iterator[int]:
    """One thread for each operation of torch inside the `with` block; gives how many it had."""
    with _THREADS:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield threads
        finally:
            torch.set_num_threads(threads)
