"""The run folder: what a training run leaves on disk, and its log.

`log.jsonl` holds one JSON object per entry, `tensorboard/` the same numbers, `last.safetensors`
weights, optimiser and position (what a resumed run continues from), `best.safetensors` the
weights with the best validation score.
"""

import json
from pathlib import Path
from typing import Any

LAST, BEST, LOG = "last.safetensors", "best.safetensors", "log.jsonl"


class Log:
    """The run's entries: JSON lines, and the same numbers for TensorBoard.

    Entries after `step` are dropped: a resumed run makes them again. Only the active one of
    several processes writes.
    """

    def __init__(self, folder: Path, *, step: int, active: bool) -> None:
        self.path = folder / LOG
        self.writer: Any = None
        self.active = active
        if not active:
            return
        kept = [entry for entry in read_log(folder) if entry["step"] <= step]
        temporary = self.path.with_suffix(".partial")
        temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept))
        temporary.replace(self.path)
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)

    def write(self, kind: str, *, step: int, epoch: int, **numbers: float) -> None:
        """Add one entry."""
        if not self.active:
            return
        with self.path.open("a") as file:
            file.write(json.dumps({"kind": kind, "step": step, "epoch": epoch, **numbers}) + "\n")
        for name, number in numbers.items():
            self.writer.add_scalar(f"{kind}/{name}", number, step)

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The entries of a run, oldest first; a last line cut short by a crash is left out."""
    path = folder / LOG
    entries = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return entries
