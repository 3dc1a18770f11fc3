"""SLAVC's objective against its definition, written out as loops."""

import math
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

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
    softmax_by_hand,
)
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.objectives.embedded_batch import EmbeddedBatch
from hearsight.objectives.momentum_contrast import MomentumContrast


def logits_by_hand(grids: Tensor, sounds: Tensor) -> list[list[float]]:
    """The log of the sum over places of p1 p2, for each frame and sound."""
    half = grids.shape[1] // 2
    heads = []
    for part in (slice(0, half), slice(half, None)):
        cells = grids[:, part].flatten(2).transpose(1, 2).tolist()
        vectors = sounds[:, part].tolist()
        heads.append([[[cosine(c, v) / 0.03 for c in frame] for v in vectors] for frame in cells])
    found = []
    for correspondence, localisation in zip(*heads, strict=True):
        which = [softmax_by_hand(place) for place in zip(*correspondence, strict=True)]
        where = [softmax_by_hand(places) for places in localisation]
        found.append(
            [
                math.log(sum(which[place][sound] * p for place, p in enumerate(places)))
                for sound, places in enumerate(where)
            ]
        )
    return found


def by_hand(embedded: EmbeddedBatch, margin: float) -> float:
    assert embedded.ema_grids is not None
    assert embedded.ema_sounds is not None
    loss = 0.0
    for grids, sounds in (
        (embedded.grids, embedded.ema_sounds),
        (embedded.ema_grids, embedded.sounds),
    ):
        rows = logits_by_hand(grids, sounds)
        for i, row in enumerate(rows):
            row[embedded.first + i] -= margin / 0.03
        loss += mean([cross_entropy_by_hand(r, embedded.first + i) for i, r in enumerate(rows)])
    return loss


@pytest.mark.parametrize("margin", [0.0, -0.2, 0.2])
@pytest.mark.parametrize(("sounds", "first"), [(5, 0), (9, 3)])
def test_momentum_contrast_is_its_definition(margin: float, sounds: int, first: int) -> None:
    embedded = made(sounds=sounds, first=first, heads=2)
    contrast = MomentumContrast(margin=margin)
    assert contrast(embedded).item() == pytest.approx(by_hand(embedded, margin), rel=1e-9)


def test_logits_are_log_probabilities() -> None:
    embedded = made(heads=2)
    logits = MomentumContrast().logits(embedded.grids, embedded.sounds)
    assert (logits < 0).all()
    nowhere_special = embedded.grids.detach().clone()
    nowhere_special[:, 6:] = 1.0  # the second head sees no place stand out
    shares = MomentumContrast().logits(nowhere_special, embedded.sounds).exp()
    torch.testing.assert_close(shares.sum(1), torch.ones(5, dtype=torch.float64))


def test_where_all_is_alike_the_loss_is_the_log_of_the_count() -> None:
    assert MomentumContrast()(same(4, heads=2)).item() == pytest.approx(2 * math.log(4), rel=1e-9)


def test_the_order_of_clips_does_not_matter() -> None:
    embedded = made(heads=2)
    moved = shuffled(embedded, [3, 0, 4, 1, 2], heads=2)
    contrast = MomentumContrast()
    assert contrast(moved).item() == pytest.approx(contrast(embedded).item(), rel=1e-12)


def test_the_heads_are_not_exchangeable() -> None:
    embedded = made(heads=2)
    assert embedded.ema_grids is not None
    assert embedded.ema_sounds is not None
    swap = torch.arange(12).roll(6)
    turned = replace(
        embedded,
        grids=embedded.grids[:, swap],
        sounds=embedded.sounds[:, swap],
        ema_grids=embedded.ema_grids[:, swap],
        ema_sounds=embedded.ema_sounds[:, swap],
    )
    assert abs(MomentumContrast()(turned) - MomentumContrast()(embedded)) > 1e-3


def test_the_loss_falls_with_the_margin() -> None:
    assert falls_with_the_margin(MomentumContrast, made(heads=2))


@pytest.mark.parametrize("hostile", HOSTILE)
def test_gradients_stay_finite(hostile: Callable[..., EmbeddedBatch]) -> None:
    assert gradients_are_finite(MomentumContrast(margin=-0.2), hostile(heads=2))


def test_small_probabilities_do_not_vanish() -> None:
    """At this temperature a product of probabilities underflows in single precision."""
    embedded = made(heads=2)
    grids, sounds = embedded.grids.float().detach(), embedded.sounds.float().detach()
    cold = MomentumContrast(temperature=0.005)
    assert cold.logits(grids, sounds).isfinite().all()
    assert cold.logits(grids, sounds).min() < -100


def test_an_encoder_without_momentum_encoder_or_second_head_is_refused() -> None:
    embedded = made(heads=2)
    with pytest.raises(HearsightError, match=r"encoder\.ema"):
        MomentumContrast()(replace(embedded, ema_sounds=None, ema_grids=None))
    with pytest.raises(HearsightError, match=r"encoder\.heads=2"):
        MomentumContrast()(replace(embedded, networks=SimpleNamespace(heads=1)))
    with pytest.raises(HearsightError, match=r"contrast\.temperature"):
        MomentumContrast(temperature=0.0)
