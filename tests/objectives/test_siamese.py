"""SSPL's objective against its definition, written out as loops."""

from dataclasses import replace

import pytest
import torch
from made_embedded import cosine, mean
from made_views import Heads, embedded, finite, flat, halves, view
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.siamese import SiamesePrediction, attended_frames


def two_views(
    heads: Heads, frames: int = 4, sounds: int = 9, first: int = 2
) -> list[EmbeddedBatch]:
    one = view(frames, sounds, first, networks=heads)
    torch.manual_seed(7)
    other = embedded(
        torch.randn(frames, 5, 2, 3).double().requires_grad_(),
        one.sounds,
        first=first,
        networks=heads,
    )
    one.other, other.other = other, one
    return [one, other]


def attended_by_hand(seen: EmbeddedBatch) -> list[list[float]]:
    vectors = []
    for frame, grid in enumerate(seen.grids.flatten(2).transpose(1, 2).tolist()):
        sound = seen.sounds[seen.first + frame].tolist()
        cosines = [cosine(place, sound) for place in grid]
        low, high = min(cosines), max(cosines)
        weights = [(x - low) / (high - low) for x in cosines]
        vectors.append(
            [sum(w * p[c] for w, p in zip(weights, grid, strict=True)) for c in range(5)]
        )
    return vectors


def linear(layer: torch.nn.Linear, vector: list[float]) -> list[float]:
    return [
        bias + sum(w * x for w, x in zip(row, vector, strict=True))
        for row, bias in zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    ]


def test_it_is_its_definition() -> None:
    heads = Heads()
    one, other = two_views(heads)
    losses = []
    for mine, theirs in zip(attended_by_hand(one), attended_by_hand(other), strict=True):
        predicted = linear(heads.predictor, linear(heads.projector, mine))
        losses.append(-cosine(predicted, linear(heads.projector, theirs)))
    by_hand = mean(losses)
    assert SiamesePrediction()(one).item() == pytest.approx(by_hand, rel=1e-9)


def test_what_is_predicted_is_held_fixed() -> None:
    heads = Heads()
    one, other = two_views(heads)
    loss = SiamesePrediction()(one)
    mine, theirs = torch.autograd.grad(loss, (one.grids, other.grids), allow_unused=True)
    assert theirs is None
    assert mine.abs().sum() > 0


def test_a_view_that_predicts_itself_costs_the_least() -> None:
    heads = Heads()
    heads.predictor = torch.nn.Identity()  # type: ignore[assignment]
    one = view(networks=heads)
    one.other = replace(one)
    assert SiamesePrediction()(one).item() == pytest.approx(-1)


def test_only_places_that_respond_are_attended_to() -> None:
    sounds = torch.eye(2, 5).double()
    grids = torch.zeros(2, 5, 2, 3).double()
    grids[:, 4] = 7.0  # unlike any sound
    grids[..., 1, 2] = 3 * sounds
    torch.testing.assert_close(attended_frames(embedded(grids, sounds)), 3 * sounds)


def test_the_loss_does_not_change_with_the_scale_of_sounds() -> None:
    heads = Heads()
    one, _ = two_views(heads)
    louder = embedded(one.grids, 9 * one.sounds, first=2, networks=heads, other=one.other)
    assert SiamesePrediction()(louder).item() == pytest.approx(SiamesePrediction()(one).item())


def test_two_processes_have_the_loss_of_one() -> None:
    whole, other = two_views(Heads(), sounds=4, first=0)
    parts = [
        SiamesePrediction()(replace(mine, other=theirs))
        for mine, theirs in zip(halves(whole), halves(other), strict=True)
    ]
    torch.testing.assert_close(torch.stack(parts).mean(), SiamesePrediction()(whole))


@pytest.mark.parametrize("value", [1.0, 0.0, -3.0])
def test_clips_without_any_difference_have_finite_gradients(value: float) -> None:
    seen = flat(value=value, networks=Heads().float())
    seen.other = replace(seen)
    assert finite(SiamesePrediction()(seen), seen)
    assert torch.equal(attended_frames(seen), torch.zeros(3, 5))


def test_half_precision_stays_single_where_it_counts() -> None:
    seen = flat(networks=Heads().float())
    half = replace(seen, grids=seen.grids.bfloat16(), sounds=seen.sounds.bfloat16())
    half.other = replace(half)
    with torch.autocast("cpu", torch.bfloat16):
        loss: Tensor = SiamesePrediction()(half)
    assert loss.dtype == torch.float32


def test_it_needs_two_views_and_heads() -> None:
    heads = Heads()
    one, other = two_views(heads, frames=1, sounds=1, first=0)
    with pytest.raises(HearsightError, match="batch_size must be at least 2"):
        SiamesePrediction()(one)
    with pytest.raises(HearsightError, match="set views=2"):
        SiamesePrediction()(replace(one, other=None))
    with pytest.raises(HearsightError, match=r"set encoder\.predictor"):
        SiamesePrediction()(replace(one, networks=torch.nn.Identity()))
    assert other.other is one
