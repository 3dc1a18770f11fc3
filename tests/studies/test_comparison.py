"""Methods trained and scored alike, and what is made of it."""

import csv
import html
import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_clips import fill, picture, tone
from safetensors import safe_open
from safetensors.torch import save_file

from hearsight.checkpoints.checkpoint import LAST, Model, load_checkpoint, load_model
from hearsight.clips.clip import Box, Clips, DecodedClip, encode_clip
from hearsight.clips.shard_writer import StoreWriter
from hearsight.clips.shards import Store
from hearsight.commands import cli
from hearsight.commands.studies import choose_seeds
from hearsight.errors import HearsightError
from hearsight.media.samples import RATE
from hearsight.model.encoders import Encoders
from hearsight.pages.report import render
from hearsight.progress import no_progress
from hearsight.recipes.catalogue import load_recipe, recipe_names
from hearsight.scenes.scenes import Scenes
from hearsight.scoring.evaluation import check_truths, evaluate
from hearsight.scoring.metrics import THRESHOLDS, area_under_curve, success_curve, success_rate
from hearsight.scoring.results import Results
from hearsight.studies.comparison import (
    FROM_IMAGENET,
    ComparedMethod,
    Comparison,
    HeldOutClips,
    MethodCost,
    check,
    compare_methods,
    digests,
    make_recipe,
    measure_cost,
    open_data,
    read_held_out,
    reference_scores,
    scratch_mark,
)
from hearsight.studies.comparison_folder import (
    locked_folder,
    read_or_make,
    score_once,
    train_once,
)
from hearsight.studies.comparison_page import WIDE, describe
from hearsight.studies.comparison_table import (
    rates_by,
    table_text,
    tabulate_methods,
    write_table,
)
from hearsight.training.run_folder import TrainingOptions

METHODS = ("ez_vsl:small", "random:small")
TINY = ("frame_size=32", "batch_size=4", "epochs=1", "encoder.widths=[8,8,8,8]")
PROTOCOLS = ("adaptive", "lvs")
OPTIONS = TrainingOptions(device="cpu", workers=0, log_every=1)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, HeldOutClips]:
    """Eight clips to learn from, six others to score, with boxes and classes."""
    folder = tmp_path_factory.mktemp("stores")
    for name, numbers in (("train", range(8)), ("test", range(10, 16))):
        with StoreWriter(folder / name) as writer:
            for number in numbers:
                edge = 0.2 + 0.05 * (number % 10)
                clip = encode_clip(
                    f"clip {number}",
                    picture(number, 48, 48),
                    tone(seed=number),
                    boxes=((0.1, 0.1, 0.1 + edge, 0.1 + edge),),
                    label="ab"[number % 2],
                )
                assert writer.add(clip)
    return Store(folder / "train"), read_held_out(Store(folder / "test"))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return Comparison(
        recipes=METHODS,
        seeds=(4, 5),
        protocols=PROTOCOLS,
        changes=TINY,
        folder=tmp_path_factory.mktemp("comparison") / "out",
        plan={"data": ["train"], "test": None, "settings": TINY},
    )


@pytest.fixture(scope="module")
def methods(comparison: Comparison, stores: tuple[Store, HeldOutClips]) -> list[ComparedMethod]:
    assert check(comparison) == 32
    return compare_methods(comparison, *stores, OPTIONS)


# Training and scoring


def test_every_method_is_trained_with_every_seed(
    comparison: Comparison, methods: list[ComparedMethod]
) -> None:
    assert [one.name for one in methods] == list(METHODS)
    folders = {folder.name for one in methods for folder in one.folders}
    assert folders == {
        f"{name.replace(':', '-')}-seed{seed}" for name in METHODS for seed in (4, 5)
    }
    for one in methods:
        steps = {json.loads((f / "trained.json").read_text())["steps"] for f in one.folders}
        assert steps == ({0} if one.name == "random:small" else {2})
        assert set(one.results) == set(PROTOCOLS)
        assert all(len(found) == 2 for found in one.results.values())
        ids = [clip["id"] for clip in one.results["lvs"][0].clips]
        assert ids == [clip["id"] for clip in methods[0].results["adaptive"][1].clips]


def test_what_is_done_is_only_read(
    comparison: Comparison, methods: list[ComparedMethod], stores: tuple[Store, HeldOutClips]
) -> None:
    stages: list[str] = []
    again = compare_methods(
        comparison,
        *stores,
        replace(OPTIONS, progress=lambda stage, done, total: stages.append(stage)),
    )
    assert stages == []
    assert again == methods


def test_a_protocol_or_a_method_can_be_added(
    comparison: Comparison, methods: list[ComparedMethod], stores: tuple[Store, HeldOutClips]
) -> None:
    stages: set[str] = set()
    more = replace(comparison, recipes=METHODS[:1], protocols=("ez-vsl",), seeds=(4,))
    found = compare_methods(
        more,
        *stores,
        replace(OPTIONS, progress=lambda stage, done, total: stages.add(stage)),
    )
    assert stages == {"ez_vsl:small, seed 4: scoring, ez-vsl"}
    assert list(found[0].results) == ["ez-vsl"]


def test_another_comparison_is_refused(
    comparison: Comparison, methods: list[ComparedMethod], stores: tuple[Store, HeldOutClips]
) -> None:
    with pytest.raises(HearsightError, match="another comparison, which differs in test"):
        compare_methods(
            replace(comparison, plan={**comparison.plan, "test": "store"}), *stores, OPTIONS
        )
    other = make_recipe(METHODS[0], [*TINY, "learning_rate=0.5"], 4)
    with pytest.raises(HearsightError, match="another recipe: it differs in learning_rate"):
        train_once(other, stores[0], methods[0].folders[0], OPTIONS)
    with pytest.raises(HearsightError, match="holds no comparison, but other files"):
        compare_methods(replace(comparison, folder=methods[0].folders[0]), *stores, OPTIONS)


def test_a_comparison_at_work_keeps_others_out(
    comparison: Comparison, methods: list[ComparedMethod], stores: tuple[Store, HeldOutClips]
) -> None:
    before = sorted(comparison.folder.rglob("*"))
    with (
        locked_folder(comparison.folder, comparison.plan, "comparison"),
        pytest.raises(HearsightError, match="another process is writing"),
    ):
        compare_methods(comparison, *stores, OPTIONS)
    assert sorted(comparison.folder.rglob("*")) == before
    assert compare_methods(comparison, *stores, OPTIONS) == methods


def test_a_comparison_that_cannot_begin_leaves_nothing(
    comparison: Comparison, stores: tuple[Store, HeldOutClips], tmp_path: Path
) -> None:
    large = replace(comparison, folder=tmp_path / "deep" / "out", changes=(*TINY, "batch_size=99"))
    with pytest.raises(HearsightError, match="fewer than one batch of 99"):
        compare_methods(large, *stores, OPTIONS)
    assert list(tmp_path.iterdir()) == []


def test_the_epochs_of_what_is_not_trained_stay_none() -> None:
    assert make_recipe("random:small", ["epochs=7"], 1).epochs == 0
    assert make_recipe("lvs:small", ["epochs=7"], 1).epochs == 7
    with pytest.raises(HearsightError, match=r"ez_vsl:small does not take 'contrast.inner=1'"):
        make_recipe("ez_vsl:small", ["contrast.inner=1"], 1)


def test_a_pack_has_held_out_scenes_of_its_own() -> None:
    clips, held_out, scenes = open_data(["toys"], None, size=36, epoch=3, count=2, classes=2)
    assert scenes == {"epoch": 3, "count": 2, "classes": 2}
    assert (len(clips), len(held_out)) == (3, 2)
    assert clips[0].frame.shape == (42, 42, 3)
    assert held_out[0].frame.shape == (36, 36, 3)
    assert set(clips.ids).isdisjoint(held_out.ids)


def test_looks_change_the_scenes_to_train_on_alone() -> None:
    counts = {"size": 36, "epoch": 6, "count": 4, "classes": 2}
    plain, held_out, _ = open_data(["toys"], None, **counts)
    varied, scored, scenes = open_data(["toys"], None, looks=5, **counts)
    assert scenes == {"epoch": 6, "count": 4, "classes": 2, "looks": 5}
    changed = [not np.array_equal(a.frame, b.frame) for a, b in zip(plain, varied, strict=True)]
    assert any(changed)
    assert all(np.array_equal(a.frame, b.frame) for a, b in zip(held_out, scored, strict=True))


def test_damage_is_said(tmp_path: Path) -> None:
    (tmp_path / "found.json").write_text('{"a": ')
    with pytest.raises(HearsightError, match=r"found\.json' is damaged"):
        read_or_make(tmp_path / "found.json", dict)
    with pytest.raises(HearsightError, match="cannot be written"):
        read_or_make(tmp_path / "none" / "found.json", dict)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(HearsightError, match=r"folder\.json' cannot be read"):
        read_or_make(tmp_path / "folder.json", dict)


def test_a_kept_file_of_something_else_is_damaged(
    stores: tuple[Store, HeldOutClips], tmp_path: Path
) -> None:
    for name in ("trained.json", "scores-slavc-flickr.json"):
        (tmp_path / name).write_text('{"a": 1}')
    with pytest.raises(HearsightError, match=r"trained\.json' is damaged"):
        train_once(make_recipe(METHODS[0], TINY, 4), stores[0], tmp_path, OPTIONS)
    with pytest.raises(HearsightError, match=r"scores-slavc-flickr\.json' is damaged"):
        score_once(tmp_path, stores[1].clips, "slavc:flickr", OPTIONS, name="ez_vsl:small")


def test_a_checkpoint_whose_recipe_has_other_fields_is_refused(
    comparison: Comparison, methods: list[ComparedMethod], tmp_path: Path
) -> None:
    with safe_open(methods[0].folders[0] / LAST, framework="pt") as file:
        told = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    recipe = json.loads(told["recipe"])
    recipe["frame_sides"] = recipe.pop("frame_size")
    save_file(tensors, tmp_path / "old.safetensors", {**told, "recipe": json.dumps(recipe)})
    with pytest.raises(HearsightError, match="Recipe has no field 'frame_sides'"):
        load_model(tmp_path / "old.safetensors")


# Costs


def test_operations_are_those_of_the_definition() -> None:
    recipe = make_recipe("ez_vsl:small", ["frame_size=32"], 0)
    encoders = Encoders(recipe.encoder).eval()
    cost = measure_cost(encoders, recipe, [None])
    counted = 0

    def add(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal counted
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        counted += 2 * output.numel() * weight[0].numel()

    for module in encoders.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(add)
    sound = torch.zeros(1, round(recipe.spectrogram.seconds * RATE), dtype=torch.int16)
    front = recipe.spectrogram
    with torch.no_grad():
        maps = encoders(
            torch.zeros(1, 3, 32, 32), front.finish(front.power(front.waveforms(sound)))
        )
    counted += 2 * maps[0, 0].numel() * recipe.encoder.channels  # the cosines
    assert cost.gflop == pytest.approx(counted / 1e9, rel=0.02)
    assert cost.parameters == sum(part.numel() for part in encoders.parameters())


def test_operations_of_fused_convolutions_count(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = make_recipe("composed:random_trunks", [], 0)
    encoders = Encoders(recipe.encoder).eval()
    cost = measure_cost(encoders, recipe, [None])
    monkeypatch.setattr("hearsight.model.fused_convolution.AVAILABLE", False)
    assert cost == measure_cost(encoders, recipe, [None])
    assert cost.gflop > 1  # EfficientNet-lite0 alone has 0.8 in frames of 224 x 224


@pytest.mark.parametrize(
    "name", [name for name in recipe_names() if name.endswith(":small")] + ["random:small"]
)
def test_parameters_are_those_of_a_response_map_and_of_what_a_step_moves(
    name: str, stores: tuple[Store, HeldOutClips], tmp_path: Path
) -> None:
    recipe = make_recipe(name, (*TINY, "batch_size=8"), 4)
    train_once(recipe, stores[0], tmp_path / "run", OPTIONS)
    found = load_checkpoint(tmp_path / "run" / LAST)
    cost = measure_cost(*load_model(tmp_path / "run" / LAST)[:2], [None])
    used = ("frames.", "sounds.", "frame_projection.", "sound_projection.")
    learnable = dict(Encoders(found.recipe.encoder).named_parameters())
    assert cost.parameters == sum(
        learnable[key].numel() for key in learnable if key.startswith(used)
    )
    moved = {key.removeprefix("exp_avg.") for key in found.state or {} if "exp_avg." in key}
    assert cost.trained == sum(learnable[key].numel() for key in moved)


def test_a_start_from_scratch_is_marked() -> None:
    assert {name.partition(":")[0] for name in recipe_names()} >= FROM_IMAGENET
    assert list(scratch_mark("ez_vsl:small", load_recipe("ez_vsl:small"))) == ["‡"]
    assert scratch_mark("lvs:small", load_recipe("lvs:small")) == {}
    own = load_recipe("ez_vsl:small")
    own.encoder.weights = "resnet18.pth"
    assert scratch_mark("ez_vsl:small", own) == {}


# The table


def found(*scores: float, name: str = "method") -> Results:
    """Four clips of two classes with these cIoUs, and the rows that belong to them."""
    clips = tuple(
        {"id": str(n), "label": "ab"[n % 2], "ciou": score, "truth_share": 0.1 * n}
        for n, score in enumerate(scores)
    )
    rate = float(np.mean([score >= 0.5 for score in scores]))
    own = {"name": name, "protocol": "lvs", "clips": len(scores), "cIoU@0.5": rate}
    references = (
        own | {"name": "blind: centred disc", "cIoU@0.5": 0.3},
        own | {"name": "ceiling", "cIoU@0.5": 0.8},
    )
    return Results(
        protocol="lvs", caption="protocol", rows=(own, *references), notes=("a note",), clips=clips
    )


def made_method(**changes: object) -> ComparedMethod:
    method = ComparedMethod(
        name="method",
        marks={"*": "the epoch was chosen on the test set"},
        folders=(),
        cost=MethodCost(
            parameters=12_345, trained=678, gflop=0.25, samples_per_second=(10.0, 30.0)
        ),
        results={"lvs": (found(0.6, 0.6, 0.1, 0.1), found(0.6, 0.6, 0.6, 0.1))},
    )
    return replace(method, **changes)


def test_the_table_has_mean_spread_costs_and_marks() -> None:
    methods = [made_method(), made_method(name="other", marks={})]
    own, other, disc, ceiling = tabulate_methods(methods, ["lvs"])[0].rows
    assert (own["name"], own["marks"]) == ("method", "*")
    assert (other["name"], other["marks"]) == ("method", "")
    assert own["cIoU@0.5"] == pytest.approx(0.625)
    assert own["cIoU@0.5 ±"] == pytest.approx(np.std([0.5, 0.75], ddof=1))
    assert (own["seeds"], own["clips"], own["samples/s"]) == (2, 4, "20")
    assert (own["parameters"], own["trained parameters"]) == (12_345, 678)
    assert own["GFLOP"] == "0.25"
    assert disc["cIoU@0.5"] == 0.3
    assert ceiling["name"] == "ceiling"
    text = table_text(methods, tabulate_methods(methods, ["lvs"]))
    assert "62.50 ± 17.68" in text
    assert "method * " in text
    assert "* the epoch was chosen on the test set" in text
    assert "a note" in text


def test_of_one_seed_there_is_no_spread(tmp_path: Path) -> None:
    alone = made_method(results={"lvs": (found(0.6, 0.6, 0.1, 0.1),)})
    (table,) = tabulate_methods([alone], ["lvs"])
    own = table.rows[0]
    assert own["cIoU@0.5"] == 0.5
    assert not [column for column in own if "±" in column]
    text = table_text([alone], [table])
    assert "±" not in text
    assert "None" not in text
    assert text.count("one seed") == 1
    write_table([table], tmp_path / "table.csv")
    assert "±" not in (tmp_path / "table.csv").read_text()


def test_a_number_that_one_seed_lacks_is_not_the_mean_of_the_others() -> None:
    whole, lacking = found(0.6, 0.6), found(0.6, 0.1)
    lacking = replace(lacking, rows=({**lacking.rows[0], "cIoU@0.5": None}, *lacking.rows[1:]))
    for order in ((whole, lacking), (lacking, whole)):
        own = tabulate_methods([made_method(results={"lvs": order})], ["lvs"])[0].rows[0]
        assert own["cIoU@0.5"] is None
        assert "cIoU@0.5 ±" not in own


def test_protocols_of_other_numbers_have_a_table_of_their_own() -> None:
    dark = replace(
        found(0.6),
        protocol="negatives",
        rows=({"name": "method, all", "F_LOC": 0.5}, {"name": "blind: nothing", "F_LOC": 0.0}),
    )
    method = made_method()
    both = replace(method, results={**method.results, "negatives": (dark, dark)})
    tables = tabulate_methods([both], ["lvs", "negatives"])
    text = table_text([both], tables, wide=True)
    assert text.count("GFLOP") == 2
    own = next(line for line in text.splitlines() if "method, all *" in line)
    assert "50.00 ± 0.00" in own
    assert own.count("-") == 0  # no column stays empty


def test_the_file_holds_what_the_table_says(tmp_path: Path) -> None:
    tables = tabulate_methods([made_method()], ["lvs"])
    write_table(tables, tmp_path / "table.csv")
    with (tmp_path / "table.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["name"] for line in lines] == ["method", "blind: centred disc", "ceiling"]
    assert [line["marks"] for line in lines] == ["*", "", ""]
    assert float(lines[0]["cIoU@0.5"]) == pytest.approx(0.625)
    assert lines[1]["cIoU@0.5 ±"] == ""
    with pytest.raises(HearsightError, match="cannot be written"):
        write_table(tables, tmp_path / "none" / "table.csv")


def test_curves_and_bars_are_those_of_the_definition() -> None:
    scores = [0.0, 0.12, 0.5, 0.77, 1.0]
    thresholds, shares = THRESHOLDS.tolist(), success_curve(np.array(scores)).tolist()
    assert shares == [sum(one >= threshold for one in scores) / 5 for threshold in thresholds]
    assert np.trapezoid(shares, thresholds) == pytest.approx(area_under_curve(np.array(scores)))
    both = made_method().results["lvs"]
    assert rates_by(both, lambda clip: clip["label"]) == {"a": 0.75, "b": 0.5}
    assert rates_by(both, lambda clip: None) == {}


def scored(clips: Clips, protocol: str = "adaptive") -> ComparedMethod:
    """A method of random weights with its results on clips."""
    recipe = make_recipe("random:small", TINY, 4)
    results = evaluate(Model(Encoders(recipe.encoder), recipe), clips, protocol).results()
    return made_method(results={protocol: (results,)})


def test_references_leave_out_clips_without_boxes_as_models_do(tmp_path: Path) -> None:
    whole = ((0.0, 0.0, 1.0, 1.0),)
    with StoreWriter(tmp_path / "half") as writer:
        for number, boxes in enumerate([whole, None, None]):
            assert writer.add(encode_clip(str(number), picture(number), tone(), boxes=boxes))
    clips = Store(tmp_path / "half")
    found = reference_scores(
        tmp_path, [scored(clips)], read_held_out(clips), ["adaptive"], no_progress
    )["adaptive"]
    assert found["blind: whole image"] == [1.0]
    assert found["ceiling"] == pytest.approx([1.0], abs=1e-4)  # a map marks all pixels but one


class Counted(Store):
    """A store that counts what is read of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.decoded, self.annotated = list[str](), list[str]()

    def __getitem__(self, index: int) -> DecodedClip:
        self.decoded.append(self.ids[index])
        return super().__getitem__(index)

    def annotation(self, index: int) -> tuple[str | None, tuple[Box, ...] | None]:
        self.annotated.append(self.ids[index])
        return super().annotation(index)


def test_truths_are_read_once_and_no_clip_is_decoded_for_references(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "test") as writer:
        for number in range(4):
            frame = picture(number)
            boxes = ((0.1, 0.1, 0.2 + 0.2 * number, 0.9),)
            clip = encode_clip(str(number), frame, tone(), boxes=boxes)
            if number == 2:
                clip = replace(clip, frame=clip.frame[: len(clip.frame) // 2])
            assert writer.add(clip)
    clips = Counted(tmp_path / "test")
    methods = [scored(clips)]
    clips.decoded.clear()
    clips.annotated.clear()
    held_out = read_held_out(clips)
    assert check_truths(clips, "test", held_out.annotations) == []
    digests(clips, held_out)
    found = reference_scores(tmp_path, methods, held_out, ["adaptive", "lvs"], no_progress)
    assert clips.annotated == clips.ids
    assert clips.decoded == []
    recipe = make_recipe("random:small", TINY, 4)
    evaluation = evaluate(Model(Encoders(recipe.encoder), recipe), clips, "adaptive")
    assert len(evaluation.clips) == 3  # one frame is cut
    for row in (*evaluation.blind, evaluation.ceiling):
        assert success_rate(np.array(found["adaptive"][row.name])) == row.success_rate
    again = read_held_out(Counted(tmp_path / "test"))
    assert reference_scores(tmp_path, methods, again, ["lvs"], no_progress) == {"lvs": found["lvs"]}


def test_scenes_are_composed_once_for_the_references_of_all_protocols(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    scenes = open_data(["toys"], None, size=32, epoch=2, count=3, classes=2)[1]
    methods = [scored(scenes)]
    composed = []
    compose = Scenes.__getitem__
    monkeypatch.setattr(
        Scenes, "__getitem__", lambda self, at: composed.append(at) or compose(self, at)
    )
    held_out, stages = read_held_out(scenes), []
    found = reference_scores(
        tmp_path, methods, held_out, ["adaptive", "lvs", "masks"], lambda *told: stages.append(told)
    )
    assert list(found) == ["adaptive", "lvs"]
    assert composed == [0, 1, 2]
    assert stages == [("reading truths", done, 3) for done in (1, 2, 3)]


# The page


@pytest.fixture(scope="module")
def page(
    comparison: Comparison, methods: list[ComparedMethod], stores: tuple[Store, HeldOutClips]
) -> str:
    held_out = stores[1]
    references = reference_scores(comparison.folder, methods, held_out, PROTOCOLS, no_progress)
    assert set(references["lvs"]) >= {"ceiling", "blind: centred disc"}
    marked = [replace(one, marks={**one.marks, "*": "chosen <on> the test"}) for one in methods]
    tables = tabulate_methods(marked, PROTOCOLS)
    report = describe(
        comparison, marked, held_out.clips, references, tables, command="hearsight compare"
    )
    return render(report)


def test_the_page_holds_every_part(page: str) -> None:
    for part in ("Scores", "Under lvs", "Training", "The same clips", "Best cases", "Worst cases"):
        assert part in page
    assert page.count("<img") == (6 + 3 + 3) * len(METHODS)
    # for each protocol success, sizes and classes; a loss for each method that trained
    assert page.count("<svg") == 3 * len(PROTOCOLS) + 1
    assert "ceiling from 100 to" in page
    assert "* chosen &lt;on&gt; the test." in page
    for part in ("Differences under lvs", "95 % CI: percentile bootstrap", "p: paired permutation"):
        assert part in page
    for number in range(10, 16):  # galleries name clips by id, and say the class
        assert f'<th scope="row">clip {number} ({"ab"[number % 2]})</th>' in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)


def test_a_browser_shows_every_picture(page: str, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)}")
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<body><iframe srcdoc="{html.escape(page)}" onload="'
        "const inside = this.contentDocument;"
        "document.body.dataset.widths = [...inside.images].map(one => one.naturalWidth);"
        "document.body.dataset.plots = [...inside.querySelectorAll('svg')]"
        '.map(one => Math.round(one.getBoundingClientRect().height))"></iframe></body>',
        encoding="utf-8",
    )
    done = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", frame.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    body = done.stdout[: done.stdout.index("<iframe")]
    widths = re.search(r'data-widths="([\d,]*)"', body)
    heights = re.search(r'data-plots="([\d,]*)"', body)
    assert widths, body
    assert heights, body
    assert [int(width) for width in widths[1].split(",")] == [WIDE] * page.count("<img")
    assert len(heights[1].split(",")) == page.count("<svg")
    assert all(int(height) > 50 for height in heights[1].split(","))


# The command


def test_seeds_are_counted_or_named() -> None:
    assert choose_seeds("3") == (4, 5, 6)
    assert choose_seeds("7,") == (7,)
    assert choose_seeds("1, 9") == (1, 9)
    for wrong in ("three", "0", "1,1", "-1", "", "1.5"):
        with pytest.raises(HearsightError, match="--seeds"):
            choose_seeds(wrong)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("lvs:smal --data toys", "'lvs:small'"),
        ("lvs:small --data toys --protocols adaptiv", "'adaptive'"),
        ("lvs:small --data toys --seeds many", "--seeds"),
        ("lvs:small --data toys --set contrast.margn=1", "lvs:small does not take"),
        ("lvs:small --data store --scenes 2", "--test"),
        ("lvs:small --data boxed --test store", "None of the 2 clips of 'store' has boxes"),
        ("lvs:small --data boxed --test boxed --scenes 2", "--scenes is for composed scenes"),
        ("lvs:small --data toys --test boxed --count 600", "--count is for composed scenes"),
        ("lvs:small --data boxed --test boxed --classes 2", "--classes is for composed scenes"),
        ("lvs:small --data boxed --test boxed --looks 2", "--looks is for composed scenes"),
        ("lvs:small --data toys --test nowhere", "'nowhere'"),
        ("lvs:small --data toys --test boxed --validation boxed", "--select-on-test"),
        ("lvs:small --data toys --out store", "'store' holds no comparison"),
        ("lvs:small --data toys --set seed=3", "--set seed=3 would have no effect"),
        ("lvs:small --data toys --epochs 2 --set epochs=3", "leave one of them out"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: str,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "store", range(1, 3))
    fill(tmp_path / "boxed", range(0, 9, 3))
    few = "--classes 2 --scenes 2" if "--data toys" in options else ""
    few += " --count 2" if few and "--test" not in options else ""
    line = f"compare {options} {few} --device cpu --threads 1"
    monkeypatch.setattr(sys, "argv", ["hearsight", *shlex.split(line)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert said in err.splitlines()[-1]
    assert err.count("\n") == 1
    assert not (tmp_path / "comparison").exists()
