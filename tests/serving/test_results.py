"""Results on disk: what cannot be written is refused in a sentence, and half of one is none."""

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearsight.errors import HearsightError
from hearsight.localising.moments import MappedMoment
from hearsight.serving.result_files import write_result
from hearsight.serving.results import Results, new_key

FACTS = {"kind": "video", "duration": 1.0}
MOMENT = MappedMoment(
    time=0.5,
    box=(0, 0, 8, 8),
    confidence=0.5,
    share=0.25,
    response=np.eye(4, dtype=np.float32),
    frame_size=(16, 16),
)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    made = Results(folder=tmp_path / "results")
    made.begin()
    return made


def full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("fails", ["mkdir", "write_text"])
def test_a_result_for_which_the_disk_has_no_room_is_refused_and_leaves_nothing(
    results: Results, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    monkeypatch.setattr(Path, fails, full)
    with pytest.raises(HearsightError, match=r"^No result of 'a\.mp4' can be kept: No space left"):
        results.create(new_key(), {"name": "a.mp4", "film": "film.mp4"})
    assert list(results.folder.iterdir()) == []


@pytest.mark.parametrize("name", ["maps.bin", "moments.json", "result.json"])
def test_a_result_that_cannot_be_written_is_none_and_says_so(
    results: Results, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    key = new_key()
    folder = results.create(key, {"name": "a.mp4", "film": "film.mp4"})
    write = Path.write_bytes

    def write_some(path: Path, content: bytes) -> int:
        if name in path.name:
            full()
        return write(path, content)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", write_some)
        with pytest.raises(HearsightError, match=f"{name}' cannot be written: No space left"):
            write_result(folder, FACTS, [MOMENT], {})
    assert results.path(key) is None
    write_result(folder, FACTS, [MOMENT], {})
    held = results.moments(key)
    assert held is not None
    assert (held["grid"], [one["time"] for one in held["moments"]]) == ([4, 4], [0.5])
