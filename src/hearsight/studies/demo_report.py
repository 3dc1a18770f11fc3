"""What a demo shows: painted scenes, tables of scores, the result in words."""

import json
import platform
from collections.abc import Sequence

import torch

from hearsight.clips.clip import DecodedClip
from hearsight.localising import painting as draw
from hearsight.localising.localise import ResponseFunction
from hearsight.localising.moments import to_heatmap
from hearsight.model.augmentation import evaluation_frame
from hearsight.model.response import matched
from hearsight.pages.report import Picture, Role, Table
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import to_json
from hearsight.scoring.evaluation import Evaluation
from hearsight.version import __version__


@torch.inference_mode()
def paint_scenes(
    encoders: ResponseFunction, recipe: Recipe, clips: Sequence[DecodedClip], title: str
) -> list[Picture]:
    """Each frame under its response map, the truth's box drawn in dashes."""
    frames = torch.stack([evaluation_frame(clip.frame, recipe.frame_size) for clip in clips])
    sounds = torch.stack([torch.from_numpy(clip.sound.copy()) for clip in clips])
    maps = matched(encoders(frames, recipe.spectrogram(sounds))).numpy()
    pictures = []
    for clip, one in zip(clips, maps, strict=True):
        painted = draw.heat(clip.frame.repeat(2, axis=0).repeat(2, axis=1), to_heatmap(one))
        height, width, _ = painted.shape
        for x0, y0, x1, y1 in clip.boxes or ():
            edges = (x0 * width, y0 * height, x1 * width, y1 * height)
            painted = draw.box(painted, edges, colour=draw.TRUTH, dashed=True)
        label = clip.label or "unknown"
        pictures.append(
            Picture(
                pixels=painted,
                caption=f"{label} ({title.lower()})",
                description=f"{title}: response to the sound of a {label}; its true box is dashed.",
            )
        )
    return pictures


def points(evaluation: Evaluation) -> float:
    """Adaptive cIoU@0.5 of the model less that of the blind centred disc, in points."""
    disc = evaluation.blind[0].adaptive_success_rate
    return 100 * (evaluation.model.adaptive_success_rate - disc)


def score_table(title: str, evaluation: Evaluation) -> Table:
    """The rows of an evaluation for the report."""
    blind: list[Role] = ["blind"] * len(evaluation.blind)
    return Table(
        title=f"{title}: {len(evaluation.clips)} scenes with 1 or 2 silent distractors",
        rows=evaluation.rows(),
        roles=["model", *blind, "ceiling"],
        note="cIoU@0.5 marks half of the frame, whatever the source's size: the ceiling is the "
        "best that rule allows. Adaptive cIoU@0.5 marks as many pixels as the truth has. Blind "
        "rows see neither picture nor sound.",
    )


def sentence(title: str, evaluation: Evaluation) -> str:
    """One evaluation in words."""
    model, disc = evaluation.model, evaluation.blind[0]
    return (
        f"{title}: adaptive cIoU@0.5 {100 * model.adaptive_success_rate:.1f} %, "
        f"{points(evaluation):+.1f} points from the blind centred disc "
        f"({100 * disc.adaptive_success_rate:.1f} %); cIoU@0.5 {100 * model.success_rate:.1f} % of "
        f"at most {100 * model.ceiling:.1f} %; the peak lies in the true box in "
        f"{100 * model.pointing:.1f} % of the scenes (disc {100 * disc.pointing:.1f} %)."
    )


def provenance(recipe: Recipe, command: str, words: str, epoch: int) -> dict[str, str]:
    """How the report was made."""
    return {
        "Command": command,
        "Seed": str(recipe.seed),
        "Data": words,
        "Epochs": f"{recipe.epochs} of {epoch} batches of {recipe.batch_size} scenes",
        "Known objects": "cut-outs that were trained on, in new scenes, before other backgrounds, "
        "with other recordings or other parts of a recording",
        "New objects": "other cut-outs of the same classes, too",
        "Truth": "boxes around the visible part of the sounding object",
        "Protocol": "ssl-tie",
        "Versions": f"hearsight {__version__}, torch {torch.__version__}, "
        f"Python {platform.python_version()}",
        "Recipe": json.dumps(to_json(recipe)),
    }
