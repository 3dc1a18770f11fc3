"""Functions run in two processes at once, as two machines of a training would."""

import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing


def in_two_processes(function: Callable[..., None], *arguments: Any, folder: Path) -> None:
    """Call `function(rank, *arguments)` in two processes that meet in `folder`.

    They are forked from a server that has imported the package, and waits for the next test.
    """
    multiprocessing.set_forkserver_preload(["torch.distributed", "hearsight.training.trainer"])
    torch.multiprocessing.start_processes(
        joined, args=(function, str(folder), arguments), nprocs=2, start_method="forkserver"
    )


def joined(
    rank: int, function: Callable[..., None], folder: str, arguments: tuple[Any, ...]
) -> None:
    """One of the two."""
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    function(rank, *arguments)
    dist.destroy_process_group()
