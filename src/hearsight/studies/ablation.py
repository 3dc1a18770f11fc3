"""The ablation of SSL-TIE: rungs A to F, each the one above plus one part, compared on equal terms.

Source: SSL-TIE, Table 1.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hearsight.clips.leaks import footnotes
from hearsight.errors import HearsightError, needs
from hearsight.files.output import write_text, written_whole
from hearsight.files.tables import markdown_table
from hearsight.progress import Progress
from hearsight.scoring.metrics import area_under_curve, success_rate
from hearsight.scoring.results import BLIND_DISC
from hearsight.scoring.score_table import summary_cell
from hearsight.studies.comparison import (
    ComparedMethod,
    Comparison,
    HeldOutClips,
    reference_scores,
)
from hearsight.studies.comparison_table import summarised

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
    """The scores of one rung, one entry per seed, as fractions.

    marks: signs beside its name in the table, each with its footnote.
    """

    letter: str
    adds: str
    ciou: tuple[float, ...]  # cIoU@0.5 under `PROTOCOL`
    auc: tuple[float, ...]
    adaptive: tuple[float, ...]  # adaptive cIoU@0.5
    marks: Mapping[str, str] = field(default_factory=dict)

    def row(self) -> dict[str, Any]:
        """Mean and sample standard deviation over seeds, and the paper's numbers."""
        row: dict[str, Any] = {"rung": self.letter.upper(), "what": self.adds}
        for name in ("ciou", "auc", "adaptive"):
            row |= summarised(name, getattr(self, name))
        row["paper_ciou"], row["paper_auc"] = PAPER[self.letter]
        return row


def rung_name(method: str, letter: str) -> str:
    """The name of a rung's recipe, for `ssl_tie` or its small variant.

    Raises:
        HearsightError: another method than these two.
    """
    names = {"ssl_tie": f"ssl_tie:{letter}", "ssl_tie:small": f"ssl_tie:small_{letter}"}
    if method not in names:
        raise HearsightError(
            f"There is no ladder for '{method}': choose 'ssl_tie' or 'ssl_tie:small'."
        )
    return names[method]


def make_ablation(
    method: str,
    *,
    seeds: Sequence[int],
    changes: Sequence[str],
    folder: Path,
) -> Comparison:
    """The comparison of rungs A to F.

    Args:
        method: `ssl_tie` or `ssl_tie:small`.
        seeds: of every rung.
        changes: PATH=VALUE, made to every rung alike.
        folder: of the runs, the table and the plot.

    Raises:
        HearsightError: another method.
    """
    names = {letter: rung_name(method, letter) for letter in RUNGS}
    return Comparison(
        recipes=tuple(names.values()),
        seeds=tuple(seeds),
        protocols=(PROTOCOL,),
        changes=tuple(changes),
        folder=folder,
        plan={"method": method},
        kind="ablation",
        titles={name: letter.upper() for letter, name in names.items()},
    )


def make_rungs(methods: Sequence[ComparedMethod]) -> list[Rung]:
    """The rungs of a finished ablation, A to F."""
    rungs = []
    for (letter, adds), method in zip(RUNGS.items(), methods, strict=True):
        clips = [results.clips for results in method.results[PROTOCOL]]
        ciou = [np.array([clip["ciou"] for clip in each]) for each in clips]
        adaptive = [np.array([clip["adaptive_ciou"] for clip in each]) for each in clips]
        rungs.append(
            Rung(
                letter=letter,
                adds=adds,
                ciou=tuple(map(success_rate, ciou)),
                auc=tuple(map(area_under_curve, ciou)),
                adaptive=tuple(map(success_rate, adaptive)),
                marks=method.marks,
            )
        )
    return rungs


def blind_rows(
    folder: Path, methods: Sequence[ComparedMethod], held_out: HeldOutClips, progress: Progress
) -> dict[str, dict[str, float]]:
    """The scores of the blind rows and of the ceiling on the clips that rungs were scored on."""
    protocols = (PROTOCOL, "adaptive")
    found = reference_scores(folder, methods, held_out, protocols, progress)
    own, adaptive = (found[protocol] for protocol in protocols)
    return {
        name: {
            "ciou": success_rate(np.array(scores)),
            "auc": area_under_curve(np.array(scores)),
            "adaptive": success_rate(np.array(adaptive[name])),
        }
        for name, scores in own.items()
    }


def write_ladder(
    ablation: Comparison,
    methods: Sequence[ComparedMethod],
    held_out: HeldOutClips,
    progress: Progress,
    *,
    command: str,
) -> None:
    """Write `table.md` and `ladder.png` into the folder of an ablation.

    Args:
        ablation: what `make_ablation` gives.
        methods: its rungs, trained and scored.
        held_out: the clips that were scored.
        progress: of reading their boxes.
        command: that made the ablation, shown below the table.

    Raises:
        HearsightError: a file cannot be written.
    """
    rungs = make_rungs(methods)
    blind = blind_rows(ablation.folder, methods, held_out, progress)
    text = table(rungs, blind, seeds=ablation.seeds, command=command)
    write_text(ablation.folder / "table.md", text + "\n")
    plot(rungs, blind[BLIND_DISC], ablation.folder / "ladder.png")


def table(
    rungs: Sequence[Rung],
    blind: Mapping[str, Mapping[str, float]],
    *,
    seeds: Sequence[int],
    command: str,
) -> str:
    """The layout of Table 1 in Markdown, in per cent, the paper's numbers in columns of their own.

    Args:
        rungs: A to F, or some of them.
        blind: by name, the rows below the rungs, as fractions.
        seeds: of every rung.
        command: that made the ablation.
    """
    signs = {sign: why for rung in rungs for sign, why in rung.marks.items()}
    scores = {
        "ciou": f"cIoU@0.5 ({PROTOCOL})",
        "auc": f"AUC ({PROTOCOL})",
        "adaptive": "adaptive cIoU@0.5",
    }
    paper = {"paper_ciou": "paper: cIoU", "paper_auc": "paper: AUC"}
    rows = []
    for rung in rungs:
        row = rung.row()
        own = [summary_cell(row, name, digits=1) for name in scores]
        printed = [summary_cell(row, name) for name in paper]
        rows.append([row["rung"], " ".join([row["what"], *rung.marks]), *own, *printed])
    for name, numbers in blind.items():
        rows.append(["", name, *(summary_cell(numbers, one, digits=1) for one in scores), "", ""])
    lines = markdown_table(["", "", *scores.values(), *paper.values()], rows)
    several = f"mean ± standard deviation over seeds {', '.join(map(str, seeds))}"
    lines += [
        "",
        f"In per cent; {f'one seed, {seeds[0]}' if len(seeds) == 1 else several}; `{command}`.",
        "The paper's columns are what SSL-TIE, Table 1 prints for VGG-SS after training on "
        "VGGSound-144k: other data, shown for the order of the rungs.",
        *(f"{line}." for line in footnotes(signs)),
    ]
    return "\n".join(lines)


def plot(rungs: Sequence[Rung], disc: Mapping[str, float], path: Path) -> None:
    """Plot the ladder: each seed a point, the mean a line, the paper's numbers a dashed line.

    Args:
        rungs: A to F.
        disc: scores of the blind centred disc, dotted lines in the colours of the rungs' scores.
        path: of the picture.

    Raises:
        HearsightError: it cannot be written.
    """
    with needs("report", "A plot"):
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
