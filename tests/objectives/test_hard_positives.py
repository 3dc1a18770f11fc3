"""HPS's objective against its definition, written out as loops."""

import math
from collections.abc import Callable

import pytest
import torch
from made_embedded import (
    HOSTILE,
    cosine,
    cross_entropy_by_hand,
    falls_with_the_margin,
    gradients_are_finite,
    made,
    mean,
    same,
    shuffled,
)

from hearsight.errors import HearsightError
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.hard_positives import HardPositiveContrast, nearest_neighbours
from hearsight.objectives.trimap_contrast import TrimapContrast


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def masked(values: list[float], weights: list[float]) -> float:
    return sum(v * w for v, w in zip(values, weights, strict=True)) / sum(weights)


def nearest(vectors: list[list[float]], own: int, count: int) -> list[int]:
    others = [i for i in range(len(vectors)) if i != own]
    return sorted(others, key=lambda i: -cosine(vectors[own], vectors[i]))[:count]


def by_hand(embedded: EmbeddedBatch, count: int, margin: float) -> float:
    maps = embedded.responses.flatten(2).tolist()
    scores = [[masked(m, [sigmoid((x - 0.65) / 0.03) for x in m]) for m in row] for row in maps]
    sounds = embedded.sounds.tolist()
    looks = [[mean(c) for c in grid] for grid in embedded.grids.flatten(2).tolist()]
    first, losses = embedded.first, []
    for i, row in enumerate(scores):
        heard, seen = nearest(sounds, first + i, count), nearest(looks, i, count)
        positives = [row[first + i]]
        positives += [row[j] for j in heard]
        positives += [scores[frame][first + i] for frame in seen]
        left = {first + i, *heard, *(first + frame for frame in seen)}
        negatives = [score for j, score in enumerate(row) if j not in left]
        own = maps[i][first + i]
        negatives.append(masked(own, [1 - sigmoid((x - 0.40) / 0.03) for x in own]))
        terms = [
            cross_entropy_by_hand([(p - margin) / 0.07, *(n / 0.07 for n in negatives)], 0)
            for p in positives
        ]
        losses.append(mean(terms))
    return mean(losses)


@pytest.mark.parametrize("margin", [0.0, -0.2, 0.2])
@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize(("sounds", "first"), [(5, 0), (9, 3)])
def test_hard_positives_are_their_definition(
    margin: float, count: int, sounds: int, first: int
) -> None:
    embedded = made(sounds=sounds, first=first)
    contrast = HardPositiveContrast(neighbours=count, margin=margin)
    assert contrast(embedded).item() == pytest.approx(by_hand(embedded, count, margin), rel=1e-9)


@pytest.mark.parametrize("margin", [0.0, -0.2])
def test_without_neighbours_it_is_the_trimap_contrast(margin: float) -> None:
    embedded = made(sounds=9, first=3)
    plain = TrimapContrast(margin=margin)(embedded.responses, embedded.first)
    found = HardPositiveContrast(neighbours=0, margin=margin)(embedded)
    assert found.item() == pytest.approx(plain.item(), rel=1e-12)


def test_clips_that_sound_and_look_alike_find_each_other() -> None:
    embedded = made(frames=6, sounds=6)
    grids, sounds = embedded.grids.detach().clone(), embedded.sounds.detach().clone()
    grids[1::2], sounds[1::2] = 3 * grids[::2], 2 * sounds[::2]
    embedded.grids, embedded.sounds = grids, sounds
    heard, seen = HardPositiveContrast().find_neighbours(embedded)
    assert heard.flatten().tolist() == seen.flatten().tolist() == [1, 0, 3, 2, 5, 4]


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("count", [0, 1, 3, 20])
def test_neighbours_are_those_of_loops_and_equal_ones_the_first(
    count: int, kind: torch.dtype
) -> None:
    torch.manual_seed(1)
    few = torch.randint(-1, 2, (30, 3)).to(kind)  # equal directions many times, zeros too
    found = nearest_neighbours(few[9:17], few, start=9, count=count)
    vectors = few.tolist()
    wanted = []
    for own in range(9, 17):
        cosines = [cosine(vectors[own], other) for other in vectors]
        others = [i for i in range(30) if i != own]
        wanted.append(sorted(others, key=lambda i, c=cosines: (-round(c[i], 5), i))[:count])
    assert found.tolist() == wanted


def test_embeddings_that_are_nan_give_a_loss_that_is_nan() -> None:
    embedded = made()
    embedded.sounds = embedded.sounds.detach().clone()
    embedded.sounds[1] = torch.nan
    embedded.responses = embedded.responses.detach().clone()
    embedded.responses[:, 1] = torch.nan
    assert HardPositiveContrast()(embedded).isnan()


def test_where_all_is_alike_every_candidate_counts_the_same() -> None:
    """Left of 4 clips: at least one negative sound and the background, at most two and it."""
    loss = HardPositiveContrast(neighbours=1)(same(4)).item()
    assert math.log(1 + 2) - 1e-9 <= loss <= math.log(1 + 3) + 1e-9


def test_more_neighbours_than_clips_are_all_of_them() -> None:
    embedded = made()
    everyone, more = HardPositiveContrast(neighbours=4), HardPositiveContrast(neighbours=40)
    assert more(embedded).item() == everyone(embedded).item()
    assert gradients_are_finite(more, embedded)


def test_the_order_of_clips_does_not_matter() -> None:
    embedded = made()
    moved = shuffled(embedded, [3, 0, 4, 1, 2])
    contrast = HardPositiveContrast()
    assert contrast(moved).item() == pytest.approx(contrast(embedded).item(), rel=1e-12)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_loss_falls_with_the_margin(count: int) -> None:
    def make(margin: float) -> HardPositiveContrast:
        return HardPositiveContrast(margin=margin, neighbours=count)

    assert falls_with_the_margin(make, made(sounds=8, first=1))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_gradients_stay_finite(hostile: Callable[[], EmbeddedBatch]) -> None:
    assert gradients_are_finite(HardPositiveContrast(margin=-0.2), hostile())


def test_gradients_stay_finite_at_the_start_of_training() -> None:
    """Cosines near 0: every foreground weight is near 4e-10."""
    embedded = made()
    start = (0.01 * torch.randn(5, 5, 3, 2)).requires_grad_()
    embedded.responses = start
    (gradient,) = torch.autograd.grad(HardPositiveContrast()(embedded), start)
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


@pytest.mark.parametrize("wrong", [{"temperature": 0.0}, {"softness": 0.0}, {"neighbours": -1}])
def test_wrong_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(HearsightError, match=rf"contrast\.{next(iter(wrong))}"):
        HardPositiveContrast(**wrong)  # type: ignore[arg-type]
