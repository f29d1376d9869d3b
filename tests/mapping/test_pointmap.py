"""Point maps against brute force and closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from tests.mapping.softmap_cases import curve_embeddings

from pullback.mapping import compose, coverage, embeddings, nearest


@settings(max_examples=30, deadline=None)
@given(n2=st.integers(1, 150), n1=st.integers(1, 150), p=st.integers(1, 40), seed=st.integers(0, 10_000))
def test_nearest_agrees_with_a_kd_tree(n2, n1, p, seed):
    generator = torch.Generator().manual_seed(seed)
    query, reference = (torch.randn(n, p, generator=generator, dtype=torch.float64) + 2 for n in (n2, n1))
    assert np.array_equal(nearest(query, reference).numpy(), cKDTree(reference.numpy()).query(query.numpy())[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_of_equally_near_points_the_first_is_taken(monkeypatch, dtype):
    monkeypatch.setattr(embeddings, "_CPU_ROWS", 13)
    points = curve_embeddings(200, 1, 5)[0].to(dtype)
    assert torch.equal(nearest(points, torch.cat([points, points.flip(0), points])), torch.arange(200))


def test_nearest_refuses_embeddings_that_do_not_fit():
    with pytest.raises(ValueError, match="query: float32, reference: float64"):
        nearest(torch.rand(3, 2), torch.rand(3, 2).double())


def test_composition_goes_from_3_to_1_by_way_of_2():
    p2p21, p2p32 = torch.tensor([4, 2, 0]), torch.tensor([1, 1, 2, 0])
    assert compose(p2p21, p2p32).tolist() == [2, 2, 0, 4]


def test_coverage_is_the_share_of_area_that_is_hit():
    mass1 = torch.tensor([0.5, 1.0, 2.5, 1.0])
    assert coverage(torch.tensor([0, 2, 2, 0]), mass1) == pytest.approx(0.6)
    assert coverage(torch.arange(4), mass1) == pytest.approx(1.0)
