"""Curves of a run as SVG that stands inside a page and takes its text colour from there."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

COLOURS = (
    *("#3f83c8", "#e0792f", "#2f9a74", "#a168c4", "#d24a60", "#8a8f3a"),
    *("#7a5c3e", "#12a5b8", "#e08fb4", "#4d5fb0", "#c9a227", "#6b8f71"),
)
GREY = "#8b93a1"
INK = "#010203"  # stands for the page's text colour until the end
POINTS = 400  # of a curve; longer ones are averaged in bins
STYLE: Any = {  # matplotlib types each of its settings apart
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
    """Numbers over the steps of a run."""

    name: str
    steps: Float[np.ndarray, " n"]
    values: Float[np.ndarray, " n"]
    aside: bool = False  # a sum or a bound, drawn grey and broken behind the others


def plot(title: str, curves: Sequence[Curve], *, unit: str, across: str = "step") -> str:
    """One set of axes with all curves that have a point, as SVG; empty if none has.

    across: what the steps are, if no steps.

    Its description, for those who cannot see it, says where each curve begins and ends.
    """
    curves = [curve for curve in curves if len(curve.steps)]
    if not curves:
        return ""
    with matplotlib.rc_context(STYLE):
        legend = -(-len(curves) // 3) if len(curves) > 1 else 0
        figure = Figure(figsize=(5.2, 3.3 + 0.2 * max(0, legend - 2)), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        colours, dashes = cycle(COLOURS), cycle(("--", ":", "-."))
        for curve in curves:
            if curve.aside:
                _draw(axes, curve, GREY, next(dashes))
            else:
                _draw(axes, curve, next(colours), "-")
        axes.set_title(f"{title} ({unit})" if unit else title, loc="left", fontsize=11)
        axes.set_xlabel(across)
        axes.margins(x=0.02)
        axes.grid(alpha=0.15, color=INK)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["bottom", "left"]].set_alpha(0.4)
        if len(curves) > 1:
            figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _inline(file.getvalue(), title, _description(title, curves, unit, across))


def _draw(axes: Axes, curve: Curve, colour: str, dash: str) -> None:
    steps, values = thinned(curve.steps), thinned(curve.values)
    axes.plot(
        steps,
        values,
        color=colour,
        label=curve.name,
        marker="o" if len(steps) <= 30 else None,
        markersize=3,
        linewidth=1.3,
        linestyle=dash,
        zorder=1.5 if curve.aside else 2,
    )


def thinned(values: Float[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
    """At most `POINTS` numbers: the means of bins that are equally full, but for one."""
    if len(values) <= POINTS:
        return values
    size = -(-len(values) // POINTS)
    starts = np.arange(0, len(values), size)
    means: Float[np.ndarray, " m"] = np.add.reduceat(values, starts) / np.diff(
        np.append(starts, len(values))
    )
    return means


def _description(title: str, curves: Sequence[Curve], unit: str, across: str) -> str:
    ends = (f"{c.name} from {c.values[0]:.4g} to {c.values[-1]:.4g}" for c in curves)
    last = max(curve.steps[-1] for curve in curves)
    span = f"{last:,.0f} steps" if across == "step" else across
    return f"{title}{f' in {unit}' if unit else ''} over {span}: {'; '.join(ends)}."


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """One number for each group; NaN where there is none."""

    name: str
    values: Sequence[float]


def bars(title: str, groups: Sequence[str], series: Sequence[Bars], *, unit: str) -> str:
    """Lying bars, side by side in each group, as SVG; empty if there is none.

    Its description names every number.
    """
    if not groups or not series:
        return ""
    thick = 0.8 / len(series)
    with matplotlib.rc_context(STYLE):
        height = 0.9 + len(groups) * (0.16 + 0.13 * len(series))
        figure = Figure(figsize=(5.2, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        places = np.arange(len(groups))
        for number, (one, colour) in enumerate(zip(series, cycle(COLOURS), strict=False)):
            at = places + (number - (len(series) - 1) / 2) * thick
            axes.barh(at, one.values, thick, color=colour, label=one.name)
        axes.set_yticks(places, groups)
        axes.invert_yaxis()
        axes.set_title(f"{title} ({unit})" if unit else title, loc="left", fontsize=11)
        axes.grid(axis="x", alpha=0.15, color=INK)
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["bottom", "left"]].set_alpha(0.4)
        if len(series) > 1:
            figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    told = "; ".join(
        f"{one.name}: "
        + ", ".join(f"{name} {value:.3g}" for name, value in zip(groups, one.values, strict=True))
        for one in series
    )
    return _inline(file.getvalue(), title, f"{title}{f' in {unit}' if unit else ''}: {told}.")


def _inline(svg: str, title: str, description: str) -> str:
    """Drop the head of the file, keep its names apart from other plots', take the page's ink."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    prefix = re.sub(r"\W", "", title) + "-"
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = svg.replace("url(#", f"url(#{prefix}").replace('href="#', f'href="#{prefix}')
    svg = svg.replace(INK, "currentColor")
    svg = re.sub(r"'DejaVu Sans'[^;\"]*sans-serif", "system-ui, sans-serif", svg)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(description)}"', 1)
