"""The paper's ladder: rungs A to F, each the one above plus one thing, trained and scored alike.

Source: SSL-TIE, Table 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hearsight.checkpoints.checkpoint import LAST, load_model
from hearsight.clips.clip import Clips
from hearsight.clips.leaks import footnotes, marks
from hearsight.errors import HearsightError
from hearsight.files.output import written_whole
from hearsight.recipes.catalogue import load_recipe
from hearsight.recipes.recipe import Recipe
from hearsight.recipes.serialisation import assign
from hearsight.scoring.evaluation import evaluate
from hearsight.scoring.metrics import area_under_curve, success_rate
from hearsight.studies.comparison_folder import (
    clips_plan,
    locked_folder,
    read_or_make,
    reference_scores,
    train_once,
    write_text,
)
from hearsight.training.run_folder import TrainingOptions

PROTOCOL = "ssl-tie"
DISC = "blind: centred disc"
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
    recipe: Recipe, clips: Clips, held_out: Clips, folder: Path, options: TrainingOptions
) -> dict[str, float]:
    """Train and score one rung with one seed; a run that has its score already is only read."""

    def score() -> dict[str, float]:
        train_once(recipe, clips, folder, options)
        model = load_model(str(folder / LAST))
        scored = evaluate(model, held_out, PROTOCOL, device=options.device).model
        return {
            "ciou": scored.success_rate,
            "auc": scored.auc,
            "adaptive": scored.adaptive_success_rate,
        }

    found: dict[str, float] = read_or_make(folder / "score.json", score)
    return found


def ablate(
    method: str,
    clips: Clips,
    held_out: Clips,
    folder: Path,
    *,
    seeds: Sequence[int] = (4, 5, 6),
    settings: Sequence[str] = (),
    options: TrainingOptions | None = None,
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
    chosen = options or TrainingOptions()
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


def ablate_in(
    folder: Path,
    clips: Clips,
    held_out: Clips,
    *,
    method: str,
    seeds: Sequence[int],
    settings: Sequence[str],
    plan: Mapping[str, Any],
    options: TrainingOptions,
    command: str,
) -> str:
    """The ladder in a folder of its own: its runs, `table.md` and `ladder.png`; nobody else writes.

    Args:
        folder: is made if need be.
        clips: to learn from.
        held_out: annotated clips.
        method: `ssl_tie` or `ssl_tie:small`.
        seeds: of weights, order and draws.
        settings: PATH=VALUE changes made to every rung alike.
        plan: all that must be the same when the folder is used again, as JSON.
        options: device, progress; what their facts tell of leaks marks the table.
        command: as it was typed.

    Returns:
        The table.

    Raises:
        HearsightError: a folder of another ablation, of other clips, or in use by another process;
            a file that cannot be written; what `ablate` raises.
    """
    signs = marks(options.facts, epochs=rung_recipe(method, "f", settings).epochs)
    with locked_folder(folder, {**plan, **clips_plan(clips, held_out)}, "ablation"):
        rungs = ablate(
            method, clips, held_out, folder, seeds=seeds, settings=settings, options=options
        )
        blind = blind_rows(held_out, folder, options)
        text = table(rungs, blind, PROTOCOL, seeds=seeds, command=command, signs=signs)
        write_text(folder / "table.md", text + "\n")
        plot(rungs, blind[DISC], folder / "ladder.png")
    return text


def blind_rows(
    held_out: Clips, folder: Path, options: TrainingOptions
) -> dict[str, dict[str, float]]:
    """What sees neither frame nor sound, and the ceiling, scored on the same clips as the rungs."""
    own, adaptive = (
        reference_scores(folder, held_out, protocol, options) for protocol in (PROTOCOL, "adaptive")
    )
    return {
        name: {
            "ciou": success_rate(np.array(scores)),
            "auc": area_under_curve(np.array(scores)),
            "adaptive": success_rate(np.array(adaptive[name])),
        }
        for name, scores in own.items()
    }


def table(
    rungs: Sequence[Rung],
    blind: Mapping[str, Mapping[str, float]],
    protocol: str,
    *,
    seeds: Sequence[int],
    command: str,
    signs: Mapping[str, str] | None = None,
) -> str:
    """Table 1's layout as markdown, in per cent, the paper's numbers marked as the paper's.

    blind: by name, the rows below the rungs.
    signs: marks of every row, and what they say.
    """
    marked = signs or {}

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
            f"| {row['rung']} | {' '.join([row['what'], *marked])} | {shown(row, 'ciou')} "
            f"| {shown(row, 'auc')} | {shown(row, 'adaptive')} | {100 * row['paper_ciou']:.2f} "
            f"| {100 * row['paper_auc']:.2f} |"
        )
    lines += [
        f"| | {name} | {100 * row['ciou']:.1f} | {100 * row['auc']:.1f} "
        f"| {100 * row['adaptive']:.1f} | | |"
        for name, row in blind.items()
    ]
    several = f"mean ± standard deviation over seeds {', '.join(map(str, seeds))}"
    lines += [
        "",
        f"In per cent; {f'one seed, {seeds[0]}' if len(seeds) == 1 else several}; `{command}`.",
        "The paper's columns are what SSL-TIE, Table 1 prints for VGG-SS after training on "
        "VGGSound-144k: other data, shown for the order of the rungs.",
        *(f"{line}." for line in footnotes(marked)),
    ]
    return "\n".join(lines)


def plot(rungs: Sequence[Rung], disc: Mapping[str, float], path: Path) -> None:
    """Draw the ladder: each seed a point, the mean a line, the paper's numbers a dashed line.

    Args:
        rungs: in order.
        disc: scores of the blind centred disc, dotted lines in the colours of the rungs' scores.
        path: a picture.

    Raises:
        HearsightError: it cannot be written.
    """
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
        axes.axhline(100 * disc[name], color=colour, linestyle=":", label=f"blind disc, {title}")
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
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    with written_whole(path) as part:
        figure.savefig(part, format=path.suffix.removeprefix(".") or "png", dpi=150)
