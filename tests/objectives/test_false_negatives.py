"""FNAC's objective against its definition, written out as loops."""

import math
from collections.abc import Callable

import pytest
import torch
from made_embedded import (
    HOSTILE,
    dot,
    falls_with_the_margin,
    gradients_are_finite,
    made,
    mean,
    same,
    shuffled,
    softmax_by_hand,
    unit,
)

from hearsight.errors import HearsightError
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.false_negatives import FalseNegativeContrast
from hearsight.objectives.max_contrast import MaxContrast


def alike(vectors: list[list[float]]) -> list[list[float]]:
    return [softmax_by_hand([dot(one, other) / 0.03 for other in vectors]) for one in vectors]


def mean_difference(one: list[list[float]], other: list[list[float]]) -> float:
    return mean(
        [abs(x - y) for a, b in zip(one, other, strict=True) for x, y in zip(a, b, strict=True)]
    )


def peak(cells: list[float], softness: float) -> float:
    if softness == 0:
        return max(cells)
    return softness * math.log(mean([math.exp(cell / softness) for cell in cells]))


def regularisers_by_hand(embedded: EmbeddedBatch, softness: float = 0.0) -> list[float]:
    """Of as many frames as sounds, or of the sounds whose frames are there."""
    first, count = embedded.first, len(embedded.grids)
    maps = embedded.responses[:, first : first + count].flatten(2).tolist()
    sounds = [unit(one) for one in embedded.sounds[first : first + count].tolist()]
    looks, objects = [], []
    for i, grid in enumerate(embedded.grids.flatten(2).transpose(1, 2).tolist()):
        cells = [unit(cell) for cell in grid]
        low, high = min(maps[i][i]), max(maps[i][i])
        heard = [(x - low) / (high - low) > 0.6 for x in maps[i][i]]
        looks.append([mean(channel) for channel in zip(*cells, strict=True)])
        objects.append(
            [
                mean([x if inside else 0.0 for x, inside in zip(channel, heard, strict=True)])
                for channel in zip(*cells, strict=True)
            ]
        )
    across = [softmax_by_hand([peak(cells, softness) / 0.03 for cells in row]) for row in maps]
    return [
        mean_difference(alike(sounds), across),
        mean_difference(alike(sounds), alike(objects)),
        mean_difference(alike(looks), across),
    ]


@pytest.mark.parametrize("softness", [0.0, 0.1])
@pytest.mark.parametrize(("sounds", "first"), [(5, 0), (9, 3)])
def test_the_regularisers_are_their_definition(sounds: int, first: int, softness: float) -> None:
    embedded = made(sounds=sounds, first=first)
    found = FalseNegativeContrast(softness=softness).regularisers(embedded).tolist()
    assert found == pytest.approx(regularisers_by_hand(embedded, softness), rel=1e-9)
    assert all(0 < value < 2 / 5 for value in found)


@pytest.mark.parametrize("margin", [0.0, -0.2])
def test_the_regularisers_join_the_contrast_after_the_warm_up(margin: float) -> None:
    contrast = FalseNegativeContrast(weight=30.0, warm_up=2, margin=margin)
    plain = MaxContrast(margin=margin)(made()).item()
    for epoch in (0, 1):
        assert contrast(made(epoch=epoch)).item() == pytest.approx(plain, rel=1e-12)
    for epoch in (2, 7):
        embedded = made(epoch=epoch)
        expected = plain + 30 * sum(regularisers_by_hand(embedded))
        assert contrast(embedded).item() == pytest.approx(expected, rel=1e-9)


def test_soft_peaks_are_those_of_the_contrast() -> None:
    plain = MaxContrast(softness=0.1)(made()).item()
    assert FalseNegativeContrast(softness=0.1)(made()).item() == pytest.approx(plain, rel=1e-12)


def test_clips_all_alike_need_no_regularising() -> None:
    """Every matrix is uniform."""
    embedded = same(4, epoch=9)
    assert FalseNegativeContrast().regularisers(embedded).abs().max() < 1e-12
    assert FalseNegativeContrast()(embedded).item() == pytest.approx(2 * math.log(4), rel=1e-9)


def test_two_clips_that_sound_alike_ask_for_one_response() -> None:
    """Descending the first regulariser raises the response of a frame to the sound like its own."""
    embedded = made(frames=3, sounds=3)
    sounds = embedded.sounds.detach().clone()
    sounds[1] = sounds[0] + 1e-3
    responses = (0.2 * torch.rand(3, 3, 3, 2, dtype=torch.float64)).requires_grad_()
    embedded.sounds, embedded.responses = sounds, responses
    with torch.no_grad():
        responses[0, 0] += 0.3
    first_regulariser = FalseNegativeContrast().regularisers(embedded)[0]
    gradient = torch.autograd.grad(first_regulariser, responses)[0]
    assert gradient[0, 1].min() < 0
    assert gradient[0, 2].min() >= 0


def test_the_order_of_clips_does_not_matter() -> None:
    embedded = made(epoch=5)
    moved = shuffled(embedded, [3, 0, 4, 1, 2])
    contrast = FalseNegativeContrast()
    assert contrast(moved).item() == pytest.approx(contrast(embedded).item(), rel=1e-12)


@pytest.mark.parametrize("epoch", [0, 5])
def test_the_loss_falls_with_the_margin(epoch: int) -> None:
    assert falls_with_the_margin(FalseNegativeContrast, made(epoch=epoch))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_gradients_stay_finite(hostile: Callable[..., EmbeddedBatch]) -> None:
    assert gradients_are_finite(FalseNegativeContrast(margin=-0.2), hostile(epoch=5))


def test_half_precision_embeddings_are_compared_in_single() -> None:
    embedded = made(epoch=5)
    single = FalseNegativeContrast()
    expected = single.regularisers(embedded)
    embedded.responses = embedded.responses.float()
    embedded.grids, embedded.sounds = embedded.grids.bfloat16(), embedded.sounds.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = single(embedded)
    assert loss.dtype == torch.float32
    assert single.regularisers(embedded).tolist() == pytest.approx(expected.tolist(), abs=0.02)


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0.0},
        {"weight": -1.0},
        {"warm_up": -1},
        {"softness": -1.0},
        {"foreground": 1.0},
    ],
)
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(HearsightError, match=f"contrast.*{next(iter(wrong))}"):
        FalseNegativeContrast(**wrong)  # type: ignore[arg-type]
