"""A Ray cluster on this machine gives the same rows, also when a worker is killed."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile
from made_library import RATE, make_clip, tiny_model
from made_media import coded_pictures, join_pictures, numbered, sine
from PIL import Image

from hearsight.library import ray_engine
from hearsight.library.indexing import index_videos
from hearsight.library.lance_table import MomentTable
from hearsight.library.ray_engine import extract_with_ray

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.filterwarnings("ignore"),  # Ray's own: open sockets, deprecations
]


FILES, EVERY = 8, 0.5


def rows(library: Path) -> dict[tuple[str, float], dict[str, Any]]:
    table = MomentTable.open(str(library))
    assert table is not None
    columns = table.schema.names
    found = [table.moments(file, columns).to_pylist() for file in sorted(table.files())]
    assert sum(map(len, found)) == len(table)
    return {(row["file"], row["time"]): row for file in found for row in file}


def workers() -> list[int]:
    """The processes of the cluster started here that extract moments."""
    children = psutil.Process().children(recursive=True)
    found = []
    for child in children:
        try:
            title = " ".join(child.cmdline())
        except psutil.Error:
            continue
        if title.startswith("ray::") and "_task" in title:
            found.append(child.pid)
    return found


def test_a_file_with_which_a_worker_fails_is_named_and_the_others_go_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    def fail(path: str, *rest: Any) -> Any:  # is sent to the workers by value
        import threading

        from hearsight.library import ray_engine

        class Locked(Exception):
            """Cannot be pickled."""

            def __init__(self, text: str) -> None:
                super().__init__(text)
                self.lock = threading.Lock()

        class Two(Exception):
            """Cannot be made again from what is pickled."""

            def __init__(self, text: str, second: int) -> None:
                super().__init__(text)

        if path.endswith("1.mp4"):
            raise MemoryError("no more\nmemory " + 1000 * "x")
        if path.endswith("4.mp4"):
            raise Locked("holds\na lock")
        if path.endswith("5.mp4"):
            raise Two("needs two", 2)
        return ray_engine._task(path, *rest)

    model = tiny_model(tmp_path / "tiny.safetensors")
    folder = tmp_path / "videos"
    folder.mkdir()
    for number in range(6):
        make_clip(folder / f"{number}.mp4", number, 3.0)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_engine, "_task", fail)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        done = index_videos(tmp_path / "library", [folder], model=model, engine=extract_with_ray)
    finally:
        ray.shutdown()
    assert done.added == 3
    reason = done.unreadable.pop(str(folder / "1.mp4"))
    assert reason.startswith("Its worker failed: MemoryError: no more memory xxx")
    assert len(reason) < 400
    reasons = [done.unreadable.pop(str(folder / name)) for name in ("4.mp4", "5.mp4")]
    assert reasons[0].startswith("Its worker failed: ")
    assert reasons[0].endswith("Locked: holds a lock")
    assert reasons[1].endswith("Two: needs two")
    assert all(len(reason) < 400 and "File" not in reason for reason in reasons)
    assert done.unreadable == {}
    held = {Path(file).name for file, _ in rows(tmp_path / "library")}
    assert held == {"0.mp4", "2.mp4", "3.mp4"}


def test_a_killed_worker_repeats_its_file_alone_and_the_rows_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    model = tiny_model(tmp_path / "tiny.safetensors")
    folder = tmp_path / "videos"
    folder.mkdir()
    make_clip(folder / "00.mp4", 1, 20.0)
    for number in range(1, FILES):  # no two of the same content
        path = Path(shutil.copy2(folder / "00.mp4", folder / f"{number:02}.mp4"))
        path.write_bytes(path.read_bytes() + bytes(number))
    (folder / "torn.mp4").write_text("torn")
    soundfile.write(folder / "tone.wav", sine(440.0, 2.0, RATE), RATE)
    Image.fromarray(numbered(3)).save(folder / "red.png")
    (folder / "torn.png").write_bytes((folder / "red.png").read_bytes()[:60])
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    told: list[int] = []
    killed = None
    try:
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(
                index_videos,
                tmp_path / "by_ray",
                [folder],
                model=model,
                every=EVERY,
                engine=extract_with_ray,
                progress=lambda stage, finished, total: told.append(finished),
            )
            while killed is None and not running.done():
                busy = workers() if told else []
                if busy:
                    killed = busy[0]
                    os.kill(killed, 9)
                time.sleep(0.01)
            done = running.result()
    finally:
        ray.shutdown()
    assert killed is not None
    assert (done.added, len(done.unreadable)) == (FILES + 2, 2)
    assert (done.videos, done.sounds, done.pictures) == (FILES, 1, 1)
    assert told[-1] == FILES + 4
    plain = index_videos(tmp_path / "plain", [folder], model=model, every=EVERY)
    assert plain.moments == done.moments == FILES * 20 / EVERY + 2 / EVERY + 1
    by_ray, here = rows(tmp_path / "by_ray"), rows(tmp_path / "plain")
    assert by_ray.keys() == here.keys()
    for place, row in here.items():
        other = by_ray[place]
        for name in ("sound", "image", "confidence"):
            one, two = other.pop(name), row.pop(name)
            assert (one is None) == (two is None)
            assert one is None or np.abs(np.subtract(one, two)).max() < 1e-5
        assert other == row


def test_a_film_that_changes_size_gives_the_same_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    model = tiny_model(tmp_path / "tiny.safetensors")
    parts = [
        coded_pictures([numbered(n, *size) for n in range(30)])
        for size in ((64, 48), (128, 96), (48, 96))
    ]
    path = join_pictures(tmp_path / "a.mkv", *parts)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        done = index_videos(
            tmp_path / "by_ray", [path], model=model, every=1.0, engine=extract_with_ray
        )
    finally:
        ray.shutdown()
    plain = index_videos(tmp_path / "plain", [path], model=model, every=1.0)
    assert (done.added, done.unreadable) == (plain.added, plain.unreadable) == (1, {})
    by_ray, here = rows(tmp_path / "by_ray"), rows(tmp_path / "plain")
    assert by_ray.keys() == here.keys()
    assert len(here) == done.moments > 1
    for place, row in here.items():
        assert by_ray[place]["thumbnail"] == row["thumbnail"]
        assert np.abs(np.subtract(by_ray[place]["image"], row["image"])).max() < 1e-5
