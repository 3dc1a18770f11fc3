"""DMC's and CoarseToFine's objectives against their definitions, written out as loops."""

import math
from typing import Any

import pytest
import torch
from made_embedded import cosine, mean, unit
from made_views import embedded, finite, flat, halves, view
from torch import Tensor

from hearsight.errors import HearsightError
from hearsight.objectives import clustering
from hearsight.objectives.clustering import ClusterContrast, PseudoLabelContrast, soft_kmeans
from hearsight.objectives.embedded_batch import EmbeddedBatch

Vector = list[float]


def weighted(vectors: list[Vector], weights: list[float]) -> Vector:
    return [
        sum(w * v[c] for w, v in zip(weights, vectors, strict=True)) / sum(weights)
        for c in range(len(vectors[0]))
    ]


def centres_by_hand(
    points: list[Vector], count: int, rounds: int, sharpness: float
) -> list[Vector]:
    centres = [points[len(points) // count * k] for k in range(count)]
    for _ in range(rounds):
        shares = []
        for point in points:
            near = [-sharpness * math.dist(point, centre) for centre in centres]
            weights = [math.exp(x - max(near)) for x in near]
            shares.append([w / sum(weights) for w in weights])
        centres = [weighted(points, [s[k] for s in shares]) for k in range(count)]
    return centres


# Clustering


@pytest.mark.parametrize("count", [1, 2, 3])
def test_centres_are_their_definition(count: int) -> None:
    torch.manual_seed(0)
    points = torch.randn(3, 8, 4).double()
    found = soft_kmeans(points, count, rounds=4, sharpness=3.0)
    for row, centres in zip(points.tolist(), found, strict=True):
        by_hand = torch.tensor(centres_by_hand(row, count, 4, 3.0), dtype=torch.float64)
        torch.testing.assert_close(centres, by_hand, rtol=1e-9, atol=1e-12)


def test_two_heaps_are_found_and_one_cluster_is_the_mean() -> None:
    torch.manual_seed(0)
    heaps = torch.cat([torch.randn(6, 2) / 20, torch.tensor([4.0, 4.0]) + torch.randn(6, 2) / 20])
    points = heaps[torch.randperm(12)][None]
    found = soft_kmeans(points, 2, rounds=10, sharpness=30.0)[0]
    distances = torch.cdist(found, torch.tensor([[0.0, 0.0], [4.0, 4.0]]))
    assert distances.amin(0).max() < 0.1
    torch.testing.assert_close(
        soft_kmeans(points, 1, rounds=1, sharpness=30.0)[0, 0], points[0].mean(0)
    )


def test_a_cluster_without_points_stays_finite() -> None:
    """Far from all points a share is 0 in single precision; its mean would be 0 / 0."""
    points = torch.tensor([[0.0], [0.0], [9.0], [1e4], [9.0], [0.0]])[None].requires_grad_()
    found = soft_kmeans(points, 3, rounds=10, sharpness=1000.0)
    assert found.isfinite().all()
    assert torch.autograd.grad(found.sum(), points)[0].isfinite().all()


def test_more_clusters_than_points_are_refused() -> None:
    with pytest.raises(HearsightError, match=r"contrast\.clusters is 7, but there are 6"):
        ClusterContrast(clusters=7)(view())


# DMC


@pytest.mark.parametrize("distance", [5.0, 1.0])
@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("others", ["next", "all"])
def test_cluster_contrast_is_its_definition(distance: float, count: int, others: Any) -> None:
    seen = view(first=5)
    contrast = ClusterContrast(clusters=count, distance=distance, sharpness=3.0, others=others)
    sounds, losses = seen.sounds.tolist(), []
    for frame, grid in enumerate(seen.grids.flatten(2).transpose(1, 2).tolist()):
        centres = centres_by_hand(grid, count, 4, 3.0)
        near = [min(math.dist(centre, sound) for centre in centres) for sound in sounds]
        place = 5 + frame
        wrong = [(place + 1) % 9] if others == "next" else [k for k in range(9) if k != place]
        hinges = [max(0.0, distance - near[k]) ** 2 for k in wrong]
        losses.append(0.5 * (near[place] ** 2 + mean(hinges)) / 2)
    assert contrast(seen).item() == pytest.approx(mean(losses), rel=1e-9)


def test_a_frame_with_its_sound_somewhere_and_others_far_costs_nothing() -> None:
    sounds = 10 * torch.eye(3, 5)
    grids = torch.zeros(3, 5, 2, 3)
    grids[:, 4] = -10.0
    grids[..., 0, :2] = sounds[:, :, None]
    assert ClusterContrast()(embedded(grids, sounds)) < 1e-6
    assert ClusterContrast()(embedded(grids, sounds.roll(1, 0))) > 20


def test_identical_clips_cost_the_hinge() -> None:
    assert ClusterContrast()(flat()).item() == pytest.approx(25 / 4)


def test_a_shorter_distance_costs_less() -> None:
    losses = [ClusterContrast(distance=d)(view()).item() for d in (6.0, 5.0, 4.0)]
    assert losses[0] > losses[1] > losses[2]


# CoarseToFine


def labels_by_hand(seen: EmbeddedBatch, count: int, sharpness: float) -> list[int]:
    joined = []
    for grid, sound in zip(
        seen.grids.flatten(2).transpose(1, 2).tolist(), seen.sounds.tolist(), strict=True
    ):
        middle = weighted(grid, [1.0] * len(grid))
        joined.append([*unit(middle), *unit(sound)])
    centres = centres_by_hand(joined, count, 10, sharpness)
    return [min(range(count), key=lambda k: math.dist(clip, centres[k])) for clip in joined]


def pseudo_by_hand(
    seen: EmbeddedBatch, labels: list[int], coarse: float, temperature: float
) -> float:
    sounds, losses = seen.sounds.tolist(), []
    for frame, grid in enumerate(seen.grids.flatten(2).transpose(1, 2).tolist()):
        middle = weighted(grid, [1.0] * len(grid))
        pulls: dict[str, list[float]] = {"fine": [], "coarse": []}
        pushes: dict[str, list[float]] = {"fine": [], "coarse": []}
        for sound, vector in enumerate(sounds):
            drawn = [math.exp(cosine(place, vector) / temperature) for place in grid]
            scores = {
                "fine": cosine(weighted(grid, drawn), vector),
                "coarse": cosine(middle, vector),
            }
            for kind, score in scores.items():
                square = 2 - 2 * score
                if labels[sound] != labels[frame]:
                    pushes[kind].append(max(0.0, 1.4 - math.sqrt(square)) ** 2)
                elif kind == "coarse" or sound == frame:
                    pulls[kind].append(square)
        for kind, weight in (("fine", 1.0), ("coarse", coarse)):
            pull, push = pulls[kind], pushes[kind]
            losses.append(weight * (sum(pull) / len(pull) + sum(push) / max(1, len(push))))
    return sum(losses) / len(seen.grids)


@pytest.mark.parametrize("count", [1, 3, 7])
@pytest.mark.parametrize("coarse", [0.0, 0.5])
def test_pseudo_label_contrast_is_its_definition(count: int, coarse: float) -> None:
    seen = view(frames=8, sounds=8, first=0)
    contrast = PseudoLabelContrast(clusters=count, coarse=coarse, sharpness=9.0)
    labels = labels_by_hand(seen, count, 9.0)
    assert contrast.pseudo_labels(seen.grids.mean((2, 3)), seen.sounds).tolist() == labels
    by_hand = pseudo_by_hand(seen, labels, coarse, 0.1)
    assert contrast(seen).item() == pytest.approx(by_hand, rel=1e-9)


def test_clips_of_one_kind_share_a_pseudo_label() -> None:
    torch.manual_seed(0)
    kinds = torch.tensor([0, 1, 2, 1, 0, 2, 2, 1, 0, 0, 1, 2])
    vectors = torch.eye(3, 5)[kinds] + torch.randn(12, 5) / 20
    labels = PseudoLabelContrast(clusters=3).pseudo_labels(vectors, vectors)
    assert torch.equal(labels[:, None] == labels[None], kinds[:, None] == kinds[None])


OBJECTIVES = {
    "next": ClusterContrast(),
    "all": ClusterContrast(others="all"),
    "pseudo": PseudoLabelContrast(clusters=3),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_two_processes_have_the_loss_and_gradient_of_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = view(frames=8, sounds=8, first=0)
    contrast = OBJECTIVES[name]
    alone = contrast(whole)
    frames = whole.grids.mean((2, 3)).detach()
    monkeypatch.setattr(clustering, "gather", lambda _: frames.unflatten(0, (2, 4)))
    parts = torch.stack([contrast(half) for half in halves(whole)]).mean()
    torch.testing.assert_close(parts, alone, rtol=1e-12, atol=0)
    for one, other in zip(slopes(parts, whole), slopes(alone, whole), strict=True):
        torch.testing.assert_close(one, other)


def slopes(loss: Tensor, seen: EmbeddedBatch) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, (seen.grids, seen.sounds), retain_graph=True)


# Both


@pytest.mark.parametrize("contrast", [ClusterContrast(), PseudoLabelContrast()])
def test_hostile_clips_have_finite_gradients(
    contrast: ClusterContrast | PseudoLabelContrast,
) -> None:
    for value in (1.0, 0.0, -3.0):
        seen = flat(value=value)
        assert finite(contrast(seen), seen)
    torch.manual_seed(0)
    grids, sounds = torch.randn(3, 5, 2, 3), torch.randn(1, 5).repeat(3, 1)
    seen = embedded((100 * grids).requires_grad_(), sounds.requires_grad_())
    assert finite(contrast(seen), seen)
    half = flat()
    half.grids, half.sounds = half.grids.bfloat16(), half.sounds.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        assert contrast(half).dtype == torch.float32


def test_one_clip_alone() -> None:
    alone = view(frames=1, sounds=1, first=0)
    with pytest.raises(HearsightError, match="batch_size must be at least 2"):
        ClusterContrast()(alone)
    by_hand = pseudo_by_hand(alone, [0], 1.0, 0.1)
    assert PseudoLabelContrast()(alone).item() == pytest.approx(by_hand, rel=1e-9)


@pytest.mark.parametrize("kind", [ClusterContrast, PseudoLabelContrast])
@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"clusters": 0}, "clusters must be at least 1"),
        ({"rounds": -1}, "rounds 0 to 1,000"),
        ({"rounds": 1_001}, "rounds 0 to 1,000"),
        ({"sharpness": 0.0}, "must be positive"),
        ({"distance": 0.0}, "must be positive"),
    ],
)
def test_numbers_out_of_range_are_refused(
    kind: type[ClusterContrast] | type[PseudoLabelContrast], wrong: dict[str, float], says: str
) -> None:
    with pytest.raises(HearsightError, match=says):
        kind(**wrong)  # type: ignore[arg-type]
    with pytest.raises(HearsightError, match="coarse must not be negative"):
        PseudoLabelContrast(coarse=-1.0)
