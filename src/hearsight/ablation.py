"""The paper's ladder: rungs A to F, each the one above plus one thing, trained and scored alike.

Source: SSL-TIE, Table 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hearsight.batches import COMPOSED
from hearsight.campaign import keep, sole_campaign, train_once
from hearsight.checkpoint import LAST, load_encoders
from hearsight.clips import Clips
from hearsight.datasets import PACKS, open_clips, open_joined
from hearsight.errors import HearsightError
from hearsight.evaluate import check_truths, evaluate
from hearsight.recipe import Recipe, assign, load_recipe
from hearsight.runs import Options

PROTOCOL = "ssl-tie"
RUNGS = {
    "a": "contrast",
    "b": "+ appearance",
    "c": "+ geometric",
    "d": "+ masking",
    "e": "+ mixing",
    "f": "+ equivariance loss",
}
# cIoU@0.5 and AUC on VGG-SS, trained on VGGSound-144k, as printed in Table 1
PAPER = {
    "a": (0.3292, 0.3744),
    "b": (0.3364, 0.3721),
    "c": (0.3580, 0.3847),
    "d": (0.3748, 0.3887),
    "e": (0.3766, 0.3937),
    "f": (0.3863, 0.3965),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """The scores of one rung, one entry per seed, as fractions."""

    letter: str
    adds: str
    ciou: tuple[float, ...]  # cIoU@0.5 under the protocol named beside the table
    auc: tuple[float, ...]
    adaptive: tuple[float, ...]  # adaptive cIoU@0.5

    def row(self) -> dict[str, Any]:
        """Mean and spread (sample standard deviation) beside the paper's numbers."""
        row: dict[str, Any] = {"rung": self.letter.upper(), "what": self.adds}
        for name in ("ciou", "auc", "adaptive"):
            values = np.array(getattr(self, name))
            row[name] = float(values.mean())
            row[f"{name}_spread"] = float(values.std(ddof=1)) if len(values) > 1 else None
        row["paper_ciou"], row["paper_auc"] = PAPER[self.letter]
        return row


def rung_recipe(method: str, letter: str, settings: Sequence[str] = ()) -> Recipe:
    """The recipe of a rung: of `ssl_tie`, or of its small variant.

    Raises:
        HearsightError: another method than these two.
    """
    names = {"ssl_tie": f"ssl_tie:{letter}", "ssl_tie:small": f"ssl_tie:small_{letter}"}
    if method not in names:
        raise HearsightError(
            f"There is no ladder for '{method}': choose 'ssl_tie' or 'ssl_tie:small'."
        )
    return assign(load_recipe(names[method]), *settings)


def score_run(
    recipe: Recipe, clips: Clips, held_out: Clips, folder: Path, options: Options
) -> dict[str, float]:
    """Train and score one rung with one seed; a run that has its score already is only read."""

    def score() -> dict[str, float]:
        train_once(recipe, clips, folder, options)
        encoders, trained, _ = load_encoders(str(folder / LAST))
        model = evaluate(encoders, trained, held_out, PROTOCOL, device=options.device).model
        return {
            "ciou": model.success_rate,
            "auc": model.auc,
            "adaptive": model.adaptive_success_rate,
        }

    found: dict[str, float] = keep(folder / "score.json", score)
    return found


def ablate(
    method: str,
    clips: Clips,
    held_out: Clips,
    folder: Path,
    *,
    seeds: Sequence[int] = (4, 5, 6),
    settings: Sequence[str] = (),
    options: Options | None = None,
) -> list[Rung]:
    """Train rungs A to F with each of the seeds on the same clips; score all on the same others.

    Args:
        method: `ssl_tie` or `ssl_tie:small`.
        clips: to learn from.
        held_out: annotated clips, none of them among `clips`.
        folder: one run folder per rung and seed is written in it; finished ones are not repeated.
        seeds: of weights, order and draws.
        settings: PATH=VALUE changes made to every rung alike.
        options: device, progress.

    Raises:
        HearsightError: a method without a ladder, or what `train` and `evaluate` raise.
    """
    scores: dict[str, list[dict[str, float]]] = {letter: [] for letter in RUNGS}
    chosen = options or Options()
    for seed in seeds:
        for letter in RUNGS:
            recipe = rung_recipe(method, letter, [*settings, f"seed={seed}"])

            def told(
                stage: str, done: int, total: int | None, at: str = f"{letter.upper()}, seed {seed}"
            ) -> None:
                chosen.progress(f"{at}: {stage}", done, total)

            scores[letter].append(
                score_run(
                    recipe,
                    clips,
                    held_out,
                    folder / f"{letter}-seed{seed}",
                    replace(chosen, progress=told),
                )
            )
    return [
        Rung(
            letter=letter,
            adds=adds,
            ciou=tuple(score["ciou"] for score in scores[letter]),
            auc=tuple(score["auc"] for score in scores[letter]),
            adaptive=tuple(score["adaptive"] for score in scores[letter]),
        )
        for letter, adds in RUNGS.items()
    ]


def ablate_data(
    method: str,
    data: Sequence[str],
    held_out: str | None,
    folder: Path,
    *,
    seeds: Sequence[int],
    settings: Sequence[str],
    epoch: int | None,
    count: int,
    classes: int | None,
    options: Options,
) -> list[Rung]:
    """`ablate` on clips by name; of composed scenes, held-out ones with 1 or 2 silent objects.

    Raises:
        HearsightError: no held-out clips, where the data are not composed with their own; a
            folder of another ablation, or in use by another process; what `ablate` raises.
    """
    recipe = rung_recipe(method, "f", settings)
    if held_out is None and data[0].partition(":")[0] not in PACKS:
        raise HearsightError(
            f"Name annotated clips to score with --held-out: '{data[0]}' has none kept apart."
        )
    clips = open_joined(
        data,
        split="train",
        size=round(recipe.frame_size * COMPOSED),
        count=epoch,
        classes=classes,
    )
    kept = open_clips(
        held_out or data[0],
        split="val",
        size=recipe.frame_size,
        count=count,
        classes=classes,
        silent=(1, 2),
    )
    check_truths(kept, held_out or data[0])
    plan = {"method": method, "data": list(data), "held_out": held_out, "settings": list(settings)}
    sizes = {"epoch": epoch, "count": count, "classes": classes}
    with sole_campaign(folder, {**plan, **sizes}, "ablation"):
        return ablate(method, clips, kept, folder, seeds=seeds, settings=settings, options=options)


def table(rungs: Sequence[Rung], protocol: str, *, seeds: Sequence[int], command: str) -> str:
    """Table 1's layout as markdown, in per cent, the paper's numbers marked as the paper's."""

    def shown(row: dict[str, Any], name: str) -> str:
        spread = row[f"{name}_spread"]
        return f"{100 * row[name]:.1f}" + ("" if spread is None else f" ± {100 * spread:.1f}")

    lines = [
        f"| | | cIoU@0.5 ({protocol}) | AUC ({protocol}) | adaptive cIoU@0.5 "
        "| paper: cIoU | paper: AUC |",
        "|---|---|---|---|---|---|---|",
    ]
    for rung in rungs:
        row = rung.row()
        lines.append(
            f"| {row['rung']} | {row['what']} | {shown(row, 'ciou')} | {shown(row, 'auc')} "
            f"| {shown(row, 'adaptive')} | {100 * row['paper_ciou']:.2f} "
            f"| {100 * row['paper_auc']:.2f} |"
        )
    several = f"mean ± standard deviation over seeds {', '.join(map(str, seeds))}"
    lines += [
        "",
        f"In per cent; {f'one seed, {seeds[0]}' if len(seeds) == 1 else several}; `{command}`.",
        "The paper's columns are what SSL-TIE, Table 1 prints for VGG-SS after training on "
        "VGGSound-144k: other data, shown for the order of the rungs.",
    ]
    return "\n".join(lines)


def plot(rungs: Sequence[Rung], path: Path) -> None:
    """Draw the ladder: each seed a point, the mean a line, the paper's numbers a dashed line."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = range(len(rungs))
    for name, title, colour in (
        ("ciou", "cIoU@0.5", "#1b6ca8"),
        ("adaptive", "adaptive cIoU@0.5", "#c2571a"),
    ):
        axes.plot(
            places,
            [100 * rung.row()[name] for rung in rungs],
            color=colour,
            marker="_",
            label=title,
        )
        for place, rung in enumerate(rungs):
            values = [100 * value for value in getattr(rung, name)]
            axes.scatter([place] * len(values), values, color=colour, s=14, alpha=0.6)
    axes.plot(
        places,
        [100 * PAPER[rung.letter][0] for rung in rungs],
        color="grey",
        linestyle="--",
        label="paper, VGG-SS (other data)",
    )
    axes.set_xticks(places, [f"{rung.letter.upper()}\n{rung.adds}" for rung in rungs])
    axes.set_ylabel("per cent of clips")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    temporary = path.with_name(f".{path.name}")
    figure.savefig(temporary, format=path.suffix.removeprefix(".") or "png", dpi=150)
    temporary.replace(path)
