"""Scoring 5,000 maps: the batched scorer against a loop over samples as the released code has it.

    python benchmarks/evaluation.py

Both do the same work on the same maps and boxes and must give the same scores. "model" is one
row of the table (cIoU, adaptive cIoU, pointing game); "table" adds the blind rows: the loop scores
two of them (centred disc, mean truth) like any other map and gets the third for nothing. Prints
one JSON object. One core; nothing is drawn on either side.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import numpy as np

from hearsight.clips.truth import SIDE, rasterise
from hearsight.scoring.box_scores import (
    MapScores,
    blind_scores,
    centred_disc,
    make_table,
    score_maps,
)
from hearsight.scoring.metrics import area_under_curve, success_rate
from hearsight.scoring.protocols import load_protocol, upsampling_matrix

CLIPS = 5_000
LOOPED = 500  # clips that the loop scores; its time is that of as many, scaled
PROTOCOL = load_protocol("ssl-tie")
Boxes = tuple[tuple[float, float, float, float], ...]


def make_data(count: int) -> tuple[np.ndarray, list[Boxes]]:
    """Smooth random maps and one to three boxes each."""
    generator = np.random.default_rng(0)
    waves = np.cos(np.pi * np.outer(np.arange(5), (np.arange(14) + 0.5) / 14))
    coefficients = generator.standard_normal((count, 5, 5))
    maps = np.einsum("nuv,uy,vx->nyx", coefficients, waves, waves).astype(np.float32)
    boxes = []
    for _ in range(count):
        corners = np.sort(generator.random((generator.integers(1, 4), 2, 2)), axis=1)
        boxes.append(tuple(map(tuple, corners.reshape(-1, 4).tolist())))
    return maps, boxes


def annotation(boxes: Boxes) -> str:
    """An annotation as the released code reads one for every sample."""
    inner = "".join(f"<box>{''.join(f'<v>{v!r}</v>' for v in box)}</box>" for box in boxes)
    return f"<annotation><bbox>{inner}</bbox></annotation>"


def minmax(values: np.ndarray) -> np.ndarray:
    """Values brought to 0..1, unless they are all alike."""
    low, high = values.min(), values.max()
    return values if high == low else (values - low) / (high - low)


def overlap_by_sums(marks: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """The cIoU and its two parts, which the released code computes twice."""
    chosen = np.zeros((SIDE, SIDE))
    chosen[marks >= 0.5] = 1
    score = np.sum(chosen * truth) / (np.sum(truth) + np.sum(chosen * (truth == 0)))
    return score, np.sum(chosen * truth), np.sum(truth) + np.sum(chosen * (truth == 0))


def loop(
    maps: np.ndarray, annotations: list[str], grow: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """One sample after the other: grow, normalise, read the truth, sort, threshold, sum."""
    found = []
    for one, text in zip(maps, annotations, strict=True):
        values = minmax(-grow(one))
        truth = np.zeros([SIDE, SIDE])
        for group in ET.fromstring(text):
            for box in group:
                x0, y0, x1, y1 = [int(float(value.text or "") * SIDE) for value in box]
                truth[y0:y1, x0:x1] = 1
        values = 1 - values
        threshold = np.sort(values.flatten())[int(SIDE * SIDE / 2)]
        marks = np.where(values > threshold, 1, np.where(values < 1, 0, values))
        count = int((truth != 0).sum()) or SIDE * SIDE // 2
        adaptive = np.zeros(values.shape)
        adaptive[values > np.sort(values.flatten())[SIDE * SIDE - count]] = 1
        found.append(
            (
                overlap_by_sums(marks, truth)[0],
                overlap_by_sums(adaptive, truth)[0],
                float(truth.flat[values.argmax()] > 0),
            )
        )
    return np.array(found).T


def grow(one: np.ndarray) -> np.ndarray:
    """Bilinear up-sampling of one sample, by the fastest way numpy has."""
    matrix = upsampling_matrix(one.shape[0], PROTOCOL.upsampling)
    return matrix @ (one @ matrix.T)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the faster of two runs, and what it gave."""
    best = float("inf")
    for _ in range(2):
        begin = time.process_time()
        result = work()
        best = min(best, time.process_time() - begin)
    return best, result


def main() -> None:
    """Time both, compare their scores, print the ratios."""
    maps, boxes = make_data(CLIPS)
    annotations = [annotation(one) for one in boxes[:LOOPED]]

    def model() -> MapScores:
        return score_maps(maps, (rasterise(one, PROTOCOL.truth) for one in boxes), PROTOCOL)

    ours, found = timed(model)
    extra, _ = timed(lambda: make_table("model", found, blind_scores(boxes, PROTOCOL), PROTOCOL))
    looped, (ciou, adaptive, pointing) = timed(lambda: loop(maps[:LOOPED], annotations, grow))
    assert np.array_equal(found.ciou[:LOOPED], ciou)
    assert np.array_equal(found.adaptive[:LOOPED], adaptive)
    assert np.array_equal(found.pointing[:LOOPED], pointing)

    disc = np.broadcast_to(centred_disc(), (LOOPED, SIDE, SIDE))
    blind_time, (ciou, adaptive, _) = timed(lambda: loop(disc, annotations, lambda one: one))
    _, own, _ = make_table("model", found, blind_scores(boxes[:LOOPED], PROTOCOL), PROTOCOL)
    assert (own[0].success_rate, own[0].adaptive_auc) == (
        success_rate(ciou),
        area_under_curve(adaptive),
    )
    scale = CLIPS / LOOPED
    print(
        json.dumps(
            {
                "maps": CLIPS,
                "seconds": round(ours, 2),
                "seconds with blind rows": round(ours + extra, 2),
                "loop, seconds": round(scale * looped, 2),
                "loop with blind rows, seconds": round(scale * (looped + 2 * blind_time), 2),
                "ratio, model": round(scale * looped / ours, 1),
                "ratio, table": round(scale * (looped + 2 * blind_time) / (ours + extra), 1),
            }
        )
    )


if __name__ == "__main__":
    main()
