"""Nearest neighbours: the definition as loops, ties, exclusions, blocks that change nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hearsight.model.nearest import NO_NEIGHBOUR, SPARE, nearest_other, rank, unit


def vectors(count: int, channels: int = 16, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return unit(torch.randn(count, channels, generator=generator))


def by_loops(
    queries: Tensor,
    gallery: Tensor,
    k: int,
    exclude: Tensor | None = None,
    groups: tuple[Tensor, Tensor] | None = None,
) -> list[list[int]]:
    """Every score in double precision, sorted as Python sorts: by falling score, then by index."""
    found = []
    for q, query in enumerate(queries.double()):
        scored = []
        for n, other in enumerate(gallery.double()):
            own = exclude is not None and int(exclude[q]) == n
            same = groups is not None and groups[0][q] == groups[1][n]
            if not own and not same:
                scored.append((-round(float(query @ other), 11), n))
        nearest = [n for _, n in sorted(scored)[:k]]
        found.append(nearest + [NO_NEIGHBOUR] * (k - len(nearest)))
    return found


def test_the_definition_as_loops() -> None:
    queries, gallery = vectors(7), vectors(90, seed=1)
    scores, indices = rank(queries, gallery, 10)
    assert indices.tolist() == by_loops(queries, gallery, 10)
    whole = queries @ gallery.T
    torch.testing.assert_close(scores, whole.gather(1, indices))
    assert (scores.diff(dim=1) <= 0).all()


def test_oneself_and_ones_own_group_are_not_found() -> None:
    points = vectors(60)
    own = torch.arange(60)
    _, indices = rank(points, points, 5, exclude=own)
    assert indices.tolist() == by_loops(points, points, 5, exclude=own)
    groups = own % 9
    _, indices = rank(points, points, 5, groups_of_queries=groups, groups_of_gallery=groups)
    assert indices.tolist() == by_loops(points, points, 5, groups=(groups, groups))
    assert not (groups[indices] == groups[:, None]).any()
    _, indices = rank(
        points, points, 5, allow=own, groups_of_queries=groups, groups_of_gallery=groups
    )
    assert torch.equal(indices[:, 0], own)  # of its group a point finds itself, and nobody else
    assert not (groups[indices[:, 1:]] == groups[:, None]).any()
    some = torch.where(own % 2 == 0, own, NO_NEIGHBOUR)
    _, indices = rank(points, points, 1, exclude=some)
    assert (indices[1::2, 0] == own[1::2]).all()  # nobody is nearer than oneself
    assert (indices[::2, 0] != own[::2]).all()


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 9), st.integers(0, 70), st.integers(1, 12)),
    blocks=st.tuples(st.integers(1, 9), st.integers(1, 80)),
    kinds=st.integers(1, 8),
    seed=st.integers(0, 99),
)
def test_any_sizes_blocks_and_ties(
    sizes: tuple[int, int, int], blocks: tuple[int, int], kinds: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    models = vectors(kinds, 8, seed)
    queries = models[random.integers(0, kinds, sizes[0])]
    gallery = models[random.integers(0, kinds, sizes[1])]  # equal vectors: many ties
    groups = tuple(torch.from_numpy(random.integers(0, 4, size)) for size in sizes[:2])
    exclude = torch.from_numpy(random.integers(-1, max(1, sizes[1]), sizes[0]))
    _, indices = rank(
        queries,
        gallery,
        sizes[2],
        exclude=exclude,
        groups_of_queries=groups[0],
        groups_of_gallery=groups[1],
        rows=blocks[0],
        columns=blocks[1],
    )
    assert indices.tolist() == by_loops(queries, gallery, sizes[2], exclude, groups)


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(2, 40),
    rows=st.integers(1, 50),
    columns=st.integers(1, 50),
    exact=st.booleans(),
)
def test_the_nearest_other_is_the_definition_whatever_the_blocks(
    count: int, rows: int, columns: int, exact: bool
) -> None:
    points = vectors(count, 8).double()
    own = torch.arange(count)
    _, found = rank(points, points, 1, exclude=own, exact=exact, rows=rows, columns=columns)
    expected = by_loops(points, points, 1, exclude=own)
    assert found.tolist() == expected
    assert nearest_other(points).tolist() == [one for (one,) in expected]


def test_a_twin_is_found_and_never_the_vector_itself() -> None:
    points = vectors(10, 8)
    points[7] = points[2]
    found = nearest_other(points)
    assert found[2] == 7
    assert found[7] == 2
    assert all(found[i] != i for i in range(10))


def test_a_lone_vector_has_no_other() -> None:
    assert nearest_other(vectors(1)).tolist() == [NO_NEIGHBOUR]


def test_more_equals_than_candidates() -> None:
    gallery = vectors(3)[torch.arange(400) % 3]
    scores, indices = rank(vectors(3), gallery, SPARE)
    for query in range(3):
        assert indices[query].tolist() == list(range(query, 3 * SPARE, 3))
    torch.testing.assert_close(scores, torch.ones_like(scores))
    silent = torch.zeros(5, 16)
    assert rank(silent, gallery, 4)[1].tolist() == [[0, 1, 2, 3]] * 5


def test_what_single_precision_cannot_tell_apart() -> None:
    """Scores that differ by less than the rounding of the fast product."""
    query = vectors(1, 512)
    other = vectors(1, 512, seed=1)
    steps = torch.linspace(0, 3e-6, 300)[torch.randperm(300, generator=torch.Generator())]
    gallery = query + steps[:, None] * other
    _, indices = rank(query, gallery, 10)
    exact = gallery.double() @ query[0].double()
    assert indices[0].tolist() == exact.argsort(descending=True, stable=True)[:10].tolist()


def test_fewer_than_wanted() -> None:
    scores, indices = rank(vectors(2), vectors(3), 5, exclude=torch.tensor([0, NO_NEIGHBOUR]))
    assert (indices >= 0).sum(1).tolist() == [2, 3]
    assert torch.equal(indices == NO_NEIGHBOUR, scores == -torch.inf)
    scores, indices = rank(vectors(2), vectors(0), 3)
    assert (indices == NO_NEIGHBOUR).all()
    assert rank(vectors(0), vectors(4), 3)[0].shape == (0, 3)


def test_blocks_change_nothing() -> None:
    queries, gallery = vectors(50), vectors(333, seed=2)
    wanted = rank(queries, gallery, 10)
    for rows, columns in ((13, 20), (7, 32), (50, 100), (64, 333)):
        found = rank(queries, gallery, 10, rows=rows, columns=columns)
        assert torch.equal(wanted[0], found[0])
        assert torch.equal(wanted[1], found[1])


def test_half_precision_is_ranked_as_single() -> None:
    queries, gallery = vectors(4).bfloat16(), vectors(50, seed=1).bfloat16()
    scores, indices = rank(queries, gallery, 3)
    assert scores.dtype == torch.float32
    assert torch.equal(indices, rank(queries.float(), gallery.float(), 3)[1])


def test_several_heads_give_the_mean_of_their_cosines() -> None:
    one, other = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
    both = torch.cat([one, 3 * other], dim=1)
    product = unit(both, 2) @ unit(both, 2).T
    torch.testing.assert_close(product, (unit(one) @ unit(one).T + unit(other) @ unit(other).T) / 2)
    torch.testing.assert_close(product.diagonal(), torch.ones(6))
    assert not unit(torch.zeros(1, 4), 2).any()


def test_what_cannot_be_ranked() -> None:
    with pytest.raises(ValueError, match="k is 0"):
        rank(vectors(1), vectors(2), 0)
    with pytest.raises(ValueError, match="both sides"):
        rank(vectors(1), vectors(2), 1, groups_of_queries=torch.zeros(1, dtype=torch.int64))
    with pytest.raises(ValueError, match="finite"):
        rank(vectors(1), torch.full((2, 16), torch.nan), 1)
