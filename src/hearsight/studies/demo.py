"""The demo: compose scenes, train SSL-TIE, score held-out scenes, localise in a video, report."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hearsight.checkpoints.card import card_of, write_card
from hearsight.checkpoints.checkpoint import LAST, load_model, save_checkpoint
from hearsight.checkpoints.pretrained_trunks import TRUNKS
from hearsight.clips.clip import DecodedClip
from hearsight.errors import HearsightError
from hearsight.files.locks import sole_writer
from hearsight.files.output import write_text
from hearsight.localising import painting
from hearsight.localising.localise import ResponseFunction, localise_video
from hearsight.localising.moments import Moment, to_heatmap
from hearsight.media.samples import RATE
from hearsight.media.write import write_video
from hearsight.model.augmentation import evaluation_frame
from hearsight.model.response import matched
from hearsight.pages.report import PaintedVideo, Picture, Report, Role, Table, write_report
from hearsight.progress import Progress, renamed
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import to_json
from hearsight.scenes.composed_videos import ComposedVideo, compose_video
from hearsight.scenes.pack_builder import build_pack
from hearsight.scenes.pack_folder import default_folder
from hearsight.scenes.scenes import Scenes, open_scenes
from hearsight.scoring.evaluation import Evaluation, evaluate, write_scores
from hearsight.studies.demo_plan import (
    CLASSES,
    PRETRAINED,
    SMALL,
    DemoOptions,
    DemoPlan,
    demo_recipe,
    open_training,
    plan_demo,
)
from hearsight.training.run_folder import TrainingOptions, has_begun, read_log
from hearsight.training.trainer import train
from hearsight.version import __version__, versions

NAMES = {SMALL: "SSL-TIE, small", PRETRAINED: "SSL-TIE A, pretrained trunks"}
SHOWN = 16  # scenes of each kind in the report: the first ones, not a selection
TRUNKS_USED = (
    "Frames and sounds pass through frozen trunks that others have trained before, with labels: "
    "EfficientNet-lite0 on photographs (ImageNet), aiSFX on sound effects."
)
KNOWN, NEW = "Known objects", "New objects"
SECONDS = 20  # of the composed video


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """The files and scores of a finished demo.

    pack: description of what the scenes are composed of. scores: by kind of scenes, known and new
    objects. found: sounding moments of the video whose box has its centre in the true box, and all
    sounding moments.
    """

    report: Path
    model: Path
    pack: str
    scores: dict[str, Evaluation]
    found: tuple[int, int]
    seconds: float


def choose_pack(wanted: str | None, progress: Progress) -> tuple[str, Path | None, str]:
    """The pack to compose scenes of; the menagerie is built if need be.

    Args:
        wanted: as in `DemoOptions.pack`.
        progress: of building the menagerie.

    Returns:
        Name of the pack, its folder if it is not the default one, and a description.

    Raises:
        HearsightError: the pack that was asked for is not available, or toys with a folder.
    """
    name, colon, folder = ("menagerie" if wanted is None else wanted).partition(":")
    made_up = "made-up shapes and synthesised sounds (toys)"
    if name == "toys":
        if colon:
            raise HearsightError(
                f"`pack={wanted}`: toys are made in code and have no folder; say `pack=toys`."
            )
        return "toys", None, made_up
    real = f"real photographs and recordings ({name})"
    if name != "menagerie" or folder:
        return name, Path(folder) if folder else None, real
    if not (default_folder("menagerie") / "pack.csv").is_file():
        try:
            build_pack("menagerie", default_folder("menagerie"), None, progress)
        except HearsightError as error:
            if wanted is not None:
                raise
            why = str(error).rstrip(".")
            return "toys", None, f"{made_up}, as the menagerie cannot be had ({why})"
    return "menagerie", None, real


def run_demo(folder: Path, options: DemoOptions) -> DemoResult:
    """Compose, train, score and localise; everything is written into `folder`.

    Raises:
        HearsightError: the pack is not available, or the folder cannot be used, for example
            because another process writes to it.
    """
    with sole_writer(folder):
        return _run_demo(folder, options)


def _run_demo(folder: Path, options: DemoOptions) -> DemoResult:
    began = time.monotonic()
    name, place, description = choose_pack(options.pack, options.progress)
    plan, resume = plan_demo(folder, name, place, options)
    recipe = replace(demo_recipe(plan.method, options), epochs=plan.epochs)
    training = open_training(name, place, recipe, plan.batches, options)
    held_out = open_held_out(name, place, recipe, plan.scored, options)
    train_model(folder / "run", recipe, training, options, plan, description, resume=resume)
    known = with_known_objects(held_out, training)
    model = folder / "model.safetensors"
    kinds = {KNOWN: known, NEW: held_out}
    scores = score_model(folder, model, kinds, plan, options, description)
    video, moments = localise_composed(folder, known, model, options)
    found = count_found(video, moments)
    report = folder / "report.html"
    page = describe(folder, options, description, scores, found, (known, held_out))
    write_report(page, report)
    return DemoResult(
        report=report,
        model=model,
        pack=description,
        scores=scores,
        found=found,
        seconds=time.monotonic() - began,
    )


def open_held_out(
    pack: str, place: Path | None, recipe: Recipe, count: int, options: DemoOptions
) -> Scenes:
    """Held-out scenes to score."""
    return open_scenes(
        pack,
        place,
        split="val",
        seed=options.seed,
        size=recipe.frame_size,
        count=count,
        classes=CLASSES,
        silent=(1, 2),
        seconds=recipe.spectrogram.seconds,
    )


def train_model(
    run: Path,
    recipe: Recipe,
    scenes: Scenes,
    options: DemoOptions,
    plan: DemoPlan,
    description: str,
    *,
    resume: bool,
) -> None:
    """Train for the epochs that fit into the planned minutes; an interrupted run is resumed."""
    train(
        recipe,
        scenes,
        run,
        options=TrainingOptions(
            resume=resume and has_begun(run),
            planned_minutes=plan.minutes,
            minutes=1.1 * plan.minutes,  # a guard if the machine slows in the last epoch
            device=options.device,
            workers=options.workers,
            facts={
                "command": options.command,
                "data": f"scenes composed of {description}",
                "classes": list(scenes.pack.labels),
                "looks": options.looks,
                "batches": plan.batches,
                "version": __version__,
            },
            progress=options.progress,
            notice=options.notice,
            report=options.report,
        ),
    )


def score_model(
    folder: Path,
    model: Path,
    kinds: Mapping[str, Scenes],
    plan: DemoPlan,
    options: DemoOptions,
    description: str,
) -> dict[str, Evaluation]:
    """Score the last weights on each kind of scenes; write them to `model`, with scores and card.

    description: of what the scenes are composed of.
    """
    trained = load_model(folder / "run" / LAST)
    scores = {
        title: evaluate(
            trained,
            scenes,
            "ssl-tie",
            name=NAMES[plan.method],
            device=options.device,
            progress=renamed(options.progress, after=f" {title.lower()}"),
        )
        for title, scenes in kinds.items()
    }
    for title, evaluation in scores.items():
        write_scores(evaluation, folder / f"scores-{title.lower().replace(' ', '-')}.csv")
    facts = {**trained.facts, "scores": {title: one.numbers() for title, one in scores.items()}}
    save_checkpoint(model, trained.encoders, trained.recipe, facts=facts)
    write_card(
        model,
        short=f"it was given {options.minutes:g} minutes to learn from scenes composed of "
        f"{description}; it can find what sounds in such scenes, and cannot be trusted on real "
        "videos.",
        text="\n\n".join(
            [
                *([TRUNKS_USED] if trained.recipe.encoder.frame_trunk in TRUNKS else []),
                *(summarise(title, one) for title, one in scores.items()),
            ]
        ),
    )
    return scores


def with_known_objects(held_out: Scenes, training: Scenes) -> Scenes:
    """The held-out scenes composed of the cut-outs that were trained on."""
    pack = replace(held_out.pack, cutouts=training.pack.cutouts)
    return Scenes(
        pack,
        len(held_out),
        size=held_out.size,
        silent=held_out.silent,
        seed=held_out.seed,
        seconds=held_out.samples / RATE,
    )


def localise_composed(
    folder: Path, scenes: Scenes, model: Path, options: DemoOptions
) -> tuple[ComposedVideo, list[Moment]]:
    """Write a short composed video, localise its sound, write the painted video and the moments."""
    video = compose_video(scenes.pack, seconds=SECONDS, seed=options.seed, objects=2)
    source = folder / "scene.mp4"
    write_video(source, video.frames(), frame_rate=video.frame_rate, sound=video.sound)
    moments = list(
        localise_video(
            source,
            model=model,
            every=0.5,
            overlay=folder / "painted.mp4",
            device=options.device,
            progress=options.progress,
        )
    )
    lines = [
        {"time": moment.time, "box": moment.box, "confidence": moment.confidence}
        for moment in moments
    ]
    write_text(folder / "moments.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    return video, moments


def count_found(video: ComposedVideo, moments: Sequence[Moment]) -> tuple[int, int]:
    """Sounding moments whose box has its centre in the true box, and all sounding moments."""
    found = sounding = 0
    for moment in moments:
        truth = video.truth_at(moment.time)
        if truth.box is None:
            continue
        sounding += 1
        if moment.box is not None:
            x = (moment.box[0] + moment.box[2]) / 2 / video.size[0]
            y = (moment.box[1] + moment.box[3]) / 2 / video.size[1]
            x0, y0, x1, y1 = truth.box
            found += x0 <= x <= x1 and y0 <= y <= y1
    return found, sounding


def describe(
    folder: Path,
    options: DemoOptions,
    description: str,
    scores: dict[str, Evaluation],
    found: tuple[int, int],
    scenes: tuple[Scenes, Scenes],
) -> Report:
    """The report; its painted frames are also written as `gallery.jpg`."""
    trained = load_model(folder / "model.safetensors")
    encoders, recipe = trained.encoders, trained.recipe
    pictures = [
        picture
        for title, clips in zip((KNOWN, NEW), scenes, strict=True)
        for picture in paint_scenes(encoders, recipe, [clips[i] for i in range(SHOWN)], title)
    ]
    sheet = painting.gallery(
        [picture.pixels for picture in pictures], [one.caption for one in pictures], columns=8
    )
    painting.save_picture(sheet, folder / "gallery.jpg")
    moments = f"In the video {found[0]} of {found[1]} sounding moments are found."
    return Report(
        title="Where does the sound come from?",
        summary=" ".join(
            [
                f"Learned without labels from scenes composed of {description}.",
                *([TRUNKS_USED] if recipe.encoder.frame_trunk in TRUNKS else []),
                *(summarise(title, one) for title, one in scores.items()),
                moments,
            ]
        ),
        tables=[score_table(title, one) for title, one in scores.items()],
        log=read_log(folder / "run"),
        pictures=pictures,
        video=PaintedVideo(
            data=(folder / "painted.mp4").read_bytes(),
            caption=f"A composed video of known objects with other recordings. {moments}",
        ),
        cards=[card] if (card := card_of(folder / "model.safetensors")) else [],
        provenance=provenance(recipe, trained.facts, options.command, description),
    )


@torch.inference_mode()
def paint_scenes(
    encoders: ResponseFunction, recipe: Recipe, clips: Sequence[DecodedClip], title: str
) -> list[Picture]:
    """Each frame under its response map, the true box dashed."""
    frames = torch.stack([evaluation_frame(clip.frame, recipe.frame_size) for clip in clips])
    sounds = torch.stack([torch.from_numpy(clip.sound.copy()) for clip in clips])
    maps = matched(encoders(frames, recipe.spectrogram(sounds))).numpy()
    pictures = []
    for clip, one in zip(clips, maps, strict=True):
        painted = painting.heat(clip.frame.repeat(2, axis=0).repeat(2, axis=1), to_heatmap(one))
        painted = painting.true_boxes(painted, clip.boxes or ())
        label = clip.label or "unknown"
        pictures.append(
            Picture(
                pixels=painted,
                caption=f"{label} ({title.lower()})",
                description=f"{title}: response to the sound of a {label}; its true box is dashed.",
            )
        )
    return pictures


def score_table(title: str, evaluation: Evaluation) -> Table:
    """The table of an evaluation in the report, whose title and end say what is left out of it."""
    blind: list[Role] = ["blind"] * len(evaluation.blind)
    return Table(
        title=f"{title}: {len(evaluation.clips)} scenes with 1 or 2 silent distractors",
        rows=[
            {name: value for name, value in row.items() if name not in ("protocol", "clips")}
            for row in evaluation.rows()
        ],
        roles=["model", *blind, "ceiling"],
        note="cIoU@0.5 marks half of the frame, whatever the source's size: the ceiling is the "
        "best that rule allows. Adaptive cIoU@0.5 marks as many pixels as the truth has. Blind "
        "rows see neither picture nor sound.",
    )


def summarise(title: str, evaluation: Evaluation) -> str:
    """The main scores of an evaluation in one sentence, beside the blind centred disc's."""
    model, disc = evaluation.model, evaluation.blind[0]
    points = 100 * (model.adaptive_success_rate - disc.adaptive_success_rate)
    return (
        f"{title}: adaptive cIoU@0.5 {100 * model.adaptive_success_rate:.1f} %, "
        f"{points:+.1f} points from the blind centred disc "
        f"({100 * disc.adaptive_success_rate:.1f} %); cIoU@0.5 {100 * model.success_rate:.1f} % of "
        f"at most {100 * model.ceiling:.1f} %; the peak lies in the true box in "
        f"{100 * model.pointing:.1f} % of the scenes (disc {100 * disc.pointing:.1f} %)."
    )


def provenance(
    recipe: Recipe, facts: Mapping[str, Any], command: str, description: str
) -> dict[str, str]:
    """How the demo was made: command, seed, data, trunks, versions, recipe."""
    epochs = f"{recipe.epochs} of {facts['batches']} batches of {recipe.batch_size} scenes"
    if recipe.fresh_epochs is not None:
        epochs += ", which are the same in each"
    trunks = {
        name: f"{one.package} {one.version} ({one.licence})"
        for name, one in TRUNKS.items()
        if name in (recipe.encoder.frame_trunk, recipe.encoder.sound_trunk)
    }
    return {
        "Command": command,
        "Seed": str(recipe.seed),
        "Data": description,
        "Epochs": epochs,
        **({"Pretrained trunks": "; ".join(trunks.values())} if trunks else {}),
        "Known objects": "cut-outs that were trained on, in new scenes, before other backgrounds, "
        "with other recordings or other parts of a recording",
        "New objects": "other cut-outs of the same classes, too",
        "Truth": "boxes around the visible part of the sounding object",
        "Protocol": "ssl-tie",
        "Versions": versions(),
        "Recipe": json.dumps(to_json(recipe)),
    }
