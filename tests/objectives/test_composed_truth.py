"""The objective of composed scenes against its definition, written out as loops."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from made_embedded import made

from hearsight.errors import HearsightError
from hearsight.model.response import response
from hearsight.objectives.composed_truth import ComposedTruth
from hearsight.objectives.embedded_batch import EmbeddedBatch


def seen(first: int = 0, sounds: int = 5) -> EmbeddedBatch:
    embedded = made(frames=3, sounds=sounds, first=first)
    truths = torch.zeros(3, 3, 2, dtype=torch.float64)
    truths[0, 0], truths[1, 1:, 0], truths[2, 2, 1] = 1.0, 0.75, 0.25
    return replace(embedded, truths=truths)


def cross_entropy(logit: float, share: float) -> float:
    chance = 1 / (1 + math.exp(-logit))
    return -share * math.log(chance) - (1 - share) * math.log(1 - chance)


@pytest.mark.parametrize(("first", "sounds"), [(0, 3), (2, 5)])
def test_it_is_its_definition(first: int, sounds: int) -> None:
    embedded = seen(first, sounds)
    assert embedded.truths is not None
    own, absent = [], []
    for frame, maps in enumerate(embedded.responses.tolist()):
        for sound, rows in enumerate(maps):
            places = [(row, column) for row in range(3) for column in range(2)]
            logits = {place: 10 * (rows[place[0]][place[1]] - 0.4) for place in places}
            if sound != first + frame:
                absent += [cross_entropy(logits[place], 0) for place in places]
                continue
            share = {place: embedded.truths[frame, place[0], place[1]].item() for place in places}
            for weights in (share, {place: 1 - part for place, part in share.items()}):
                total = sum(
                    weights[place] * cross_entropy(logits[place], share[place]) for place in places
                )
                own.append(total / max(sum(weights.values()), 0.5))
    by_hand = sum(own) / 3 + 2.0 * sum(absent) / len(absent)
    assert ComposedTruth(absent=2.0)(embedded).item() == pytest.approx(by_hand, rel=1e-9)


def test_a_map_that_is_the_truth_costs_nothing_and_its_opposite_most() -> None:
    truths = torch.zeros(2, 3, 2, dtype=torch.float64)
    truths[:, 1:, 1] = 1.0
    right = torch.full((2, 2, 3, 2), -1.0, dtype=torch.float64)
    right[0, 0], right[1, 1] = 2 * truths - 1
    embedded = replace(made(frames=2, sounds=2), responses=right, truths=truths)
    objective = ComposedTruth(sharpness=60.0, middle=0.0)
    assert objective(embedded).item() < 1e-20
    assert objective(replace(embedded, responses=-right)).item() > 60.0


def test_the_gradient_raises_the_inside_and_lowers_all_else() -> None:
    embedded = seen()
    responses = embedded.responses.detach().requires_grad_()
    ComposedTruth()(replace(embedded, responses=responses)).backward()
    assert responses.grad is not None
    assert (responses.grad[0, 0, 0] < 0).all()
    assert (responses.grad[0, 0, 1:] > 0).all()
    assert (responses.grad[0, 1:] > 0).all()


def test_it_needs_boxes_and_sound_numbers() -> None:
    with pytest.raises(HearsightError, match="needs clips with boxes"):
        ComposedTruth()(made())
    for wrong in ({"sharpness": 0.0}, {"absent": -1.0}):
        with pytest.raises(HearsightError, match="must be positive"):
            ComposedTruth(**wrong)


def test_each_head_is_judged_by_itself() -> None:
    embedded = seen()
    networks = SimpleNamespace(heads=2)
    grids, sounds = embedded.grids, embedded.sounds
    half = grids.shape[1] // 2
    alone = [
        replace(embedded, responses=response(grids[:, part], sounds[:, part]))
        for part in (slice(None, half), slice(half, None))
    ]
    mean = sum(ComposedTruth()(each).item() for each in alone) / 2
    both = replace(embedded, networks=networks, responses=response(grids, sounds, 2))
    assert ComposedTruth()(both).item() == pytest.approx(mean, rel=1e-12)
    joint = replace(embedded, responses=both.responses)
    assert ComposedTruth()(joint).item() != pytest.approx(mean, rel=1e-6)
