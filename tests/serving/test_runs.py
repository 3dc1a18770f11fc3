"""The runs below folders, whatever lies there beside them."""

import os
from pathlib import Path
from typing import Any

import pytest

from hearsight.files.locks import LOCK
from hearsight.serving.runs import LOG, REPORT, find_runs, read_entries


def make_run(folder: Path, changed: float, *names: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
        os.utime(folder / name, (changed, changed))


def test_runs_are_the_newest_first_and_a_log_tells_whether_one_goes_on(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    make_run(runs / "old", 0.0, LOG)
    make_run(runs / "sub" / "report", 2e9, REPORT, LOCK)
    make_run(runs / "both", 1e9, LOG, REPORT, LOCK)
    make_run(runs / ".hidden", 1e9, LOG)
    make_run(runs / "neither", 1e9, LOCK)
    (runs / "folder" / LOG).mkdir(parents=True)
    found = find_runs([runs])
    assert [(one.name, one.log, one.report, one.running) for one in found] == [
        ("runs/sub/report", False, True, True),
        ("runs/both", True, True, False),
        ("runs/old", True, False, False),
    ]


def test_a_folder_that_may_not_be_entered_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("closed", "open"):
        make_run(tmp_path / name, 1e9, LOG)
    stat = Path.stat

    def stat_from_outside(path: Path, **options: Any) -> os.stat_result:
        if "closed" in path.parent.parts:
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", stat_from_outside)
    assert [one.path.name for one in find_runs([tmp_path])] == ["open"]


def test_a_log_is_read_line_by_line_whatever_is_written_there(tmp_path: Path) -> None:
    log = tmp_path / LOG
    lines = [
        b'{"step": 1, "loss": 2.5, "kind": "train", "map": [1], "bad": NaN, "far": Infinity}',
        b"[" * 100_000,
        b'{"a": ' * 100_000,
        b"{",
        b"[]",
        b'{"step": "2"}',
        b"\xff\xfe\0",
        b'{"step": ' + b"9" * 5000 + b"}",
        b'{"step": 3}',
    ]
    log.write_bytes(b"\n".join(lines) + b'\n{"step": 4')
    entries, end = read_entries(log, 0)
    assert entries == [{"step": 1, "loss": 2.5, "kind": "train"}, {"step": 3}]
    assert end == log.stat().st_size - len(b'{"step": 4')
    with log.open("ab") as file:
        file.write(b"}\n")
    assert read_entries(log, end) == ([{"step": 4}], log.stat().st_size)
    log.write_bytes(b'{"step": 5}\n')
    assert read_entries(log, end) == ([{"step": 5}], 12)
    assert read_entries(tmp_path / "none", 7) == ([], 7)
