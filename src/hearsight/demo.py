"""The main job from end to end: compose, train, score on what was held out, localise, report."""

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from hearsight import __version__, draw
from hearsight.batches import COMPOSED
from hearsight.checkpoint import LAST, load_encoders
from hearsight.clips import DecodedClip
from hearsight.datasets.composed_videos import ComposedVideo, compose_video
from hearsight.datasets.menagerie import default_folder
from hearsight.datasets.menagerie_builder import build_menagerie
from hearsight.datasets.scenes import Scenes, open_scenes
from hearsight.errors import HearsightError
from hearsight.evaluate import Evaluation, evaluate, write_scores
from hearsight.film import write_video
from hearsight.localise import Model, localise_video
from hearsight.moments import Moment, relative
from hearsight.pacing import fit_epochs
from hearsight.recipe import Recipe, load_recipe, to_json
from hearsight.report import Film, Picture, Report, Role, Table, write_report
from hearsight.response import matched
from hearsight.runs import Advance, Options, read_log, silent
from hearsight.trainer import train
from hearsight.transforms import test_frame

CLASSES = 12
EPOCH = 24  # batches that make an epoch of the endless scenes
HELD_OUT = 600  # scenes that are scored
SHOWN = 24  # of them in the report: the first ones, whatever they show
SECONDS = 16  # of the composed video


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a demo is made with.

    minutes: of training; the rest takes one or two more. pack: `menagerie`, `menagerie:FOLDER`
    or `toys`; None takes real photographs and sounds if they can be had, else toys.
    """

    minutes: float = 6.5
    pack: str | None = None
    seed: int = 4
    device: str | None = None
    workers: int = 1
    command: str = "hearsight demo"
    progress: Advance = silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What a demo left behind."""

    report: Path
    model: Path
    pack: str  # what the scenes were made of, in words
    evaluation: Evaluation
    video_hits: tuple[
        int, int
    ]  # moments whose box has its middle in the true one, of those that sound
    seconds: float

    @property
    def points(self) -> float:
        """Adaptive cIoU@0.5 of the model less that of the blind centred disc, in points."""
        disc = self.evaluation.blind[0].adaptive_success_rate
        return 100 * (self.evaluation.model.adaptive_success_rate - disc)


def find_pack(wanted: str | None, progress: Advance) -> tuple[str, Path | None, str]:
    """Real photographs and sounds if they can be had; else, unless they were asked for, toys.

    Returns:
        Name of the pack, its folder if it is not the usual one, and what it is in words.

    Raises:
        HearsightError: the pack that was asked for cannot be had.
    """
    name, _, folder = (wanted or "menagerie").partition(":")
    if name == "toys":
        return "toys", None, "made-up shapes and synthesised sounds (toys)"
    real = "real photographs and recordings (menagerie)"
    if name != "menagerie" or folder:
        return name, Path(folder) if folder else None, real
    if not default_folder().is_dir():
        try:
            build_menagerie(default_folder(), None, progress)
        except HearsightError as error:
            if wanted is not None:
                raise
            why = str(error).rstrip(".")
            return "toys", None, f"made-up shapes and synthesised sounds (toys), because {why}"
    return "menagerie", None, real


def plan(folder: Path, recipe: Recipe, scenes: Scenes, settings: Settings) -> tuple[Recipe, bool]:
    """The recipe with as many epochs as fit, and whether the folder holds its beginning.

    The plan is kept in the folder, so that an interrupted demo goes on with the same one.

    Raises:
        HearsightError: the folder holds a demo that was planned otherwise.
    """
    kept = folder / "plan.json"
    asked = {"minutes": settings.minutes, "pack": scenes.pack.name, "seed": settings.seed}
    if kept.exists():
        held: dict[str, Any] = json.loads(kept.read_text())
        if held["asked"] != asked:
            raise HearsightError(f"{folder} holds another demo ({held['asked']}): name a new one.")
        return replace(recipe, epochs=held["epochs"]), True
    epochs = fit_epochs(
        recipe,
        scenes,
        settings.minutes,
        Options(device=settings.device, workers=settings.workers, progress=settings.progress),
    )
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps({"asked": asked, "epochs": epochs}))
    return replace(recipe, epochs=epochs), False


def run_demo(folder: Path, settings: Settings) -> Demo:
    """Compose, train, score, localise; write everything into `folder`, with `report.html`.

    Raises:
        HearsightError: the pack cannot be had, or the folder cannot be used.
    """
    began = time.monotonic()
    name, place, words = find_pack(settings.pack, settings.progress)
    recipe = replace(load_recipe("ssl_tie:small"), seed=settings.seed)

    def open_split(split: str, size: int, count: int, silent: tuple[int, int]) -> Scenes:
        return open_scenes(
            name,
            place,
            split=split,
            seed=settings.seed,
            size=size,
            count=count,
            classes=CLASSES,
            silent=silent,
            seconds=recipe.spectrogram.seconds,
            endless=split == "train",
        )

    side = round(recipe.frame_size * COMPOSED)
    learned = open_split("train", side, EPOCH * recipe.batch_size, (0, 3))
    held_out = open_split("val", recipe.frame_size, HELD_OUT, (1, 2))
    recipe, begun = plan(folder, recipe, learned, settings)
    train(
        recipe,
        learned,
        folder / "run",
        options=Options(
            resume=begun and (folder / "run").is_dir(),
            minutes=1.1 * settings.minutes,  # the plan was measured; a guard if the machine slows
            device=settings.device,
            workers=settings.workers,
            facts={
                "command": settings.command,
                "data": f"scenes composed of {words}",
                "classes": list(learned.pack.labels),
                "version": __version__,
            },
            progress=settings.progress,
        ),
    )
    model = folder / "run" / LAST
    encoders, trained, _ = load_encoders(model)
    evaluation = evaluate(
        encoders,
        trained,
        held_out,
        "ssl-tie",
        name="SSL-TIE, small",
        device=settings.device,
        progress=lambda done, total: settings.progress("scoring", done, total),
    )
    write_scores(evaluation, folder / "scores.csv")
    film, moments = localise_composed(folder, held_out, model, settings)
    pictures = paint_scenes(encoders.cpu(), trained, [held_out[i] for i in range(SHOWN)])
    video = folder / "painted.mp4"
    hits = count_hits(film, moments)
    report = folder / "report.html"
    write_report(
        Report(
            title="Where does the sound come from?",
            summary=summary(evaluation, words, hits),
            tables=[score_table(evaluation)],
            log=read_log(folder / "run"),
            pictures=pictures,
            film=Film(data=video.read_bytes(), caption=f"Composed of held-out {words}."),
            made=provenance(trained, settings, words, evaluation),
        ),
        report,
    )
    return Demo(
        report=report,
        model=model,
        pack=words,
        evaluation=evaluation,
        video_hits=hits,
        seconds=time.monotonic() - began,
    )


def localise_composed(
    folder: Path, held_out: Scenes, model: Path, settings: Settings
) -> tuple[ComposedVideo, list[Moment]]:
    """Write a short composed video, localise its sound, paint it; moments go to a file too."""
    film = compose_video(held_out.pack, seconds=SECONDS, seed=settings.seed)
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


@torch.inference_mode()
def paint_scenes(encoders: Model, recipe: Recipe, clips: Sequence[DecodedClip]) -> list[Picture]:
    """Each frame under its response map, the truth's box drawn in dashes."""
    frames = torch.stack([test_frame(clip.frame, recipe.frame_size) for clip in clips])
    sounds = torch.stack([torch.from_numpy(clip.sound.copy()) for clip in clips])
    maps = matched(encoders(frames, recipe.spectrogram(sounds))).numpy()
    pictures = []
    for clip, one in zip(clips, maps, strict=True):
        painted = draw.heat(clip.frame.repeat(2, axis=0).repeat(2, axis=1), relative(one))
        height, width, _ = painted.shape
        for x0, y0, x1, y1 in clip.boxes or ():
            edges = (x0 * width, y0 * height, x1 * width, y1 * height)
            painted = draw.box(painted, edges, colour=draw.TRUTH, dashed=True)
        label = clip.label or "unknown"
        pictures.append(
            Picture(
                pixels=painted,
                caption=f"hear: {label}",
                description=f"Response to the sound of a {label}; its true box is dashed.",
            )
        )
    return pictures


def score_table(evaluation: Evaluation) -> Table:
    """The rows of an evaluation for the report."""
    roles: list[Role] = ["model", *["blind" for _ in evaluation.blind], "ceiling"]  # type: ignore[list-item]
    return Table(
        title=f"{len(evaluation.clips)} held-out scenes with 1 or 2 silent distractors",
        rows=evaluation.rows(),
        roles=roles,
        note="cIoU@0.5 marks half of the frame, whatever the source's size: the ceiling is the "
        "best that rule allows. Adaptive cIoU@0.5 marks as many pixels as the truth has. Blind "
        "rows see neither picture nor sound.",
    )


def summary(evaluation: Evaluation, words: str, hits: tuple[int, int]) -> str:
    """The result in a few sentences."""
    model, disc = evaluation.model, evaluation.blind[0]
    return (
        f"Learned without labels from scenes composed of {words}. On held-out scenes adaptive "
        f"cIoU@0.5 is {100 * model.adaptive_success_rate:.1f} %; the blind centred disc reaches "
        f"{100 * disc.adaptive_success_rate:.1f} %. cIoU@0.5 is {100 * model.success_rate:.1f} % "
        f"of at most {100 * model.ceiling:.1f} %, and the peak lies in the true box in "
        f"{100 * model.pointing:.1f} % of the scenes. In the video, {hits[0]} of {hits[1]} "
        "sounding moments are found."
    )


def provenance(
    recipe: Recipe, settings: Settings, words: str, evaluation: Evaluation
) -> dict[str, str]:
    """How the report was made."""
    return {
        "Command": settings.command,
        "Seed": str(recipe.seed),
        "Data": words,
        "Held out": "other cut-outs, other recordings or parts of recordings, other backgrounds",
        "Epochs": f"{recipe.epochs} of {EPOCH} batches of {recipe.batch_size}",
        "Truth": "boxes around the visible part of the sounding object",
        "Protocol": evaluation.protocol.says,
        "Versions": f"hearsight {__version__}, torch {torch.__version__}, "
        f"Python {platform.python_version()}",
        "Recipe": json.dumps(to_json(recipe)),
    }
