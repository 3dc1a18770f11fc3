"""Max-pooled InfoNCE against its definition, written out as loops."""

import math
from collections.abc import Callable

import pytest
import torch
from made_embedded import (
    HOSTILE,
    cross_entropy_by_hand,
    falls_with_the_margin,
    gradients_are_finite,
    made,
    same,
    shuffled,
)

from hearsight.errors import HearsightError
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.max_contrast import MaxContrast, peaks


def by_hand(embedded: EmbeddedBatch, margin: float, both: bool, temperature: float = 0.03) -> float:
    peaks = [[max(cells) for cells in row] for row in embedded.responses.flatten(2).tolist()]
    first, count = embedded.first, len(peaks)
    for i in range(count):
        peaks[i][first + i] -= margin
    logits = [[peak / temperature for peak in row] for row in peaks]
    loss = sum(cross_entropy_by_hand(row, first + i) for i, row in enumerate(logits)) / count
    if both:
        for sound in range(count):
            column = [row[first + sound] for row in logits]
            loss += cross_entropy_by_hand(column, sound) / count
    return loss


@pytest.mark.parametrize("margin", [0.0, -0.2, 0.2])
@pytest.mark.parametrize("directions", ["both", "frames"])
@pytest.mark.parametrize(("sounds", "first"), [(5, 0), (9, 3)])
def test_max_contrast_is_its_definition(
    margin: float, directions: str, sounds: int, first: int
) -> None:
    embedded = made(sounds=sounds, first=first)
    contrast = MaxContrast(margin=margin, directions=directions)  # type: ignore[arg-type]
    expected = by_hand(embedded, margin, directions == "both")
    assert contrast(embedded).item() == pytest.approx(expected, rel=1e-9)


def test_the_temperature_divides() -> None:
    embedded = made()
    expected = by_hand(embedded, -0.2, True, temperature=0.07)
    assert MaxContrast(temperature=0.07, margin=-0.2)(embedded).item() == pytest.approx(
        expected, rel=1e-9
    )


def test_where_all_is_alike_the_loss_is_the_log_of_the_count() -> None:
    assert MaxContrast()(same(4)).item() == pytest.approx(2 * math.log(4), rel=1e-9)
    one_way = MaxContrast(directions="frames")
    assert one_way(same(4)).item() == pytest.approx(math.log(4), rel=1e-9)


def test_the_order_of_clips_does_not_matter() -> None:
    embedded = made()
    moved = shuffled(embedded, [3, 0, 4, 1, 2])
    assert MaxContrast()(moved).item() == pytest.approx(MaxContrast()(embedded).item(), rel=1e-12)


def test_both_directions_treat_frames_and_sounds_alike() -> None:
    embedded = made()
    turned = made()
    turned.responses = embedded.responses.transpose(0, 1)
    both, one = MaxContrast(), MaxContrast(directions="frames")
    assert both(turned).item() == pytest.approx(both(embedded).item(), rel=1e-12)
    total = one(turned) + one(embedded)
    assert both(embedded).item() == pytest.approx(total.item(), rel=1e-12)


@pytest.mark.parametrize("directions", ["both", "frames"])
def test_the_loss_falls_with_the_margin(directions: str) -> None:
    def make(margin: float) -> MaxContrast:
        return MaxContrast(margin=margin, directions=directions)  # type: ignore[arg-type]

    assert falls_with_the_margin(make, made(sounds=8, first=1))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_gradients_stay_finite(hostile: Callable[[], EmbeddedBatch]) -> None:
    assert gradients_are_finite(MaxContrast(margin=-0.2), hostile())


def test_only_peaks_are_moved() -> None:
    embedded = made()
    gradient = torch.autograd.grad(MaxContrast()(embedded), embedded.responses)[0].flatten(2)
    assert ((gradient != 0).sum(2) <= 1).all()


def test_soft_peaks_are_the_log_of_the_mean_exponential() -> None:
    responses = made(sounds=7, first=1).responses
    soft = peaks(responses, 0.1)
    for b, row in enumerate(responses.tolist()):
        for a, lines in enumerate(row):
            cells = [cell for line in lines for cell in line]
            mean = sum(math.exp(cell / 0.1) for cell in cells) / len(cells)
            assert soft[b, a].item() == pytest.approx(0.1 * math.log(mean), rel=1e-9)
    assert (soft < responses.amax((2, 3))).all()
    assert (soft > responses.mean((2, 3))).all()


def test_soft_peaks_become_hard_and_flat_ones() -> None:
    responses = made().responses
    torch.testing.assert_close(peaks(responses, 1e-5), peaks(responses, 0.0), rtol=0, atol=1e-3)
    torch.testing.assert_close(peaks(responses, 1e3), responses.mean((2, 3)), rtol=0, atol=1e-3)


def test_soft_peaks_are_contrasted_like_hard_ones() -> None:
    embedded = made()
    replaced = made()
    replaced.responses = peaks(embedded.responses, 0.1)[:, :, None, None]
    found = MaxContrast(softness=0.1, margin=-0.2)(embedded).item()
    assert found == pytest.approx(by_hand(replaced, -0.2, True), rel=1e-9)


def test_with_soft_peaks_every_place_learns() -> None:
    embedded = made()
    loss = MaxContrast(softness=0.1)(embedded)
    assert (torch.autograd.grad(loss, embedded.responses)[0] != 0).all()


def test_a_negative_softness_is_refused() -> None:
    with pytest.raises(HearsightError, match=r"contrast\.softness must not be negative"):
        MaxContrast(softness=-0.1)


def test_a_temperature_of_zero_is_refused() -> None:
    with pytest.raises(HearsightError, match=r"contrast\.temperature must be positive"):
        MaxContrast(temperature=0.0)
