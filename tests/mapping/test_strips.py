"""Soft maps, nearest neighbours and largest distances with candidates from clusters, against the dense answers."""

import pytest
import torch
from tests.mapping.softmap_cases import answer, curve_embeddings, dense64, one_percent
from torch import Tensor

from pullback.mapping import BlockedSoftMap, distances, embeddings, nearest, strips
from pullback.mapping.distances import largest_distance
from pullback.mapping.embeddings import homogeneous

SIZES = [(900, 1100, 7, 5), (1100, 900, 80, 4), (130, 2000, 66, 1)]


@pytest.fixture
def clusters_always(monkeypatch) -> list[Tensor | None]:
    """Small sets are treated as large ones; gives the list of candidates of all strips."""
    found = []
    original = strips.Clusters.candidates
    monkeypatch.setattr(strips, "_MANY_PAIRS", 1)
    monkeypatch.setattr(strips, "_MANY_POINTS", 1)
    monkeypatch.setattr(strips, "_MANY_TO_SEARCH", 1)
    monkeypatch.setattr(strips, "_SHARE", 1.0)
    monkeypatch.setattr(distances, "_MANY_PAIRS", 1)
    monkeypatch.setattr(
        strips.Clusters, "candidates", lambda *args, **kw: found.append(original(*args, **kw)) or found[-1]
    )
    return found


def case(n2: int, n1: int, p: int, q: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    query, reference = (x.to(dtype) for x in curve_embeddings(n2, n1, p))
    feat1 = torch.randn(n1, q, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
    return query, reference, feat1, one_percent(query, reference)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("dtype", "value", "grad"), [(torch.float32, 2e-3, 2e-3), (torch.float64, 5e-12, 5e-11)])
def test_a_soft_map_of_candidates_agrees_with_the_dense_one(clusters_always, size, dtype, value, grad):
    tensors = case(*size, dtype)
    answer(BlockedSoftMap, *tensors).check_close(dense64(*tensors), value=value, grad=grad)
    assert any(ids is not None for ids in clusters_always)


@pytest.mark.parametrize("blur", [1e-6, 1e-3, 1.0, 1e3])
def test_any_blur_is_served(clusters_always, blur):
    query, reference, feat1, _ = case(300, 400, 70, 3, torch.float64)
    tensors = (query, reference, feat1, torch.tensor(blur).double())
    # logits of 1e8 and 1e14 are rounded to 1e-8 and 1e-2; rows of the latter are one-hot
    value = 1e-7 if blur > 1e-5 else 1e-5
    mine, dense = answer(BlockedSoftMap, *tensors), dense64(*tensors)
    torch.testing.assert_close(mine.feat2, dense.feat2, rtol=value, atol=value)
    if blur > 1e-5:
        mine.check_close(dense, value=value, grad=1e-6)


def test_embeddings_without_structure_take_all_columns_and_agree(clusters_always):
    generator = torch.Generator().manual_seed(0)
    query, reference, feat1 = (torch.randn(n, c, generator=generator) for n, c in ((300, 90), (400, 90), (400, 3)))
    tensors = (query, reference, feat1, one_percent(query, reference))
    answer(BlockedSoftMap, *tensors).check_close(dense64(*tensors), value=5e-3, grad=5e-3)
    assert set(clusters_always) == {None}


def test_duplicates_share_the_weight(clusters_always):
    query, reference, feat1, sigma = case(200, 300, 6, 4, torch.float64)
    once = BlockedSoftMap(query, reference, sigma).pull_back(feat1)
    twice = BlockedSoftMap(query, torch.cat([reference, reference]), sigma).pull_back(torch.cat([feat1, feat1]))
    torch.testing.assert_close(once, twice)


def test_the_order_of_the_points_does_not_matter(clusters_always):
    query, reference, feat1, sigma = case(300, 500, 70, 4, torch.float64)
    order2, order1 = (torch.randperm(n, generator=torch.Generator().manual_seed(n)) for n in (300, 500))
    plain = BlockedSoftMap(query, reference, sigma).pull_back(feat1)
    permuted = BlockedSoftMap(query[order2], reference[order1], sigma).pull_back(feat1[order1])
    torch.testing.assert_close(permuted, plain[order2])


def test_a_nan_shows_in_its_own_row_only(clusters_always):
    query, reference, _, _ = case(200, 300, 6, 4, torch.float64)
    query[3, 1] = torch.nan
    feat2 = BlockedSoftMap(query, reference, torch.tensor(0.1).double()).pull_back(reference)
    assert torch.isnan(feat2[3]).all() and torch.isfinite(feat2[torch.arange(200) != 3]).all()
    reference[5, 0] = torch.nan
    assert torch.isnan(BlockedSoftMap(query, reference, torch.tensor(0.1).double()).pull_back(reference)).all()


def test_the_width_of_the_tiles_does_not_matter(monkeypatch):
    tensors = case(100, 900, 5, 4, torch.float64)
    monkeypatch.setattr(embeddings, "_CPU_ELEMENTS", 64 * 50)
    answer(BlockedSoftMap, *tensors).check_close(dense64(*tensors), value=1e-12, grad=1e-11)
    query, reference = tensors[:2]
    assert torch.equal(nearest(query, reference), torch.cdist(query, reference).argmin(dim=1))
    torch.testing.assert_close(largest_distance(query, reference), torch.cdist(query, reference).max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("p", [5, 80])
def test_nearest_neighbours_are_those_of_brute_force(clusters_always, p, dtype):
    query, reference = (x.to(dtype) for x in curve_embeddings(900, 1500, p))
    dist = torch.cdist(query.double(), reference.double(), compute_mode="donot_use_mm_for_euclid_dist")
    mine = dist.gather(1, nearest(query, reference)[:, None])[:, 0]
    # What rounding may confuse: squares of distances, in units of the largest.
    assert (mine**2 <= dist.amin(dim=1) ** 2 + 20 * torch.finfo(dtype).eps * dist.max() ** 2).all()
    assert any(ids is not None for ids in clusters_always)


def test_of_equally_near_points_the_first_is_taken(clusters_always, monkeypatch):
    points = curve_embeddings(500, 1, 5)[0]
    tripled = torch.cat([points, points.flip(0), points])
    assert torch.equal(nearest(points, tripled), torch.arange(500))
    monkeypatch.setattr(embeddings, "_CPU_ELEMENTS", 64 * 7)
    assert torch.equal(nearest(points, tripled), torch.arange(500))


@pytest.mark.parametrize("apart", [0.0, 1.0])
def test_the_largest_distance_is_exact(clusters_always, apart):
    query, reference = curve_embeddings(700, 900, 5)
    query = query + apart
    torch.testing.assert_close(largest_distance(query, reference), torch.cdist(query, reference).max())
    query[3, 1] = torch.nan
    assert torch.isnan(largest_distance(query, reference))


@pytest.mark.parametrize(("n2", "n1", "many"), [(100, 130, 1), (1000, 2000, 2**30), (1, 1, 1)])
def test_every_row_has_its_turn_once(monkeypatch, n2, n1, many):
    monkeypatch.setattr(strips, "_MANY_PAIRS", many)
    query, near = homogeneous(*curve_embeddings(n2, n1, 3))
    seen = strips.Strips.of(query[:, :-1], near, lambda rows: query[rows]).each(
        lambda rows, x, columns: torch.arange(n2)[rows]
    )
    assert torch.equal(torch.cat(seen).sort().values, torch.arange(n2))


def test_refusals_name_the_argument():
    with pytest.raises(ValueError, match="query is float16: distances need float32 or float64"):
        largest_distance(torch.rand(5, 3).half(), torch.rand(5, 3).half())
    with pytest.raises(ValueError, match="query: float32, reference: float64"):
        largest_distance(torch.rand(5, 3), torch.rand(5, 3).double())
    with pytest.raises(ValueError, match="reference is empty"):
        nearest(torch.rand(5, 3), torch.rand(0, 3))
