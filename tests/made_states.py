"""Calls of every public name, each compared with what the caller had before: run as a program.

In a process of its own, because the checks of shapes in tests draw from Python's generator.
Prints one JSON object: for each call the names of what it changed, alone and beside another thread.
"""

import json
import os
import random
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile  # type: ignore[import-untyped]
import torch
import torch._dynamo  # as below
from made_library import make_clip, tiny_model
from made_media import sine
from made_models import make_pairs
from made_runs import few_scenes, tiny_recipe
from PIL import Image

import hearsight
from hearsight.library.indexing import index_videos
from hearsight.training.run_folder import TrainingOptions


def global_state() -> dict[str, Any]:
    """All that a library could change under its caller's hands."""
    return {
        "torch's generator": torch.get_rng_state().numpy().tobytes(),
        "numpy's generator": str(np.random.get_state()),  # noqa: NPY002 - the caller's
        "python's generator": random.getstate(),
        "threads": torch.get_num_threads(),
        "threads between": torch.get_num_interop_threads(),
        "filters of warnings": [*warnings.filters],
        "default dtype": torch.get_default_dtype(),
        "default device": torch.get_default_device(),
        "gradient": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "errors of numpy": np.geterr(),
        "folder": Path.cwd(),
        "handler of Ctrl-C": signal.getsignal(signal.SIGINT),
        "path of imports": [*sys.path],
        "locale and more": dict(os.environ),
    }


def make_files(folder: Path) -> None:
    """A model, a video, a picture, a sound and a library."""
    tiny_model(folder / "model.safetensors")
    make_clip(folder / "film.mp4", 1, 4.0)
    Image.new("RGB", (64, 48), "red").save(folder / "street.png")
    soundfile.write(folder / "street.wav", sine(440.0, 4.0, 16_000), 16_000)
    index_videos(folder / "made.library", [folder / "film.mp4"], model=folder / "model.safetensors")


scenes = cache(few_scenes)


def calls(folder: Path, fresh: Path) -> dict[str, Callable[[], Any]]:
    """A call of every public name; `fresh` is a folder to write to."""
    model = folder / "model.safetensors"
    film, image, sound = (folder / name for name in ("film.mp4", "street.png", "street.wav"))
    pixels = [np.zeros((48, 64, 3), np.uint8)] * 2
    recipe = tiny_recipe()
    recipe.epochs, recipe.encoder.dropout = 1, 0.5

    def train(workers: int) -> None:
        options = TrainingOptions(device="cpu", workers=workers, log_every=1)
        hearsight.train(recipe, scenes(), fresh / f"run{workers}", options=options)

    def library() -> None:
        opened = hearsight.Library.open(folder / "made.library", device="cpu")
        opened.search(sound=sound, k=1)
        opened.search(image=image, k=1)
        opened.similar(film, 1.0, k=1)

    return {
        "Library": library,
        "index_videos": lambda: index_videos(fresh / "new.library", [film], model=model),
        "evaluate": lambda: hearsight.evaluate(
            hearsight.load_model(model), make_pairs(2), "adaptive"
        ),
        "evaluate_maps": lambda: hearsight.evaluate_maps(
            {id: np.eye(7) for id in make_pairs(2).ids}, make_pairs(2), "adaptive"
        ),
        "load_model": lambda: hearsight.load_model(model),
        "load_recipe": lambda: hearsight.load_recipe("ssl_tie"),
        "LoadedModel": lambda: hearsight.load_model(model).embed(image=image, sound=sound),
        "localise_frames": lambda: list(
            hearsight.localise_frames(pixels, [0.0, 1.0], sound, model=model)
        ),
        "localise_many": lambda: list(hearsight.localise_many([film, (image, sound)], model=model)),
        "localise_image": lambda: hearsight.localise_image(image, sound, model=model),
        "localise_video": lambda: list(
            hearsight.localise_video(film, model=model, overlay=fresh / "painted.mp4")
        ),
        "open_clips": lambda: hearsight.open_clips("toys", size=48, count=4, classes=2)[0],
        "write_export": lambda: hearsight.write_export(
            fresh / "moments.csv", None, hearsight.localise_video(film, model=model), film
        ),
        "train": lambda: train(0),
        "train, with workers": lambda: train(1),
    }


def changed_alone(call: Callable[[], Any]) -> list[str]:
    """What differs after a call."""
    random.seed(1)
    np.random.seed(2)  # noqa: NPY002 - the caller's
    torch.manual_seed(3)
    before = global_state()
    call()
    after = global_state()
    return [key for key in before if before[key] != after[key]]


def changed_beside(call: Callable[[], Any]) -> list[str]:
    """What another thread sees differ, or draws otherwise, while the call runs."""
    torch.manual_seed(3)
    mine = torch.Generator().manual_seed(3)
    before = global_state()
    found: dict[str, None] = {}
    errors: list[str] = []

    def work() -> None:
        try:
            call()
        except BaseException as error:
            errors.append(repr(error))

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        if not torch.equal(torch.rand(3), torch.rand(3, generator=mine)):
            found["what torch draws"] = None
        before["torch's generator"] = torch.get_rng_state().numpy().tobytes()
        time.sleep(1e-4)
        now = global_state()
        found.update(dict.fromkeys(key for key in before if before[key] != now[key]))
    thread.join()
    return [*found, *errors]


def main(folder: Path) -> None:
    make_files(folder)
    for name in hearsight.__all__:  # what a module sets when it is first imported is not of a call
        getattr(hearsight, name)
    results = {}
    sys.setswitchinterval(1e-4)  # threads take turns often
    for way, changed in (("alone", changed_alone), ("beside", changed_beside)):
        (folder / way).mkdir()
        every = calls(folder, folder / way)
        results[way] = {name: changed(call) for name, call in every.items()}
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
