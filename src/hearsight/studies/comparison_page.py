"""The page of a comparison: tables, success curves, bars, and response maps of every method."""

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hearsight.checkpoints.checkpoint import load_model
from hearsight.clips.clip import Clips, DecodedClip
from hearsight.clips.truth import PIXELS, SIZES, size_class
from hearsight.files.tables import Row
from hearsight.files.text import counted
from hearsight.localising.painted_clips import paint_clip
from hearsight.pages.curves import BarSeries, Curve, bar_chart, plot
from hearsight.pages.report import Gallery, Picture, Report, Role, Table
from hearsight.recipes.serialisation import to_json
from hearsight.scoring import score_table
from hearsight.scoring.metrics import THRESHOLDS, success_curve
from hearsight.scoring.results import BLIND_DISC, CEILING, is_reference
from hearsight.scoring.score_table import CONFIDENCE, ScoreTable
from hearsight.studies.comparison import ComparedMethod, Comparison
from hearsight.studies.comparison_table import (
    COSTS,
    clip_scores,
    costs,
    notes,
    over,
    rates_by,
    signs,
)
from hearsight.training.run_folder import read_log
from hearsight.version import versions

MOST_CLASSES = 20  # in the bars: those with the most clips
SHOWN = 8  # first clips in the gallery, not a selection
EXTREMES = 4  # best cases, and as many worst ones
WIDE = 224  # pixels, longer side of a painted frame
Group = Callable[[Row], str | None]  # the group of a clip, None to leave it out
References = Mapping[str, Mapping[str, Sequence[float]]]  # protocol: name: cIoU of each clip


def describe(
    comparison: Comparison,
    methods: Sequence[ComparedMethod],
    held_out: Clips,
    references: References,
    tables: Sequence[ScoreTable],
    *,
    command: str,
) -> Report:
    """The page of a comparison.

    Args:
        comparison: what was compared.
        methods: trained and scored.
        held_out: the clips that were scored.
        references: what `reference_scores` gives.
        tables: what `tabulate_methods` gives.
        command: that made the comparison.
    """
    plots = {
        f"Under {protocol}": _score_plots(methods, protocol, each)
        for protocol, each in references.items()
    }
    return Report(
        title="Methods compared",
        summary=_summary(comparison, methods, len(held_out)),
        tables=[
            *(one for table in tables for one in _tables(methods, table)),
            _cost_table(methods),
        ],
        plots={**plots, "Training": _run_plots(comparison, methods)},
        galleries=_galleries(comparison, methods, held_out, next(iter(references), None)),
        provenance={
            "Command": command,
            "Seeds": ", ".join(map(str, comparison.seeds)),
            **{
                name.capitalize(): _as_text(value)
                for name, value in comparison.plan.items()
                if value
            },
            "Versions": versions(),
            **{
                f"Recipe {one.name}": json.dumps(to_json(load_model(one.folders[0])[1]))
                for one in methods
            },
        },
    )


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _summary(comparison: Comparison, methods: Sequence[ComparedMethod], clips: int) -> str:
    seeds = "one seed" if len(comparison.seeds) == 1 else f"{len(comparison.seeds)} seeds"
    protocols = ", ".join(comparison.protocols)
    return (
        f"{counted(len(methods), 'method')}, each trained with {seeds} on the same clips and "
        f"scored on the same {clips:,} others under {protocols}. A score is comparable "
        "only under one protocol, and is meaningful only next to the blind rows and the ceiling."
    )


def _tables(methods: Sequence[ComparedMethod], table: ScoreTable) -> list[Table]:
    """The scores under a protocol, and the differences between their rows."""
    results = methods[0].results[table.protocol]
    lines, alike = score_table.shown(table.rows)
    title = "; ".join([table.caption, *score_table.said_once(alike)])
    said = f"In per cent; {over(len(results))}. Blind rows see neither picture nor sound."
    if any(name.endswith(CONFIDENCE) for name in lines[0]):
        said += f" {table.confidence_note()}"
    scores = Table(
        title=title,
        rows=[{k: v for k, v in line.items() if k not in COSTS} for line in lines],
        roles=[_role(row) for row in table.rows],
        note=" ".join([said, *(f"{one}." for one in signs(methods)), *notes(results[:1])]),
    )
    if not table.differences:
        return [scores]
    differences = Table(
        title=f"Differences under {table.protocol} on the same clips, in points of per cent",
        rows=[
            {"name": f"{line.pop('name')} against {line.pop('against')}", **line}
            for line in score_table.shown_differences(table)
        ],
        roles=["model"] * len(table.differences),
        note=table.chance_note(),
    )
    return [scores, differences]


def _cost_table(methods: Sequence[ComparedMethod]) -> Table:
    return Table(
        title="Cost of each method",
        rows=[{"name": one.name, **costs(one)} for one in methods],
        roles=["model"] * len(methods),
        note="samples/s: of training, the median, on the machine that trained. parameters: of what "
        "makes a response map, learned or not; trained: what training changes, with heads that "
        "only an objective uses. GFLOP: 10^9 additions and multiplications from one frame and one "
        "sound to their response map.",
    )


def _role(row: Row) -> Role:
    if not is_reference(row):
        return "model"
    return "ceiling" if row["name"] == CEILING else "blind"


def _score_plots(
    methods: Sequence[ComparedMethod], protocol: str, references: Mapping[str, Sequence[float]]
) -> list[str]:
    """Success rate over the cIoU threshold, and bars of it by size and by class."""
    curves = []
    for method in methods:
        each = [success_curve(np.array(clip_scores(one))) for one in method.results[protocol]]
        curves.append(_curve(method.name, np.mean(each, axis=0).tolist()))
    for name in (CEILING, BLIND_DISC):
        if name in references:
            shares = success_curve(np.array(references[name]))
            curves.append(_curve(name, shares.tolist(), dashed=True))
    return [
        plot(f"Clips with at least that cIoU, {protocol}", curves, unit="%", x_label="cIoU"),
        _bars(methods, protocol, "size", _by_size),
        _bars(methods, protocol, "class", _by_class(methods, protocol)),
    ]


def _curve(name: str, shares: Sequence[float], *, dashed: bool = False) -> Curve:
    return Curve(name=name, steps=THRESHOLDS, values=100 * np.array(shares), dashed=dashed)


def _by_size(clip: Row) -> str | None:
    pixels = round(float(clip.get("truth_share", 0)) * PIXELS)
    return size_class(pixels) if pixels else None


def _by_class(methods: Sequence[ComparedMethod], protocol: str) -> Group:
    counted = Counter(clip.get("label") for clip in methods[0].results[protocol][0].clips)
    most = {label for label, _ in counted.most_common(MOST_CLASSES) if label is not None}

    def group(clip: Row) -> str | None:
        label = clip.get("label")
        return label if label in most else None

    return group


def _bars(methods: Sequence[ComparedMethod], protocol: str, what: str, group: Group) -> str:
    found = {one.name: rates_by(one.results[protocol], group) for one in methods}
    names = sorted({name for rates in found.values() for name in rates})
    if what == "size":
        names = [name for name in SIZES if name in names]
    return bar_chart(
        f"cIoU of at least 0.5 by {what}, {protocol}",
        names,
        [
            BarSeries(name=method, values=[100 * rates.get(name, math.nan) for name in names])
            for method, rates in found.items()
        ],
        unit="%",
    )


def _run_plots(comparison: Comparison, methods: Sequence[ComparedMethod]) -> list[str]:
    """The loss of every run, a plot for each method, and the validation scores."""
    logs = {
        (one.name, seed): read_log(folder)
        for one in methods
        for seed, folder in zip(comparison.seeds, one.folders, strict=True)
    }
    plots = [
        plot(
            f"Loss of {one.name}",
            [_logged(f"seed {seed}", logs[one.name, seed], "loss") for seed in comparison.seeds],
            unit="",
        )
        for one in methods
    ]
    validated = [
        _logged(f"{name}, seed {seed}", log, "success_rate", 100.0)
        for (name, seed), log in logs.items()
    ]
    return [*plots, plot("Validation", validated, unit="%")]


def _logged(name: str, log: Sequence[Row], number: str, factor: float = 1.0) -> Curve:
    entries = [one for one in log if math.isfinite(one.get(number, math.nan))]
    return Curve(
        name=name,
        steps=np.array([float(one["step"]) for one in entries]),
        values=np.array([factor * float(one[number]) for one in entries]),
    )


def _galleries(
    comparison: Comparison, methods: Sequence[ComparedMethod], held_out: Clips, protocol: str | None
) -> list[Gallery]:
    """The first clips, and those with the highest and lowest mean cIoU over all methods."""
    if protocol is None:
        return []
    scores = {one.name: _first_scores(one, protocol) for one in methods}
    ids = [id for id in held_out.ids if all(id in found for found in scores.values())]
    ranked = sorted(ids, key=lambda id: float(np.mean([found[id] for found in scores.values()])))
    count = min(EXTREMES, len(ids) // 2)
    said = f"Weights of seed {comparison.seeds[0]}; below each picture its cIoU under {protocol}."
    wanted = {
        "The same clips under every method": (ids[:SHOWN], "The first clips, whatever they show."),
        "Best cases": (ranked[::-1][:count], "The highest mean cIoU over all methods."),
        "Worst cases": (ranked[:count], "The lowest mean cIoU over all methods."),
    }
    places = {id: place for place, id in enumerate(held_out.ids)}
    clips = {id: held_out[places[id]] for chosen, _ in wanted.values() for id in chosen}
    painted = {one.name: paint(one, list(clips.values()), scores[one.name]) for one in methods}
    return [
        Gallery(
            title=title,
            columns=[one.name for one in methods],
            rows=[
                (clip_title(clips[id]), [painted[one.name][id] for one in methods]) for id in chosen
            ],
            note=f"{which} {said}",
        )
        for title, (chosen, which) in wanted.items()
    ]


def clip_title(clip: DecodedClip) -> str:
    """The name of a clip in a gallery: its id, and its class if it has one."""
    return f"{clip.id} ({clip.label})" if clip.label else clip.id


def _first_scores(method: ComparedMethod, protocol: str) -> dict[str, float]:
    """The cIoU of every clip with the first seed, by id."""
    found = method.results[protocol][0]
    return {
        str(clip["id"]): score for clip, score in zip(found.clips, clip_scores(found), strict=True)
    }


def paint(
    method: ComparedMethod, clips: Sequence[DecodedClip], scores: Mapping[str, float]
) -> dict[str, Picture]:
    """Each clip's frame under the response map of a method's first run, the true boxes dashed."""
    encoders, recipe, _ = load_model(method.folders[0])
    pictures = {}
    for clip in clips:
        score = scores[clip.id]
        pictures[clip.id] = Picture(
            pixels=paint_clip(encoders, recipe, clip, WIDE),
            caption=f"{score:.2f}",
            description=f"{clip_title(clip)} by {method.name}: cIoU {score:.2f}",
        )
    return pictures
