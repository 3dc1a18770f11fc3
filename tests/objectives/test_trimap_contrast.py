"""The objectives of LVS and SSL-TIE against their definitions, written out as loops."""

import math

import pytest
import torch
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.model.response import response
from hearsight.objectives.trimap_contrast import PaperContrast, TrimapContrast


@pytest.fixture
def responses() -> Tensor:
    """Four frames against nine sounds on a 3 x 3 grid; their own are sounds 2 to 5."""
    torch.manual_seed(0)
    return response(torch.randn(4, 8, 3, 3).double(), torch.randn(9, 8).double())


FIRST = 2


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def mean(values: list[float], weights: list[float]) -> float:
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


def trimap_by_hand(
    responses: Tensor, *, margin: float = 0.0, background: bool = True, multiply: bool = False
) -> float:
    grid = responses.flatten(2).tolist()
    losses = []
    for frame, maps in enumerate(grid):
        scores = [mean(v, [sigmoid((x - 0.65) / 0.03) for x in v]) for v in maps]
        own = maps[FIRST + frame]
        positive = scores[FIRST + frame] - margin
        if multiply:
            scores[FIRST + frame] *= -99
        else:
            del scores[FIRST + frame]
        if background:
            scores.append(mean(own, [1 - sigmoid((x - 0.40) / 0.03) for x in own]))
        logits = [s / 0.07 for s in (positive, *scores)]
        top = max(logits)
        losses.append(top - logits[0] + math.log(sum(math.exp(x - top) for x in logits)))
    return sum(losses) / len(losses)


def paper_by_hand(responses: Tensor, *, margin: float = 0.0) -> float:
    grid = responses.flatten(2).tolist()
    losses = []
    for frame, maps in enumerate(grid):
        own = maps[FIRST + frame]
        inside = [sigmoid((x - 0.65) / 0.03) for x in own]
        positive = mean(own, inside) - margin
        negative = mean(own, [1 - w for w in inside])
        for sound, other in enumerate(maps):
            if sound != FIRST + frame:
                negative += sum(other) / len(other)
        losses.append(-math.log(math.exp(positive) / (math.exp(positive) + math.exp(negative))))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("margin", [0.0, -0.2, 0.2])
@pytest.mark.parametrize("background", [True, False])
@pytest.mark.parametrize("multiply", [True, False])
def test_trimap_contrast_is_its_definition(
    responses: Tensor, margin: float, background: bool, multiply: bool
) -> None:
    contrast = TrimapContrast(
        margin=margin, background_negatives=background, multiply_true_pairs=multiply
    )
    by_hand = trimap_by_hand(responses, margin=margin, background=background, multiply=multiply)
    assert contrast(responses, FIRST).item() == pytest.approx(by_hand, rel=1e-10)


@pytest.mark.parametrize("margin", [0.0, -0.2, 0.2])
def test_paper_contrast_is_its_definition(responses: Tensor, margin: float) -> None:
    by_hand = paper_by_hand(responses, margin=margin)
    assert PaperContrast(margin=margin)(responses, FIRST).item() == pytest.approx(by_hand, rel=1e-9)


def test_multiplying_true_pairs_explodes_where_they_do_not_match() -> None:
    """Why it is only a switch: a negative true pair times -99 becomes the strongest negative."""
    responses = torch.full((3, 3, 2, 2), 0.3)
    responses[range(3), range(3)] = -0.6
    assert TrimapContrast()(responses) < 15
    assert TrimapContrast(multiply_true_pairs=True)(responses) > 500


def test_multiplying_true_pairs_removes_them_where_they_match() -> None:
    responses = torch.full((3, 3, 2, 2), 0.3)
    responses[range(3), range(3)] = 0.8
    multiplied = TrimapContrast(multiply_true_pairs=True)(responses)
    torch.testing.assert_close(multiplied, TrimapContrast()(responses))


@pytest.mark.parametrize("contrast", [TrimapContrast, PaperContrast])
def test_a_negative_margin_eases(
    contrast: type[TrimapContrast] | type[PaperContrast], responses: Tensor
) -> None:
    assert contrast(margin=-0.2)(responses, FIRST) < contrast()(responses, FIRST)


@pytest.mark.parametrize("contrast", [TrimapContrast(), PaperContrast()])
def test_gradients_stay_finite_at_the_start_of_training(
    contrast: TrimapContrast | PaperContrast,
) -> None:
    """Cosines near 0: every foreground weight is near 4e-10."""
    start = (0.01 * torch.randn(4, 4, 3, 3)).requires_grad_()
    contrast(start).backward()
    assert start.grad is not None
    assert start.grad.isfinite().all()
    assert start.grad.abs().max() > 0


def test_a_width_of_zero_is_refused() -> None:
    with pytest.raises(HearsightError, match="softness"):
        TrimapContrast(softness=0.0)
