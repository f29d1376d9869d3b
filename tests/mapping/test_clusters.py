"""Clusters and their bounds against brute force."""

import pytest
import torch
from tests.mapping.softmap_cases import curve_embeddings
from torch import Tensor

from pullback.mapping.clusters import LEAF, Clusters, compact_strips, leaf_order
from pullback.mapping.embeddings import homogeneous


def clustered(n2: int, n1: int, p: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Clusters]:
    query, reference = homogeneous(*(x.to(dtype) for x in curve_embeddings(n2, n1, p)))
    return query, reference, Clusters.of(reference)


def squares(query: Tensor, reference: Tensor) -> Tensor:
    return (
        torch.cdist(query[:, :-1].double(), reference[:, :-1].double(), compute_mode="donot_use_mm_for_euclid_dist")
        ** 2
    )


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 100, 1000, 4097])
def test_the_order_is_a_permutation_in_runs_of_at_most_a_leaf(n):
    order, count = leaf_order(curve_embeddings(n, 1, 5)[0])
    assert torch.equal(order.sort().values, torch.arange(n))
    assert int(count.sum()) == n and int(count.max()) <= LEAF


@pytest.mark.parametrize(
    "points", [torch.zeros(1000, 3), torch.arange(3.0).repeat(333)[:, None], torch.full((200, 2), torch.nan)]
)
def test_equal_points_and_nan_are_ordered_too(points):
    order, count = leaf_order(points)
    assert torch.equal(order.sort().values, torch.arange(len(points))) and int(count.max()) <= LEAF


def test_the_strips_of_a_curve_are_short_pieces_of_it_whatever_the_order_of_the_points():
    points = torch.linspace(0, 1, 2048, dtype=torch.float64)[
        torch.randperm(2048, generator=torch.Generator().manual_seed(0)), None
    ]
    assert all(float(points[rows].max() - points[rows].min()) < 1.1 * LEAF / 2048 for rows in compact_strips(points))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("p", [5, 80])
@pytest.mark.parametrize("margin", [0.0, 0.05])
def test_no_column_that_matters_is_missing(p, dtype, margin):
    query, reference, clusters = clustered(700, 2000, p, dtype)
    shares = []
    for rows in compact_strips(query[:, :-1]):
        found = clusters.candidates(query[rows], margin=margin)
        dist = squares(query[rows], reference)
        needed = (dist <= dist.amin(dim=1, keepdim=True) + margin).any(dim=0).nonzero()[:, 0]
        assert found is not None and len(found.unique()) == len(found)
        assert set(needed.tolist()) <= set(found.tolist())
        shares.append(len(found) / len(reference))
    assert sum(shares) / len(shares) < 0.3


def test_rows_far_from_each_other_are_served_too():
    query, reference, clusters = clustered(40, 2000, 5)
    query[7, :-1] += 100
    found = clusters.candidates(query)
    assert found is None or set(squares(query, reference).argmin(dim=1).tolist()) <= set(found.tolist())


def test_points_without_structure_rule_nothing_out():
    generator = torch.Generator().manual_seed(0)
    query, reference = homogeneous(*(torch.randn(n, 90, generator=generator) for n in (64, 1500)))
    assert Clusters.of(reference).candidates(query) is None


def test_a_nan_rules_nothing_out():
    query, _, clusters = clustered(40, 2000, 5)
    query[3, 1] = torch.nan
    assert clusters.candidates(query) is None


def test_columns_beyond_a_distance_are_all_there():
    query, reference, clusters = clustered(600, 3000, 5)
    query = query[squares(query, reference).amax(dim=1).argmax()][None]
    distance = 0.99 * squares(query, reference).max().sqrt()
    needed = (squares(query, reference).sqrt() >= distance).any(dim=0).nonzero()[:, 0]
    found = clusters.beyond(query[:, :-1], distance)
    assert found is not None and len(needed) > 0 and set(needed.tolist()) <= set(found.tolist())
