"""Processes that read clips: in order, and no longer than somebody wants what they read."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hearsight.clips.read_ahead import read_apart
from hearsight.errors import HearsightError

SLOW = 0.2  # seconds for a key
PATIENCE = 60.0  # seconds; a process takes some to begin


def add(shared: int, key: int) -> int:
    return shared + key


def dawdle(folder: Path, key: int) -> int:
    """Note the process, and take a while."""
    (folder / str(os.getpid())).touch()
    time.sleep(SLOW)
    return key


def fall(_: None, key: int) -> int:
    if key == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return key


def test_keys_of_all_runs_are_read_in_order() -> None:
    runs = [[0, 1, 2], [3], [], [4, 5], [*range(6, 20)]]
    assert list(read_apart(add, 100, runs, workers=2, ahead=2)) == [*range(100, 120)]


def test_a_run_that_nobody_wants_any_more_is_not_read_to_its_end(tmp_path: Path) -> None:
    long = int(2 * PATIENCE / SLOW)
    reading = read_apart(dawdle, tmp_path, [[0], [*range(long)]], workers=1, ahead=1)
    assert next(reading) == 0
    begun = time.monotonic()
    reading.close()
    assert time.monotonic() - begun < PATIENCE
    (process,) = tmp_path.iterdir()
    assert not is_alive(int(process.name))


def test_a_process_that_was_ended_is_told() -> None:
    with pytest.raises(HearsightError, match=r"The system ended a process that read clips"):
        list(read_apart(fall, None, [[1], [2], [3]], workers=1, ahead=1))


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_processes_end_with_the_one_that_began_them(name: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from hearsight.clips.read_ahead import read_apart\n"
        "from test_read_apart import dawdle\n"
        "if __name__ == '__main__':\n"
        f"    runs = [[*range({int(3 * PATIENCE / SLOW)})] for _ in range(4)]\n"
        f"    seen = Path({str(tmp_path / 'seen')!r})\n"
        "    list(read_apart(dawdle, seen, runs, workers=2, ahead=2))\n"
    )
    (tmp_path / "seen").mkdir()
    places = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    parent = subprocess.Popen(
        [sys.executable, str(script)], env={**os.environ, "PYTHONPATH": places}
    )
    assert wait(lambda: len([*(tmp_path / "seen").iterdir()]) == 2)
    processes = [int(path.name) for path in (tmp_path / "seen").iterdir()]
    assert all(map(is_alive, processes))
    parent.send_signal(getattr(signal, name))
    parent.wait()
    assert wait(lambda: not any(map(is_alive, processes)))


def wait(holds: Callable[[], bool]) -> bool:
    """Whether something came to hold within `PATIENCE`."""
    end = time.monotonic() + PATIENCE
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.05)
    return held


def is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and is not waited for does not."""
    try:
        return "(zombie)" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False
