"""The largest distance, and the guard of full precision."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mapping.softmap_cases import curve_embeddings

from pullback.mapping.distances import largest_distance
from pullback.mapping.embeddings import full_precision, homogeneous


@settings(max_examples=25, deadline=None)
@given(
    n2=st.integers(1, 50),
    n1=st.integers(1, 50),
    p=st.integers(1, 20),
    seed=st.integers(0, 10_000),
    apart=st.sampled_from([0.0, 1.0, 100.0]),
    outliers=st.booleans(),
)
def test_the_largest_distance_is_exact(n2, n1, p, seed, apart, outliers):
    """Whatever the cloud: round (nothing can be ruled out), two clouds far apart, a few outliers (nearly all can)."""
    generator = torch.Generator().manual_seed(seed)
    query, reference = (torch.randn(n, p, generator=generator, dtype=torch.float64) for n in (n2, n1))
    query = query + apart
    if outliers:
        query[0] *= 10
        reference[-1] *= 10
    expected = (query[:, None] - reference[None]).norm(dim=2).max()
    torch.testing.assert_close(largest_distance(query, reference), expected)


def test_a_nan_shows_in_the_largest_distance():
    query, reference = curve_embeddings(30, 40, 3)
    reference[7, 1] = torch.nan
    assert torch.isnan(largest_distance(query, reference))
    assert torch.isnan(largest_distance(reference, query))


def test_products_of_homogeneous_coordinates_are_distances_up_to_a_constant_of_the_row():
    query, reference = curve_embeddings(5, 6, 3)
    left, right = homogeneous(query, reference)
    square = torch.cdist(query, reference) ** 2
    product = left @ right.T
    torch.testing.assert_close(product - product[:, :1], (square[:, :1] - square) / 2)


@pytest.mark.parametrize("outside", ["highest", "high", "medium"])
def test_full_precision_holds_inside_and_is_undone_outside(outside):
    matrix = torch.randn(300, 300, generator=torch.Generator().manual_seed(0))
    torch.set_float32_matmul_precision(outside)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert (matrix @ matrix).dtype == torch.bfloat16
            with pytest.raises(KeyError), full_precision(torch.device("cpu")):
                torch.testing.assert_close(
                    (matrix @ matrix).double(), matrix.double() @ matrix.double(), rtol=0, atol=1e-3
                )
                raise KeyError("settings are undone after errors too")
            assert torch.is_autocast_enabled("cpu")
        assert torch.get_float32_matmul_precision() == outside
    finally:
        torch.set_float32_matmul_precision("highest")
