"""The main job from end to end: compose, train, score on what was held out, localise, report."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hearsight.checkpoints.checkpoint import LAST, load_model, save_checkpoint
from hearsight.errors import HearsightError
from hearsight.files.locks import sole_writer
from hearsight.localising import painting as draw
from hearsight.localising.localise import localise_video
from hearsight.localising.moments import Moment
from hearsight.media.samples import RATE
from hearsight.media.write import write_video
from hearsight.pages.report import PaintedVideo, Report, write_report
from hearsight.progress import Progress, no_progress
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.scenes.composed_videos import ComposedVideo, compose_video
from hearsight.scenes.menagerie import default_folder
from hearsight.scenes.menagerie_builder import build_menagerie
from hearsight.scenes.scenes import Scenes, open_scenes
from hearsight.scoring.evaluation import Evaluation, evaluate, write_scores
from hearsight.studies.campaign import PLAN, keep
from hearsight.studies.demo_report import paint_scenes, provenance, score_table, sentence
from hearsight.training.batches import COMPOSED
from hearsight.training.run_folder import TrainingOptions, has_begun, read_log
from hearsight.training.time_budget import fit_epochs
from hearsight.training.trainer import train
from hearsight.version import __version__

CLASSES = 12
EPOCH = 24  # batches that make an epoch of the endless scenes
HELD_OUT = 600  # scenes that are scored
SHOWN = 16  # of each kind in the report: the first ones, whatever they show
KNOWN, NEW = "Known objects", "New objects"
SECONDS = 20  # of the composed video


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What a demo is made with.

    minutes: of training; the rest takes one or two more. pack: `menagerie`, `menagerie:FOLDER`
    or `toys`; None takes real photographs and sounds if they can be had, else toys. looks: in
    which each training cut-out appears; more of them make long training worth while, and short
    training slower to begin with.
    """

    minutes: float = 6.5
    pack: str | None = None
    seed: int = 4
    looks: int = 1
    device: str | None = None
    workers: int = 1
    command: str = "hearsight demo"
    progress: Progress = no_progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What a demo left behind."""

    report: Path
    model: Path
    pack: str  # what the scenes were made of, in words
    scores: dict[str, Evaluation]  # on new scenes of known objects, and of new ones
    hits: tuple[int, int]  # moments whose box has its middle in the true one, of those that sound
    seconds: float


def find_pack(wanted: str | None, progress: Progress) -> tuple[str, Path | None, str]:
    """Real photographs and sounds if they can be had; else, unless they were asked for, toys.

    Returns:
        Name of the pack, its folder if it is not the usual one, and what it is in words.

    Raises:
        HearsightError: the pack that was asked for cannot be had.
    """
    name, _, folder = ("menagerie" if wanted is None else wanted).partition(":")
    if name == "toys":
        return "toys", None, "made-up shapes and synthesised sounds (toys)"
    real = "real photographs and recordings (menagerie)"
    if name != "menagerie" or folder:
        return name, Path(folder) if folder else None, real
    if not (default_folder() / "pack.csv").is_file():
        try:
            build_menagerie(default_folder(), None, progress)
        except HearsightError as error:
            if wanted is not None:
                raise
            why = str(error).rstrip(".")
            return "toys", None, f"made-up shapes and synthesised sounds (toys), because {why}"
    return "menagerie", None, real


def plan(
    folder: Path, recipe: Recipe, scenes: Scenes, settings: DemoOptions
) -> tuple[Recipe, bool]:
    """The recipe with as many epochs as fit, and whether the folder holds its beginning.

    The plan is kept in the folder, so that an interrupted demo goes on with the same one.

    Raises:
        HearsightError: the folder holds a demo that was planned otherwise.
    """
    kept = folder / PLAN
    asked = {
        "minutes": settings.minutes,
        "pack": scenes.pack.name,
        "seed": settings.seed,
        "looks": settings.looks,
    }
    resume = kept.exists()

    def make() -> dict[str, Any]:
        options = TrainingOptions(
            device=settings.device, workers=settings.workers, progress=settings.progress
        )
        return {"asked": asked, "epochs": fit_epochs(recipe, scenes, settings.minutes, options)}

    held = keep(kept, make)
    if held.get("asked") != asked or not isinstance(held.get("epochs"), int):
        raise HearsightError(f"{folder} holds another demo ({held.get('asked')}): name a new one.")
    return replace(recipe, epochs=held["epochs"]), resume


def run_demo(folder: Path, settings: DemoOptions) -> Demo:
    """Compose, train, score, localise; write everything into `folder`, with `report.html`.

    Raises:
        HearsightError: the pack cannot be had, or the folder cannot be used, as by another process.
    """
    with sole_writer(folder):
        return _run_demo(folder, settings)


def _run_demo(folder: Path, settings: DemoOptions) -> Demo:
    began = time.monotonic()
    name, place, words = find_pack(settings.pack, settings.progress)
    recipe = replace(load_recipe("ssl_tie:small"), seed=settings.seed)
    learned, held_out = open_splits(name, place, recipe, settings)
    recipe, resume = plan(folder, recipe, learned, settings)
    learn(folder / "run", recipe, learned, settings, words=words, resume=resume)
    known = familiar(held_out, learned)
    model = folder / "model.safetensors"
    scores = score(folder, model, {KNOWN: known, NEW: held_out}, settings)
    film, moments = localise_composed(folder, known, model, settings)
    hits = count_hits(film, moments)
    report = folder / "report.html"
    write_report(describe(folder, recipe, settings, words, scores, hits, (known, held_out)), report)
    return Demo(
        report=report,
        model=model,
        pack=words,
        scores=scores,
        hits=hits,
        seconds=time.monotonic() - began,
    )


def open_splits(
    pack: str, place: Path | None, recipe: Recipe, settings: DemoOptions
) -> tuple[Scenes, Scenes]:
    """Endless scenes to learn from, and held-out ones to score."""

    def open_split(split: str, size: int, count: int, silent: tuple[int, int]) -> Scenes:
        return open_scenes(
            pack,
            place,
            split=split,
            seed=settings.seed,
            size=size,
            count=count,
            classes=CLASSES,
            silent=silent,
            seconds=recipe.spectrogram.seconds,
            endless=split == "train",
            looks=settings.looks if split == "train" else 1,
        )

    side = round(recipe.frame_size * COMPOSED)
    return (
        open_split("train", side, EPOCH * recipe.batch_size, (0, 3)),
        open_split("val", recipe.frame_size, HELD_OUT, (1, 2)),
    )


def learn(
    run: Path, recipe: Recipe, scenes: Scenes, settings: DemoOptions, *, words: str, resume: bool
) -> None:
    """Train as planned; what was begun and left goes on."""
    train(
        recipe,
        scenes,
        run,
        options=TrainingOptions(
            resume=resume and has_begun(run),
            minutes=1.1 * settings.minutes,  # the plan was measured; a guard if the machine slows
            device=settings.device,
            workers=settings.workers,
            facts={
                "command": settings.command,
                "data": f"scenes composed of {words}",
                "classes": list(scenes.pack.labels),
                "looks": settings.looks,
                "version": __version__,
            },
            progress=settings.progress,
        ),
    )


def score(
    folder: Path, model: Path, kinds: Mapping[str, Scenes], settings: DemoOptions
) -> dict[str, Evaluation]:
    """Score what was learned on each kind of scenes, and write it to `model` with its scores."""
    trained = load_model(folder / "run" / LAST)
    scores = {
        title: evaluate(
            trained,
            scenes,
            "ssl-tie",
            name="SSL-TIE, small",
            device=settings.device,
            progress=partial(settings.progress, f"scoring {title.lower()}"),
        )
        for title, scenes in kinds.items()
    }
    for title, evaluation in scores.items():
        write_scores(evaluation, folder / f"scores-{title.lower().replace(' ', '-')}.csv")
    facts = {**trained.facts, "scores": {title: one.numbers() for title, one in scores.items()}}
    save_checkpoint(model, trained.encoders, trained.recipe, facts=facts)
    return scores


def familiar(held_out: Scenes, learned: Scenes) -> Scenes:
    """Held-out scenes, but of the cut-outs that were trained on."""
    pack = replace(held_out.pack, cutouts=learned.pack.cutouts)
    return Scenes(
        pack,
        len(held_out),
        size=held_out.size,
        silent=held_out.silent,
        seed=held_out.seed,
        seconds=held_out.samples / RATE,
    )


def describe(
    folder: Path,
    recipe: Recipe,
    settings: DemoOptions,
    words: str,
    scores: dict[str, Evaluation],
    hits: tuple[int, int],
    scenes: tuple[Scenes, Scenes],
) -> Report:
    """The report; its painted frames are written as a picture, too."""
    encoders = load_model(folder / "model.safetensors")[0]
    pictures = [
        picture
        for title, clips in zip((KNOWN, NEW), scenes, strict=True)
        for picture in paint_scenes(encoders, recipe, [clips[i] for i in range(SHOWN)], title)
    ]
    sheet = draw.gallery(
        [picture.pixels for picture in pictures], [one.caption for one in pictures], columns=8
    )
    draw.save_picture(sheet, folder / "gallery.jpg")
    found = f"In the video {hits[0]} of {hits[1]} sounding moments are found."
    return Report(
        title="Where does the sound come from?",
        summary=" ".join(
            [
                f"Learned without labels from scenes composed of {words}.",
                *(sentence(title, one) for title, one in scores.items()),
                found,
            ]
        ),
        tables=[score_table(title, one) for title, one in scores.items()],
        log=read_log(folder / "run"),
        pictures=pictures,
        video=PaintedVideo(
            data=(folder / "painted.mp4").read_bytes(),
            caption=f"A composed video of known objects with other recordings. {found}",
        ),
        provenance=provenance(recipe, settings.command, words, EPOCH),
    )


def localise_composed(
    folder: Path, scenes: Scenes, model: Path, settings: DemoOptions
) -> tuple[ComposedVideo, list[Moment]]:
    """Write a short composed video, localise its sound, paint it; moments go to a file too."""
    film = compose_video(scenes.pack, seconds=SECONDS, seed=settings.seed, objects=2)
    source = folder / "scene.mp4"
    write_video(source, film.frames(), frame_rate=film.frame_rate, sound=film.sound)
    moments = list(
        localise_video(
            source,
            model=model,
            every=0.5,
            overlay=folder / "painted.mp4",
            device=settings.device,
            progress=settings.progress,
        )
    )
    lines = [
        {"time": moment.time, "box": moment.box, "confidence": moment.confidence}
        for moment in moments
    ]
    (folder / "moments.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return film, moments


def count_hits(film: ComposedVideo, moments: Sequence[Moment]) -> tuple[int, int]:
    """Moments whose found box has its middle in the true one, of those that sound."""
    hits = sounding = 0
    for moment in moments:
        truth = film.truth_at(moment.time)
        if truth.box is None:
            continue
        sounding += 1
        if moment.box is not None:
            x = (moment.box[0] + moment.box[2]) / 2 / film.size[0]
            y = (moment.box[1] + moment.box[3]) / 2 / film.size[1]
            x0, y0, x1, y1 = truth.box
            hits += x0 <= x <= x1 and y0 <= y <= y1
    return hits, sounding
