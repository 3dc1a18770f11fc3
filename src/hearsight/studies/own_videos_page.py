"""The page of training on one's own videos: numbers and painted moments, before and after."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from hearsight.checkpoints.card import ModelCard
from hearsight.checkpoints.checkpoint import Model
from hearsight.clips.clip import DecodedClip
from hearsight.clips.selection import spread_evenly
from hearsight.localising.localise import Localiser, load_localiser, prepare_whole_frame
from hearsight.localising.moments import paint
from hearsight.localising.own_sound import Comparison, OwnSoundScore
from hearsight.media.samples import RATE, fit_sound
from hearsight.media.sound_windows import SoundWindow
from hearsight.pages.report import Gallery, Picture, Report, Role, Table
from hearsight.recipes.serialisation import to_json
from hearsight.version import versions

SHOWN, SIDE = 12, 400  # moments on the page, pixels of their longer side


def before_and_after(
    names: tuple[str, str],
    models: tuple[Model, Model],
    moments: Sequence[DecodedClip],
    comparison: Comparison,
    sentence: str,
    *,
    log: Sequence[Mapping[str, Any]] = (),
    card: ModelCard | None = None,
) -> Report:
    """The report.

    Args:
        names: of the model before and of the one after.
        models: both, ready to use.
        moments: held-out ones; some are shown.
        comparison: of the models on them.
        sentence: which model was kept.
        log: of the run.
        card: of the model that was kept.
    """
    titles = [f"before: {names[0]}", f"after: {names[1]}"]
    localisers = [
        load_localiser(model, threshold=None, maps=False, device=None, batch_size=1)
        for model in models
    ]
    places = spread_evenly(len(moments), SHOWN)
    return Report(
        title="Before and after, on your own videos",
        summary=sentence,
        tables=[score_table(titles, comparison)],
        log=log,
        galleries=[
            Gallery(
                title="Held-out moments",
                columns=("before", "after"),
                rows=[
                    (name_moment(clip), [paint_moment(one, clip) for one in localisers])
                    for clip in (moments[place] for place in places)
                ],
                note="None of these videos was trained on. The moments are spread evenly over "
                "all that were compared, not selected.",
                truths=False,
                wide=True,
            )
        ],
        cards=[] if card is None else [card],
        provenance=provenance(models[1]),
    )


def score_table(titles: Sequence[str], comparison: Comparison) -> Table:
    """The table of both models; the one that was kept stands out."""
    kept: list[Role] = ["model", "other"] if comparison.is_worse else ["other", "model"]
    scores = (comparison.before, comparison.after)
    return Table(
        title=f"{comparison.moments:,} held-out moments of {comparison.videos:,} videos, in per "
        "cent; the model that was kept stands out",
        rows=[_row(title, score) for title, score in zip(titles, scores, strict=True)],
        roles=kept,
        note="Told apart: each frame is paired with its own sound and with the sounds of moments "
        "of other videos; the share of the other sounds that fit the frame less well than its "
        "own. Chance is 50 %; 100 % cannot be expected, since some sources are not in the picture "
        "and some other sounds fit it. Interval: 95 %, over draws of the videos. Source found: "
        "frames with their own sound whose confidence reaches the model's threshold. Dark: frames "
        "with the sound of another video whose confidence does not.",
    )


def _row(title: str, score: OwnSoundScore) -> dict[str, str | float]:
    low, high = score.interval
    return {
        "model": title,
        "told apart": score.told,
        "interval": "" if low is None or high is None else f"{100 * low:.1f} to {100 * high:.1f}",
        "own sound:\nsource found": score.found,
        "other sound:\ndark": score.dark,
        "threshold\n(cosine)": f"{score.threshold:.3f}",
    }


def name_moment(clip: DecodedClip) -> str:
    """The video of a moment and its second."""
    name = clip.source or clip.id
    return name if clip.time is None else f"{name}, {clip.time:.1f} s"


def paint_moment(localiser: Localiser, clip: DecodedClip) -> Picture:
    """A frame as `hearsight localise` paints it, with the confidence below."""
    samples = fit_sound(clip.sound, round(localiser.seconds * RATE))
    heard = SoundWindow(
        time=clip.time or 0.0, samples=samples.astype(np.float32) / 32768, level=0.0
    )
    frame = prepare_whole_frame(clip.frame, localiser.recipe.frame_size)
    localised = localiser([frame], [heard])[0]
    whole = Image.fromarray(clip.frame)
    whole.thumbnail((SIDE, SIDE))
    moment = localised.moment
    found = moment.confidence >= localiser.threshold
    number = f"{moment.confidence:.2f}"
    caption = f"confidence {number}" if found else f"no source ({number})"
    return Picture(
        pixels=paint(np.asarray(whole), localised, "heat"),
        caption=caption,
        description=f"{name_moment(clip)}: {caption}",
    )


def provenance(model: Model) -> dict[str, str]:
    """How the trained model was made."""
    facts = model.facts
    start = facts["start"]
    return {
        "Command": str(facts.get("command", "")),
        "Started from": f"{start['model']} ({start['recipe']}, weights {start['digest']})",
        "Data": ", ".join(facts.get("data", [])),
        "Held-out videos": ", ".join(facts["held_out_videos"]),
        "Seed": str(model.recipe.seed),
        "Versions": versions(),
        "Recipe": json.dumps(to_json(model.recipe)),
    }
