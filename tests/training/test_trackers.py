"""What TensorBoard and other trackers are shown of a run, and how missing ones are refused."""

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accelerate.tracking import GeneralTracker  # type: ignore[import-untyped]
from made_commands import Hearsight
from made_runs import QUIET, few_scenes, tiny_recipe
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)
from tensorboard.plugins.hparams.plugin_data_pb2 import (  # type: ignore[import-untyped]
    HParamsPluginData,
)

from hearsight.checkpoints.checkpoint import load_model
from hearsight.datasets.open import open_clips
from hearsight.errors import HearsightError
from hearsight.localising.painted_clips import paint_clip
from hearsight.recipes.catalogue import load_recipe, recipe_names
from hearsight.recipes.serialisation import field_paths, to_json
from hearsight.training import trackers
from hearsight.training.run_folder import read_log
from hearsight.training.trackers import BOARD, check_trackers, hyperparameters
from hearsight.training.trainer import train

RECIPE = replace(tiny_recipe(), epochs=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A validated run whose log has an entry every second step."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    validation = open_clips("toys", split="val", size=40, count=9)
    options = replace(QUIET, log_every=2, facts={"command": "hearsight train mine"})
    train(RECIPE, few_scenes(), folder, validation=validation, options=options)
    return folder


def board_of(run: Path) -> Any:
    """What TensorBoard reads of a run."""
    events = EventAccumulator(str(run / BOARD))
    events.Reload()
    return events


@pytest.fixture(scope="module")
def board(run: Path) -> Any:
    return board_of(run)


def numbers(board: Any) -> dict[tuple[str, int], float]:
    """The numbers on the board, by name and step."""
    tags = board.Tags()["scalars"]
    return {(tag, one.step): one.value for tag in tags for one in board.Scalars(tag)}


def logged(run: Path) -> dict[tuple[str, int], float]:
    """The numbers of the log, named as on the board."""
    return {
        (f"{entry['kind']}/{name}", entry["step"]): number
        for entry in read_log(run)
        for name, number in entry.items()
        if name not in ("kind", "step", "epoch")
    }


def test_the_board_shows_the_numbers_of_the_log(run: Path, board: Any) -> None:
    found = numbers(board)
    assert found == pytest.approx(logged(run), rel=1e-6)
    assert {step for _, step in found} == {2, 3}  # 3 steps: an entry at 2, the validation at 3


def test_a_run_that_goes_on_keeps_its_numbers_on_the_board(tmp_path: Path) -> None:
    folder, options = tmp_path / "run", replace(QUIET, log_every=1)
    validation = open_clips("toys", split="val", size=40, count=4)
    train(RECIPE, few_scenes(), folder, validation=validation, options=options)
    longer, resumed = replace(RECIPE, epochs=2), replace(options, resume=True)
    train(longer, few_scenes(), folder, validation=validation, options=resumed)
    found = numbers(board_of(folder))
    assert found == pytest.approx(logged(folder), rel=1e-6)
    assert {step for name, step in found if name == "train/loss"} == {1, 2, 3, 4, 5, 6}
    assert {step for name, step in found if name == "validation/auc"} == {3, 6}


def test_the_board_shows_recipe_and_command_as_text(board: Any) -> None:
    def text(tag: str) -> str:
        (one,) = board.Tensors(f"{tag}/text_summary")
        return str(one.tensor_proto.string_val[0].decode())

    assert json.loads(text("recipe").strip("`\n").removeprefix("json")) == json.loads(
        json.dumps(to_json(RECIPE))
    )
    assert text("command").strip("`\n") == "hearsight train mine"


def test_the_board_shows_the_recipe_as_hyperparameters_beside_metrics(board: Any) -> None:
    content = board.PluginTagToContent("hparams")
    experiment = HParamsPluginData.FromString(content["_hparams_/experiment"]).experiment
    metrics = {one.name.tag for one in experiment.metric_infos}
    assert metrics == {"train/loss", "validation/success_rate"} <= set(board.Tags()["scalars"])
    started = HParamsPluginData.FromString(content["_hparams_/session_start_info"])
    values = started.session_start_info.hparams
    assert values["learning_rate"].number_value == RECIPE.learning_rate
    assert values["contrast"].string_value == "TrimapContrast"
    assert values["encoder.widths"].string_value == "[4, 8]"


@pytest.mark.parametrize("name", recipe_names())
def test_every_field_is_a_hyperparameter(name: str) -> None:
    recipe = load_recipe(name)
    found = hyperparameters(recipe)
    assert set(found) == set(field_paths(recipe))
    assert all(isinstance(value, bool | int | float | str) for value in found.values())


def test_the_board_shows_validation_frames_painted_by_the_models_maps(
    run: Path, board: Any
) -> None:
    clips = open_clips("toys", split="val", size=40, count=9)
    tags = board.Tags()["images"]
    assert len(tags) == 8
    assert {"validation/" + clips.ids[0], "validation/" + clips.ids[-1]} <= set(tags)
    (shown,) = board.Images("validation/" + clips.ids[0])
    assert shown.step == 3
    pixels = np.asarray(Image.open(io.BytesIO(shown.encoded_image_string)))
    encoders, recipe, _ = load_model(run)
    assert pixels.shape == (224, 224, 3)
    assert np.abs(pixels.astype(int) - paint_clip(encoders, recipe, clips[0], 224)).max() <= 1
    plain = np.asarray(Image.fromarray(clips[0].frame).resize((224, 224)))
    assert np.abs(pixels.astype(int) - plain).mean() > 5  # heat and box lie over it


class Noted(GeneralTracker):  # type: ignore[misc]
    """A tracker that notes its calls."""

    name = "noted"
    requires_logging_directory = True
    calls: list[tuple[Any, ...]]

    def __init__(self, project: str, folder: str) -> None:
        super().__init__()
        self.calls.append(("made", project, folder))

    @property
    def tracker(self) -> None: ...

    def start(self) -> None:
        self.calls.append(("start",))

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.calls.append(("configuration", values))

    def log(self, values: dict[str, float], step: int | None = None) -> None:
        self.calls.append(("log", step, values))

    def log_images(self, values: dict[str, Any], step: int | None = None) -> None:
        self.calls.append(("images", step, values))

    def finish(self) -> None:
        self.calls.append(("finish",))


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> type[Noted]:
    Noted.calls = []
    monkeypatch.setitem(trackers.LOGGER_TYPE_TO_CLASS, "noted", Noted)
    monkeypatch.setattr(trackers, "get_available_trackers", lambda: ["noted"])
    return Noted


def test_a_tracker_of_accelerate_is_shown_the_run(tmp_path: Path, noted: type[Noted]) -> None:
    folder = tmp_path / "run"
    validation = open_clips("toys", split="val", size=40, count=2)
    facts = {"command": "hearsight train mine"}
    options = replace(QUIET, trackers=("noted", "noted"), facts=facts)
    train(RECIPE, few_scenes(), folder, validation=validation, options=options)
    made, start, configuration, *rest, finish = noted.calls
    assert (made, start, finish) == (("made", "hearsight", str(folder)), ("start",), ("finish",))
    assert configuration[1] == {**hyperparameters(RECIPE), "command": "hearsight train mine"}
    assert [(call[0], call[1]) for call in rest] == [
        *(("log", step) for step in (1, 2, 3)),
        ("log", 3),
        ("images", 3),
    ]
    assert set(rest[3][2]) >= {"validation/success_rate"}
    assert [pixels.shape for pixels in rest[4][2]["validation"]] == [(224, 224, 3)] * 2
    first = read_log(folder)[0]
    assert rest[0][2]["train/loss"] == first["loss"]


@pytest.mark.parametrize("quiet", ["", "--quiet"])
def test_what_a_tracker_prints_is_kept_from_the_results(
    hearsight: Hearsight, noted: type[Noted], monkeypatch: pytest.MonkeyPatch, quiet: str
) -> None:
    class Talking(noted):  # type: ignore[misc, valid-type]
        def start(self) -> None:
            print("began", flush=True)

        def log(self, values: dict[str, float], step: int | None = None) -> None:
            print("a step")

        def finish(self) -> None:
            sys.stdout.write("View run at: http://tracker/1\n")  # as MLflow's

    monkeypatch.setitem(trackers.LOGGER_TYPE_TO_CLASS, "noted", Talking)
    code, out, err = hearsight(
        "train ssl_tie:small_a --data toys --scenes 4 --set encoder.widths=[8,8,8,8] --epochs 1"
        " --set frame_size=32 --set batch_size=2 --workers 0 --threads 1 --device cpu --out run"
        f" --log-every 1 --tracker noted {quiet}"
    )
    assert code == 0, err
    assert json.loads(out)["steps"] >= 1
    said = {"began", "a step", "View run at: http://tracker/1"}
    assert said & set(err.splitlines()) == (set() if quiet else said)


def test_a_tracker_that_cannot_begin_is_said_in_one_sentence_and_leaves_nothing(
    tmp_path: Path, noted: type[Noted], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Noted) -> None:
        raise ValueError("No key is known.\nLook into the manual.")

    monkeypatch.setattr(noted, "start", refuse)
    options = replace(QUIET, trackers=("noted",))
    with pytest.raises(HearsightError) as error:
        train(RECIPE, few_scenes(), tmp_path / "run", options=options)
    assert str(error.value) == "The tracker 'noted' cannot begin: No key is known."
    assert not (tmp_path / "run").exists()


def test_trackers_that_are_unknown_or_not_installed_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trackers, "get_available_trackers", list)
    with pytest.raises(HearsightError, match=r"'wandb' needs wandb.*install.*\[wandb\]'$"):
        check_trackers(["wandb"])
    with pytest.raises(HearsightError, match=r"needs tensorboard.*\[tensorboard\]'$"):
        check_trackers([BOARD])
    with pytest.raises(HearsightError, match=r"needs aim, which is not installed: pip install aim"):
        check_trackers(["aim"])
    with pytest.raises(HearsightError, match=r"no tracker 'wand': .*Did you mean 'wandb'\?"):
        check_trackers(["wand"])
    check_trackers([])
