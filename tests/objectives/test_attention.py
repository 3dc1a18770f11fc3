"""Attention10k's objective against its definition, written out as loops."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from made_embedded import cosine, mean
from made_views import embedded, finite, flat, halves, view
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.objectives.attention import AttendedTriplet, attend
from hearsight.objectives.embedded_batch import EmbeddedBatch

Vectors = list[list[float]]


def by_hand(
    seen: EmbeddedBatch, *, others: str = "next", margin: float = 0.0, supervision: float = 0.0
) -> float:
    sounds: Vectors = seen.sounds.tolist()
    losses = []
    for frame, grid in enumerate(seen.grids.flatten(2).transpose(1, 2).tolist()):
        place = seen.first + frame
        wrong_sounds = {
            "next": [sounds[(place + 1) % len(sounds)]],
            "all": [sound for index, sound in enumerate(sounds) if index != place],
        }
        own = sounds[place]
        drawn = [math.exp(max(0.0, cosine(place, own))) for place in grid]
        attention = [x / sum(drawn) for x in drawn]
        z = [sum(a * p[c] for a, p in zip(attention, grid, strict=True)) for c in range(5)]
        pairs = []
        for other in wrong_sounds[others]:
            near, far = math.dist(z, own) + margin, math.dist(z, other)
            total = math.exp(near) + math.exp(far)
            wrong = [math.exp(near) / total - 0, math.exp(far) / total - 1]
            pairs.append((wrong[0] ** 2 + wrong[1] ** 2) / 2)
        loss = mean(pairs)
        if supervision and seen.truths is not None:
            truth = seen.truths[frame].flatten().tolist()
            for share, weight in zip(truth, attention, strict=True):
                loss -= supervision * share / max(sum(truth), 1e-6) * math.log(weight)
        losses.append(loss)
    return mean(losses)


def boxed(seen: EmbeddedBatch) -> EmbeddedBatch:
    truths = torch.tensor([[1.0, 0.5, 0.0], [0.25, 0.0, 0.0]]).double().repeat(4, 1, 1)
    truths[1:3] = truths[1:3].flip(-1)
    truths[3] = 0
    return replace(seen, truths=truths)


@pytest.mark.parametrize("margin", [0.0, -0.2, 0.2])
@pytest.mark.parametrize("supervision", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("first", [2, 5])
@pytest.mark.parametrize("others", ["next", "all"])
def test_it_is_its_definition(margin: float, supervision: float, first: int, others: Any) -> None:
    seen = boxed(view(first=first))
    contrast = AttendedTriplet(margin=margin, supervision=supervision, others=others)
    expected = by_hand(seen, others=others, margin=margin, supervision=supervision)
    assert contrast(seen).item() == pytest.approx(expected, rel=1e-9)


def test_attending_evenly_gives_the_mean() -> None:
    grids = torch.randn(3, 5, 2, 4).double()
    even = torch.full((3, 2, 4), 1 / 8).double()
    torch.testing.assert_close(attend(even, grids), grids.mean((2, 3)))


def test_a_frame_as_near_to_both_sounds_costs_a_quarter() -> None:
    assert AttendedTriplet()(flat()).item() == pytest.approx(0.25)


def test_a_frame_that_is_its_sound_and_far_from_others_costs_nothing() -> None:
    sounds = 20 * torch.eye(3, 5)
    grids = sounds[:, :, None, None].expand(3, 5, 2, 3)
    assert AttendedTriplet()(embedded(grids, sounds)) < 1e-9
    assert AttendedTriplet()(embedded(grids, sounds.roll(1, 0))) > 0.99


def test_the_loss_falls_when_the_margin_does() -> None:
    losses = [AttendedTriplet(margin=m)(view()).item() for m in (0.2, 0.0, -0.2, -0.4, -0.6)]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 5


def test_attention_inside_the_boxes_costs_less_than_outside() -> None:
    sounds = torch.eye(2, 5).double()
    grids = -torch.ones(2, 5, 2, 3).double()
    grids[..., 0, 0] = sounds * 3
    seen = embedded(grids, sounds)
    inside = torch.zeros(2, 2, 3).double()
    inside[:, 0, 0] = 1
    right, wrong = (
        AttendedTriplet(supervision=1.0)(replace(seen, truths=truths))
        for truths in (inside, inside.flip(-1))
    )
    assert right.item() + 0.9 < wrong.item()


def test_frames_without_boxes_learn_from_sounds_alone() -> None:
    seen = replace(view(), truths=torch.zeros(4, 2, 3).double())
    assert AttendedTriplet(supervision=1.0)(seen) == AttendedTriplet()(seen)


@pytest.mark.parametrize("others", ["next", "all"])
def test_two_processes_have_the_loss_and_gradient_of_one(others: Any) -> None:
    contrast = AttendedTriplet(supervision=1.0, others=others)
    whole = boxed(view(sounds=4, first=0))
    parts = torch.stack([contrast(half) for half in halves(whole)]).mean()
    torch.testing.assert_close(parts, contrast(whole), rtol=1e-12, atol=0)
    for one, other in zip(slopes(parts, whole), slopes(contrast(whole), whole), strict=True):
        torch.testing.assert_close(one, other)


def slopes(loss: Tensor, seen: EmbeddedBatch) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, (seen.grids, seen.sounds), retain_graph=True)


@pytest.mark.parametrize("value", [1.0, 0.0, -3.0])
def test_clips_without_any_difference_have_finite_gradients(value: float) -> None:
    seen = replace(flat(value=value), truths=torch.zeros(3, 2, 3))
    assert finite(AttendedTriplet(supervision=1.0)(seen), seen)


def test_it_needs_another_sound_and_boxes_only_when_supervised() -> None:
    with pytest.raises(HearsightError, match="batch_size must be at least 2"):
        AttendedTriplet()(view(frames=1, sounds=1, first=0))
    with pytest.raises(HearsightError, match="learns from boxes"):
        AttendedTriplet(supervision=1.0)(view())
    with pytest.raises(HearsightError, match="must not be negative"):
        AttendedTriplet(supervision=-1.0)
    assert not AttendedTriplet().needs_truths
    assert AttendedTriplet(supervision=0.5).needs_truths
