"""Training on one's own videos from a model: the better one of both is kept, on held-out videos."""

import os
import re
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from hearsight.checkpoints.card import card_of, write_card
from hearsight.checkpoints.checkpoint import (
    BEST,
    LAST,
    load_checkpoint,
    ready,
    save_checkpoint,
)
from hearsight.checkpoints.start import Start, check_network
from hearsight.clips.clip import Clips, DecodedClip, UnreadableClip
from hearsight.clips.selection import spread_evenly
from hearsight.datasets.held_out_videos import SplitVideos, split_videos, take_moments
from hearsight.errors import HearsightError
from hearsight.files.locks import sole_writer
from hearsight.files.text import counted, first_names
from hearsight.localising.own_sound import Comparison, compare_on
from hearsight.pages.report import write_report
from hearsight.recipes.recipe import Recipe
from hearsight.studies.own_videos_page import before_and_after
from hearsight.training.run_folder import (
    TrainingOptions,
    TrainingResult,
    check_new,
    has_begun,
    read_log,
)
from hearsight.training.trainer import train

MOMENTS, REPORT = "moments", "report.html"  # in the run folder
MOST_COMPARED = 200  # held-out moments
KEPT_START = "kept_start"  # a fact of `best`: it is the model that training started from


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnVideosResult:
    """The outcome: the run, which model was kept, and why."""

    training: TrainingResult
    comparison: Comparison
    sentence: str  # which model was kept, and why
    report: Path

    def numbers(self) -> dict[str, Any]:
        """What was kept and what it was chosen by, as JSON; shares from 0 to 1."""
        before, after = self.comparison.before, self.comparison.after
        return {
            "kept": "start" if self.comparison.is_worse else "trained",
            "told_apart_before": round(before.told, 4),
            "told_apart_after": round(after.told, 4),
            "report": str(self.report),
        }


def train_on_videos(
    recipe: Recipe,
    clips: Clips,
    folder: Path,
    start: Start,
    options: TrainingOptions,
    *,
    validation: Clips | None = None,
) -> OwnVideosResult:
    """Train from a model on one's own videos; keep the model that is better on held-out ones.

    `best.safetensors` is the trained model, or the one it started from where the trained one tells
    the own sound of held-out moments from sounds of other videos less well.

    Args:
        recipe: of a method that needs no labels and no boxes.
        clips: of `open_videos`.
        folder: the run folder.
        start: the model.
        options: of the run; `start` and `guarded` are set here.
        validation: as of `train`.

    Raises:
        HearsightError: as `train`, videos that cannot be read or are too few, or a recipe that
            cannot learn from them or from the model.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise HearsightError(
            "One's own videos are trained on in one process: for several, take clips of them by "
            "'hearsight data import' and train on these."
        )
    check_learns(recipe)
    check_network(recipe, start)
    if not options.resume:
        check_new(folder)
        if (folder / REPORT).exists():
            raise HearsightError(f"'{folder / REPORT}' would be written over: name another folder.")
    begun, there = has_begun(folder), folder.exists()
    try:
        split = take_split(recipe, clips, folder / MOMENTS, options)
        result = train(
            recipe,
            split.training,
            folder,
            validation=validation,
            options=replace(
                options,
                start=start,
                guarded=True,
                facts={**options.facts, "held_out_videos": split.names},
            ),
        )
    except BaseException:
        if not begun and not has_begun(folder):  # a run that fails at once leaves nothing
            shutil.rmtree(folder / MOMENTS, ignore_errors=True)
            if not there and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise
    with sole_writer(folder):
        done = keep_better(folder, recipe, start, split, result, options)
    if result.finished:
        shutil.rmtree(folder / MOMENTS, ignore_errors=True)
    return done


def check_learns(recipe: Recipe) -> None:
    """Refuse a recipe that learns from what videos do not have.

    Raises:
        HearsightError: it needs boxes or labels, or is not trained.
    """
    needed = "boxes" if recipe.needs_boxes else "labels" if recipe.needs_labels else ""
    if needed:
        raise HearsightError(
            f"'{recipe.name}' learns from {needed}, which one's own videos do not have: take a "
            "recipe that learns without, such as ssl_tie:pretrained."
        )
    if recipe.epochs == 0:
        raise HearsightError(f"'{recipe.name}' is not trained, so it cannot start from a model.")


def take_split(recipe: Recipe, clips: Clips, folder: Path, options: TrainingOptions) -> SplitVideos:
    """The moments of one's own videos in a store, split by video; tells what is left out."""
    store, written = take_moments(clips, folder, progress=options.progress)
    split = split_videos(store, clips.ids, seed=recipe.seed)
    for one in written.unreadable:
        options.notice(f"skipped {one.id}: {one.reason}")
    if split.quiet:
        options.notice(
            f"{counted(split.quiet, 'silent moment was', 'silent moments were')} left out."
        )
    options.notice(
        f"{counted(len(split.training), 'moment')} to learn from; "
        f"{counted(len(split.held_out), 'moment')} of {counted(len(split.names), 'video')} held "
        f"out: {first_names(split.names, 5)}."
    )
    return split


def keep_better(
    folder: Path,
    recipe: Recipe,
    start: Start,
    split: SplitVideos,
    result: TrainingResult,
    options: TrainingOptions,
) -> OwnVideosResult:
    """Compare both models, write the better one as `best`, its card, and the page."""
    name = candidate(folder)
    trained = load_checkpoint(folder / name, with_state=False)
    before, after = ready(start.checkpoint), ready(trained)
    moments, videos = read_moments(split)
    comparison = compare_on(
        before,
        after,
        moments,
        videos,
        device=options.device,
        seed=recipe.seed,
        progress=options.progress,
    )
    sentence = tell_kept(start.name, comparison)
    kept = before if comparison.is_worse else after
    facts: dict[str, Any] = {
        **kept.facts,
        "held_out_videos": split.names,
        "own_videos": asdict(comparison),
        KEPT_START: comparison.is_worse,
    }
    report = folder / REPORT
    save_checkpoint(folder / BEST, kept.encoders, kept.recipe, facts=facts)
    describe_in_card(folder, start, split, comparison, sentence, options)
    page = before_and_after(
        (start.name, recipe.name),
        (before, after),
        moments,
        comparison,
        sentence,
        log=read_log(folder),
        card=card_of(folder / BEST),
    )
    write_report(page, report)
    options.notice(sentence)
    options.notice(f"wrote {report}")
    return OwnVideosResult(training=result, comparison=comparison, sentence=sentence, report=report)


def candidate(folder: Path) -> str:
    """The trained weights of a run to compare: the best validated ones, else the last."""
    position = load_checkpoint(folder / LAST, with_state=False).facts["position"]
    if position["best"] < 0 or not (folder / BEST).exists():
        return LAST
    return LAST if load_checkpoint(folder / BEST, with_state=False).facts.get(KEPT_START) else BEST


def read_moments(split: SplitVideos) -> tuple[list[DecodedClip], list[str]]:
    """Held-out moments and the video of each: at most `MOST_COMPARED`, evenly from each video.

    Raises:
        HearsightError: fewer than two videos can still be read.
    """
    places: dict[str, list[int]] = {}
    for place, video in enumerate(split.videos):
        places.setdefault(video, []).append(place)
    each = max(1, MOST_COMPARED // len(places))
    clips, videos = [], []
    for video, own in list(places.items())[:MOST_COMPARED]:
        for at in spread_evenly(len(own), each):
            try:
                clips.append(split.held_out[own[at]])
            except UnreadableClip:
                continue
            videos.append(video)
    if len(set(videos)) < 2:
        raise HearsightError("The held-out moments cannot be read any more.")
    return clips, videos


def tell_kept(start: str, comparison: Comparison) -> str:
    """Which model was kept, and why, in one sentence."""
    before, after = (f"{100 * one.told:.1f} %" for one in (comparison.before, comparison.after))
    where = (
        f"{counted(comparison.moments, 'held-out moment')} of {counted(comparison.videos, 'video')}"
    )
    low, high = comparison.difference
    points = 100 * (comparison.after.told - comparison.before.told)
    moved = "less than 0.1 points apart" if abs(points) < 0.05 else f"{points:+.1f} points"
    if low is not None and high is not None:
        moved += f" (95 % interval {100 * low:+.1f} to {100 * high:+.1f})"
    if comparison.is_worse:
        return (
            f"The model that training started from, '{start}', is kept: on {where} it tells the "
            f"own sound from sounds of other videos in {before} of pairs, the trained one in "
            f"{after}, {moved}."
        )
    chance = low is None or low <= 0
    return (
        f"The trained model is kept: on {where} it tells the own sound from sounds of other "
        f"videos in {after} of pairs, '{start}', from which it started, in {before}, "
        f"{moved}{', which may be chance' if chance else ''}."
    )


def describe_in_card(
    folder: Path,
    start: Start,
    split: SplitVideos,
    comparison: Comparison,
    sentence: str,
    options: TrainingOptions,
) -> None:
    """Write the card of `best`; it holds what the card of the model at the start says."""
    moments = counted(len(split.training), "moment")
    what = f"'{start.name}' trained further on {moments} of one's own videos"
    score = comparison.after
    if comparison.is_worse:
        what = f"'{start.name}' as it was, since training on one's own videos made it worse"
        score = comparison.before
    short = (
        f"it is {what}; on held-out ones of them it tells the own sound from others in "
        f"{100 * score.told:.1f} % of pairs (chance 50 %); how well it does on other videos is "
        "not known."
    )
    parts = [sentence]
    if command := options.facts.get("command"):
        parts.append(f"Command: `{command}`")
    for path in (start.path.with_suffix(".md"), start.path.with_suffix(".notice.md")):
        if path.exists():
            text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", path.read_text(encoding="utf-8"))
            lower = re.sub("^#", "###", text, flags=re.MULTILINE)
            parts.append(f"## From `{path.name}`\n\n{lower}")
    write_card(folder / BEST, short=short, text="\n\n".join(parts))
