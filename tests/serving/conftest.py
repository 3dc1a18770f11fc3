"""One server for all tests of it, with a tiny model: beginning one takes seconds."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile  # type: ignore[import-untyped]
from made_library import RATE, make_clip, tiny_model
from made_media import sine
from made_server import Served, serving
from PIL import Image


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("served")
    (made / "films").mkdir()
    tiny_model(made / "tiny.safetensors", threshold=-1.0)
    make_clip(made / "films" / "street.mp4", 1, 4.0)
    make_clip(made / "film.mp4", 2, 3.0)
    (made / "runs" / "one").mkdir(parents=True)
    (made / "runs" / "one" / "log.jsonl").write_text(
        '{"kind": "train", "step": 10, "loss": 4.0}\n{"kind": "train", "step": 20, "loss": 3.0}\n'
    )
    (made / "runs" / "one" / "report.html").write_text(
        "<!DOCTYPE html><title>r</title><script>document.title = 'ran'</script><h1>A report</h1>"
    )
    Image.fromarray(np.full((48, 64, 3), 128, np.uint8)).save(made / "p.png")
    soundfile.write(made / "s.wav", sine(440.0, 2.0, RATE), RATE)
    (made / "wrong.mp4").write_bytes(b"no film at all" * 100)
    return made


@pytest.fixture(scope="session")
def served(folder: Path) -> Iterator[Served]:
    with serving(
        folder,
        *("made.library", "--folder", "films", "--runs", "runs"),
        *("--largest", "0.01", "--model", "tiny.safetensors"),
    ) as server:
        yield server
