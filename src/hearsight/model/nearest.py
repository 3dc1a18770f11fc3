"""Exact nearest neighbours: the k highest cosines per query, in blocks, ties broken by index.

Letters: `q` queries, `n` vectors of the gallery, `c` channels, `k` neighbours.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor
from torch.nn.functional import normalize

NO_NEIGHBOUR = -1  # the index where fewer than k neighbours are left
SPARE = 6  # candidates beyond k whose exact scores are computed
FOLD = 64  # scores of which only the highest takes part in the first selection
GRID = 2.0**40  # exact scores are rounded to its inverse, so that ties are ties on every machine


def unit(vectors: Float[Tensor, "n c"], heads: int = 1) -> Float[Tensor, "n c"]:
    """Vectors scaled so that their dot product is the cosine, or the mean cosine of several heads.

    heads: into how many equal parts the channels are split. A vector of zeros stays zero.
    """
    parts = vectors.reshape(len(vectors), heads, vectors.shape[1] // heads)
    whole: Tensor = normalize(parts, dim=2).flatten(1)
    return whole if heads == 1 else whole / heads**0.5


@dataclass(frozen=True, slots=True)
class _ExcludedPairs:
    """Excluded pairs: a query, by its row in a block, and a vector of the gallery."""

    rows: Int64[Tensor, " pairs"]
    columns: Int64[Tensor, " pairs"]

    def mask(self, scores: Float[Tensor, "rows columns"], left: int) -> None:
        """Set the scores of excluded pairs to -inf, in a block of the gallery from `left` on."""
        inside = (self.columns >= left) & (self.columns < left + scores.shape[1])
        scores[self.rows[inside], self.columns[inside] - left] = -torch.inf

    def of(self, chosen: Int64[Tensor, " some"], rows: int) -> "_ExcludedPairs":
        """The pairs of the chosen rows alone; rows are numbered in the order chosen."""
        places = torch.full((rows,), NO_NEIGHBOUR, device=chosen.device)
        places[chosen] = torch.arange(len(chosen), device=chosen.device)
        kept = places[self.rows] >= 0
        return _ExcludedPairs(places[self.rows][kept], self.columns[kept])


@dataclass(frozen=True, slots=True)
class _Exclusions:
    """What each query must not find, without a list of all such pairs; see `rank`."""

    own: Int64[Tensor, " q"] | None
    allowed: Int64[Tensor, " q"] | None
    groups: Int64[Tensor, " q"] | None
    sorted_groups: Int64[Tensor, " n"] | None  # of the gallery
    order: Int64[Tensor, " n"] | None  # their indices in the gallery

    def pairs(self, block: slice, device: torch.device) -> _ExcludedPairs:
        """The excluded pairs of a block of queries."""
        rows = [torch.zeros(0, dtype=torch.int64, device=device)]
        columns = list(rows)
        if self.own is not None:
            rows.append((self.own[block] >= 0).nonzero()[:, 0])
            columns.append(self.own[block][rows[-1]])
        if self.groups is not None and self.sorted_groups is not None and self.order is not None:
            wanted = self.groups[block].contiguous()
            first = torch.searchsorted(self.sorted_groups, wanted)
            counts = torch.searchsorted(self.sorted_groups, wanted, right=True) - first
            row = torch.arange(len(wanted), device=device).repeat_interleave(counts)
            before = counts.cumsum(0) - counts
            place = torch.arange(len(row), device=device) - before[row] + first[row]
            column = self.order[place]
            if self.allowed is not None:
                others = column != self.allowed[block][row]
                row, column = row[others], column[others]
            rows.append(row)
            columns.append(column)
        return _ExcludedPairs(torch.cat(rows), torch.cat(columns))


@torch.no_grad()
def rank(
    queries: Float[Tensor, "q c"],
    gallery: Float[Tensor, "n c"],
    k: int,
    *,
    exclude: Int64[Tensor, " q"] | None = None,
    allow: Int64[Tensor, " q"] | None = None,
    groups_of_queries: Int64[Tensor, " q"] | None = None,
    groups_of_gallery: Int64[Tensor, " n"] | None = None,
    exact: bool = True,
    rows: int = 512,
    columns: int = 10_240,
) -> tuple[Float[Tensor, "q k"], Int64[Tensor, "q k"]]:
    """For each query the k vectors of the gallery with the highest dot product, best first.

    Of equal scores the lower index comes first. A fast product selects `k` + `SPARE` candidates,
    whose scores are then computed in double precision; a query for which the rounding of the fast
    product could hide one more candidate is compared with the whole gallery in double precision.
    So results depend neither on the blocks nor on the machine or device. Memory stays at
    `rows` x `columns` scores. `unit` makes vectors whose dot product is the cosine.

    Args:
        queries: finite; half precision is computed as single precision.
        gallery: on the same device.
        k: neighbours wanted.
        exclude: per query the index of a vector it must not find (such as itself), or -1.
        allow: per query the index of a vector it may find in spite of its group, or -1.
        groups_of_queries: a number per query; vectors with the same number are excluded.
        groups_of_gallery: the numbers of the gallery.
        exact: whether the second step is taken; without it the scores of the fast product stand,
            and those that differ by rounding alone may fall either way.
        rows: queries compared at once.
        columns: vectors of the gallery compared at once.

    Returns:
        Scores and indices; -inf and -1 where fewer than k are left.

    Raises:
        ValueError: `k` below 1, groups of one side alone, or vectors that are not finite.
    """
    if k < 1 or (groups_of_queries is None) != (groups_of_gallery is None):
        raise ValueError(f"k is {k}; groups are given for both sides or for none")
    dtype = torch.promote_types(queries.dtype, torch.float32)
    queries, gallery = queries.to(dtype), gallery.to(dtype)
    lengths = queries.norm(dim=1), gallery.norm(dim=1)
    if not all(each.isfinite().all() for each in lengths):
        raise ValueError("only finite vectors can be ranked")
    groups = None if groups_of_gallery is None else groups_of_gallery.sort(stable=True)
    exclusions = _Exclusions(exclude, allow, groups_of_queries, *(groups or (None, None)))
    longest = lengths[1].max() if len(gallery) else 0.0
    slack = lengths[0] * longest * (queries.shape[1] * torch.finfo(dtype).eps)
    board = queries.new_empty(min(rows, len(queries)) * (min(columns, len(gallery)) + FOLD))
    scores = queries.new_full((len(queries), k), -torch.inf)
    indices = torch.full_like(scores, NO_NEIGHBOUR, dtype=torch.int64)
    for top in range(0, len(queries) if len(gallery) else 0, rows):
        block = slice(top, top + rows)
        excluded = exclusions.pairs(block, queries.device)
        rough, found = _candidates(queries[block], gallery, k + SPARE, excluded, columns, board)
        if not exact:
            rough, found = _ordered(rough, found)
            scores[block], indices[block] = rough[:, :k], found[:, :k]
            continue
        close = (rough >= rough[:, k - 1 : k] - slack[block, None]) & (found != NO_NEIGHBOUR)
        found = found[:, : max(k, int(close.sum(1).max()))]  # what rounding may have misplaced
        precise, found = _ordered(_products(queries[block], gallery, found), found)
        scores[block], indices[block] = precise[:, :k].to(dtype), found[:, :k]
        again = close[:, -1].nonzero()[:, 0]
        if len(again):
            few = excluded.of(again, len(found))
            precise, found = _rank_precisely(queries[block][again], gallery, k, few, columns)
            scores[again + top], indices[again + top] = precise.to(dtype), found
    return scores, indices


def nearest_other(vectors: Float[Tensor, "n c"]) -> Int64[Tensor, " n"]:
    """For each vector the index of the other one with the highest dot product; -1 for a lone one.

    As precise as the vectors are: scores that differ by rounding alone may fall either way.
    Memory stays at 2,048 x 16,384 scores.
    """
    itself = torch.arange(len(vectors), device=vectors.device)
    _, found = rank(vectors, vectors, 1, exclude=itself, exact=False, rows=2048, columns=16_384)
    return found[:, 0]


def _candidates(
    queries: Float[Tensor, "rows c"],
    gallery: Float[Tensor, "n c"],
    count: int,
    excluded: _ExcludedPairs,
    columns: int,
    board: Float[Tensor, " room"],
) -> tuple[Float[Tensor, "rows count"], Int64[Tensor, "rows count"]]:
    """The `count` highest scores of the fast product, in falling order.

    Scores are folded: the `count` highest lie in the `count` folds with the highest peaks, so
    only the peaks and these folds are sorted.
    """
    best = queries.new_full((len(queries), count), -torch.inf)
    found = torch.full_like(best, NO_NEIGHBOUR, dtype=torch.int64)
    for left in range(0, len(gallery), columns):
        part = gallery[left : left + columns]
        folds = -(-len(part) // FOLD)
        scores = board[: len(queries) * folds * FOLD].view(len(queries), folds * FOLD)
        scores[:, len(part) :] = -torch.inf
        torch.matmul(queries, part.T, out=scores[:, : len(part)])
        excluded.mask(scores, left)
        peaks = scores.view(len(queries), FOLD, folds).amax(1)
        highest = peaks.topk(min(count, folds), dim=1, sorted=False).indices
        steps = folds * torch.arange(FOLD, device=scores.device)
        places = (highest[:, None] + steps[:, None]).flatten(1)
        values = torch.cat([best, scores.gather(1, places)], dim=1)
        best, order = values.topk(count, dim=1)
        new = places.gather(1, (order - count).clamp(min=0)) + left
        found = torch.where(order < count, found.gather(1, order.clamp(max=count - 1)), new)
        found[best == -torch.inf] = NO_NEIGHBOUR
    return best, found


def _products(
    queries: Float[Tensor, "rows c"],
    gallery: Float[Tensor, "n c"],
    found: Int64[Tensor, "rows count"],
) -> Float64[Tensor, "rows count"]:
    """The dot products of each query with its candidates, in double precision."""
    near = gallery[found.clamp(min=0)].double()
    products = _rounded((near @ queries.double()[..., None])[..., 0])
    return products.masked_fill(found == NO_NEIGHBOUR, -torch.inf)


def _ordered(
    scores: Float[Tensor, "rows count"], found: Int64[Tensor, "rows count"]
) -> tuple[Float[Tensor, "rows count"], Int64[Tensor, "rows count"]]:
    """Candidates by falling score, ties by rising index."""
    found, order = found.sort(dim=1)
    scores, order = scores.gather(1, order).sort(stable=True, dim=1, descending=True)
    return scores, found.gather(1, order)


def _rank_precisely(
    queries: Float[Tensor, "rows c"],
    gallery: Float[Tensor, "n c"],
    k: int,
    excluded: _ExcludedPairs,
    columns: int,
) -> tuple[Float64[Tensor, "rows k"], Int64[Tensor, "rows k"]]:
    """The k highest scores with all products in double precision."""
    queries = queries.double()
    best = queries.new_full((len(queries), k), -torch.inf)
    found = torch.full_like(best, NO_NEIGHBOUR, dtype=torch.int64)
    step = max(1, columns // 8)  # doubles, their order and copies of both: as much memory in all
    for left in range(0, len(gallery), step):
        scores = _rounded(queries @ gallery[left : left + step].double().T)
        excluded.mask(scores, left)
        places = torch.arange(left, left + scores.shape[1], device=scores.device)
        scores, order = torch.cat([best, scores], dim=1).sort(stable=True, dim=1, descending=True)
        places = torch.cat([found, places.expand(len(found), -1)], dim=1)
        best, found = scores[:, :k], places.gather(1, order[:, :k])
    return best, found.masked_fill(best == -torch.inf, NO_NEIGHBOUR)


def _rounded(scores: Float64[Tensor, "*any"]) -> Float64[Tensor, "*any"]:
    return (scores * GRID).round_().div_(GRID)
