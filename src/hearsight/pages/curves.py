"""Line and bar charts as SVG inside an HTML page, in the page's text colour."""

import io
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle
from typing import Any

import numpy as np
from jaxtyping import Float

from hearsight.errors import needs

with needs("report", "A chart"):
    import matplotlib
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

COLOURS = (
    *("#3f83c8", "#e0792f", "#2f9a74", "#a168c4", "#d24a60", "#8a8f3a"),
    *("#7a5c3e", "#12a5b8", "#e08fb4", "#4d5fb0", "#c9a227", "#6b8f71"),
)
GREY = "#8b93a1"
INK = "#010203"  # replaced by the page's text colour in the finished SVG
LINE, KEY, LABEL = 66, 6, 28  # characters: that fit a chart, of a line's key, of a bar's label
MOST_COLUMNS = 3  # of a legend
POINTS = 400  # of a curve; longer ones are averaged in bins
STYLE: Any = {  # Any, since matplotlib's stubs have a literal type for every key
    "svg.fonttype": "none",
    "svg.hashsalt": "hearsight",
    "font.family": "sans-serif",
    "font.size": 10.0,
    "text.color": INK,
    "text.parse_math": False,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """Values over the steps of a run."""

    name: str
    steps: Float[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]
    dashed: bool = False  # grey and dashed behind the others, for a sum or a bound


@dataclass(frozen=True, slots=True, kw_only=True)
class BarSeries:
    """One value per group; NaN where there is none."""

    name: str
    values: Sequence[float]


def plot(title: str, curves: Sequence[Curve], *, unit: str, x_label: str = "step") -> str:
    """A chart of all curves that have a point, as SVG; empty if none has.

    Its alternative text says where each curve begins and ends.
    """
    curves = [curve for curve in curves if len(curve.steps)]
    if not curves:
        return ""
    with matplotlib.rc_context(STYLE):
        legend = _Legend([curve.name for curve in curves])
        figure, axes = _chart(title, unit, 3.3 + 0.2 * max(0, legend.lines - 2))
        colours, dashes = cycle(COLOURS), cycle(("--", ":", "-."))
        for curve in curves:
            if curve.dashed:
                _draw(axes, curve, GREY, next(dashes))
            else:
                _draw(axes, curve, next(colours), "-")
        axes.set_xlabel(x_label)
        axes.margins(x=0.02)
        axes.grid(alpha=0.15, color=INK)
        legend.draw(figure)
        return _svg(figure, title, _description(title, curves, unit, x_label))


def bar_chart(title: str, groups: Sequence[str], series: Sequence[BarSeries], *, unit: str) -> str:
    """Horizontal bars, those of a group side by side, as SVG; empty if there is none.

    Its alternative text says every value.
    """
    if not groups or not series:
        return ""
    thick = 0.8 / len(series)
    labels = [_wrapped(group, LABEL) for group in groups]
    lines = max(label.count("\n") + 1 for label in labels)
    legend = _Legend([one.name for one in series])
    with matplotlib.rc_context(STYLE):
        figure, axes = _chart(
            title,
            unit,
            0.9
            + len(groups) * max(0.16 + 0.13 * len(series), 0.17 * lines)
            + 0.2 * max(0, legend.lines - 2),
        )
        places = np.arange(len(groups))
        for number, (one, colour) in enumerate(zip(series, cycle(COLOURS), strict=False)):
            at = places + (number - (len(series) - 1) / 2) * thick
            axes.barh(at, one.values, thick, color=colour, label=one.name)
        if not np.nan_to_num([one.values for one in series]).any():
            axes.set_xlim(0.0, 1.0)  # of nothing but zeros the axis would begin below
        axes.set_yticks(places, labels)
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.15, color=INK)
        axes.set_axisbelow(True)
        legend.draw(figure)
        values = "; ".join(
            f"{one.name}: "
            + ", ".join(
                f"{name} {value:.3g}" for name, value in zip(groups, one.values, strict=True)
            )
            for one in series
        )
        return _svg(figure, title, f"{title}{f' in {unit}' if unit else ''}: {values}.")


def _wrapped(name: str, width: int) -> str:
    """A name over as many lines as it needs."""
    return "\n".join(textwrap.wrap(name, width)) or name


class _Legend:
    """The names below a chart, none if there is one alone, in columns that fit its width."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = [_wrapped(name, LINE - KEY) for name in names] if len(names) > 1 else []
        longest = max((len(line) for name in self.names for line in name.split("\n")), default=1)
        self.columns = min(MOST_COLUMNS, LINE // (longest + KEY))
        tall = max((name.count("\n") + 1 for name in self.names), default=0)
        self.lines = tall * -(-len(self.names) // self.columns)

    def draw(self, figure: Figure) -> None:
        if self.names:
            handles, _ = figure.axes[0].get_legend_handles_labels()
            figure.legend(
                handles,
                self.names,
                loc="outside lower center",
                ncols=self.columns,
                frameon=False,
                fontsize=9,
            )


def _chart(title: str, unit: str, height: float) -> tuple[Figure, Axes]:
    """An empty chart, `height` inches high."""
    figure = Figure(figsize=(5.2, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.subplots()
    axes.set_title(f"{title} ({unit})" if unit else title, loc="left", fontsize=11)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_alpha(0.4)
    return figure, axes


def _draw(axes: Axes, curve: Curve, colour: str, dash: str) -> None:
    steps, values = downsampled(curve.steps), downsampled(curve.values)
    axes.plot(
        steps,
        values,
        color=colour,
        label=curve.name,
        marker="o" if len(steps) <= 30 else None,
        markersize=3,
        linewidth=1.3,
        linestyle=dash,
        zorder=1.5 if curve.dashed else 2,
    )


def downsampled(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
    """At most `POINTS` values: the means of equal bins, of which the last may be smaller."""
    if len(values) <= POINTS:
        return values
    size = -(-len(values) // POINTS)
    starts = np.arange(0, len(values), size)
    means: Float[np.ndarray, " m"] = np.add.reduceat(values, starts) / np.diff(
        np.append(starts, len(values))
    )
    return means


def _description(title: str, curves: Sequence[Curve], unit: str, x_label: str) -> str:
    ends = (f"{c.name} from {c.values[0]:.4g} to {c.values[-1]:.4g}" for c in curves)
    last = max(curve.steps[-1] for curve in curves)
    span = f"{last:,.0f} steps" if x_label == "step" else x_label
    return f"{title}{f' in {unit}' if unit else ''} over {span}: {'; '.join(ends)}."


def _svg(figure: Figure, title: str, description: str) -> str:
    """The figure as an SVG element, with ids that are unique in the page."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    prefix = re.sub(r"\W", "", title) + "-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = svg.replace("url(#", f"url(#{prefix}").replace('href="#', f'href="#{prefix}')
    svg = svg.replace(INK, "currentColor")
    svg = re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", "system-ui, sans-serif", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1)
