"""The factory of soft maps, its refusals, the dense reference and the hard map."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mapping.softmap_cases import curve_embeddings

from pullback.mapping import BlockedSoftMap, DenseSoftMap, HardMap, soft_map
from pullback.mapping.embedding_map import EmbeddingMap
from pullback.mapping.embeddings import check_embeddings
from pullback.mapping.softmap import kind_of
from pullback.types import SoftMap


def test_the_dense_map_is_the_formula_written_out():
    query, reference = curve_embeddings(6, 5, 3)
    rows = []
    for q in query:
        weights = [math.exp(-float((q - r).square().sum()) / (2 * 0.5**2)) for r in reference]
        rows.append([weight / sum(weights) for weight in weights])
    map21 = soft_map(query, reference, blur=0.5, relative=False, backend="dense")
    expected = torch.tensor(rows, dtype=torch.float64)
    torch.testing.assert_close(map21.pull_back(torch.eye(5, dtype=torch.float64)), expected)
    torch.testing.assert_close(map21.weights(), expected)


def test_a_backend_that_pulls_nothing_back_cannot_be_made():
    with pytest.raises(TypeError, match="pull_back"):
        type("Silent", (EmbeddingMap,), {})(*curve_embeddings(6, 5, 3), torch.tensor(1.0))


@pytest.mark.parametrize("backend", ["dense", "blocked"])
def test_a_relative_blur_is_a_fraction_of_the_largest_distance(backend):
    query, reference = curve_embeddings(40, 50, 3)
    largest = (query[:, None] - reference[None]).norm(dim=2).max()
    relative = soft_map(query, reference, blur=0.1, backend=backend)
    absolute = soft_map(query, reference, blur=0.1 * largest, relative=False, backend=backend)
    torch.testing.assert_close(relative.largest_distance(), largest)
    torch.testing.assert_close(relative.pull_back(reference), absolute.pull_back(reference))


@settings(max_examples=25, deadline=None)
@given(
    scale=st.floats(1e-4, 1e4),
    shift=st.floats(-5, 5),
    backend=st.sampled_from(["dense", "blocked"]),
    seed=st.integers(0, 1000),
)
def test_scaling_and_moving_both_embeddings_changes_nothing_under_a_relative_blur(scale, shift, backend, seed):
    query, reference = curve_embeddings(30, 70, 4, seed=seed)
    feat1 = torch.randn(70, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    before = soft_map(query, reference, blur=0.05, backend=backend).pull_back(feat1)
    after = soft_map(scale * (query + shift), scale * (reference + shift), blur=0.05, backend=backend).pull_back(feat1)
    torch.testing.assert_close(after, before, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("backend", ["dense", "blocked"])
def test_the_blur_is_a_constant_for_autograd(backend):
    query, reference = (x.requires_grad_() for x in curve_embeddings(20, 30, 3))
    sigma = soft_map(query, reference, blur=torch.tensor(0.1), backend=backend).sigma
    assert not sigma.requires_grad
    grads = []
    for blur, relative in ((0.1, True), (sigma, False)):
        out = soft_map(query, reference, blur=blur, relative=relative, backend=backend).pull_back(
            torch.eye(30, dtype=torch.float64)
        )
        grads.append(torch.autograd.grad(out.square().sum(), [query, reference]))
    torch.testing.assert_close(grads[0], grads[1])


@pytest.mark.parametrize("backend", ["dense", "blocked"])
def test_reverse_is_the_map_of_exchanged_embeddings_with_the_same_blur(backend):
    query, reference = curve_embeddings(40, 55, 3)
    map21 = soft_map(query, reference, blur=0.03, backend=backend)
    map12 = map21.reverse()
    assert type(map12) is type(map21) and (map12.n1, map12.n2) == (map21.n2, map21.n1)
    weights = soft_map(reference, query, blur=0.03, backend=backend).pull_back(torch.eye(40, dtype=torch.float64))
    torch.testing.assert_close(map12.pull_back(torch.eye(40, dtype=torch.float64)), weights)


@pytest.mark.parametrize("backend", ["dense", "blocked"])
def test_nearest_is_the_column_of_largest_weight(backend):
    query, reference = curve_embeddings(70, 90, 4)
    map21 = soft_map(query, reference, blur=0.2, backend=backend)
    torch.testing.assert_close(map21.nearest(), DenseSoftMap(query, reference, map21.sigma).weights().argmax(dim=1))


@pytest.mark.parametrize("backend", ["dense", "blocked"])
def test_embeddings_that_all_coincide_give_the_uniform_map(backend):
    point = torch.full((7, 3), 0.3)
    feat1 = torch.randn(5, 2)
    feat2 = soft_map(point, point[:5], blur=0.01, backend=backend).pull_back(feat1)
    torch.testing.assert_close(feat2, feat1.mean(dim=0).expand(7, 2))


def test_auto_takes_the_dense_map_for_tiny_sizes_and_blocks_else():
    assert isinstance(soft_map(torch.rand(20, 3), torch.rand(30, 3), blur=0.1), DenseSoftMap)
    assert isinstance(soft_map(torch.rand(200, 3), torch.rand(300, 3), blur=0.1), BlockedSoftMap)


def test_every_map_satisfies_the_protocol():
    points = torch.rand(5, 3)
    for map21 in (soft_map(points, points, blur=0.1, backend=b) for b in ("dense", "blocked")):
        assert isinstance(map21, SoftMap)
    assert isinstance(HardMap(torch.arange(5), 5), SoftMap)


@pytest.mark.parametrize(
    ("query", "reference", "message"),
    [
        (torch.rand(5, 32), torch.rand(6, 30), "query has 32 columns but reference has 30"),
        (torch.rand(5, 3), torch.rand(6, 3).double(), "query: float32, reference: float64"),
        (torch.rand(5, 3), torch.rand(6, 3, device="meta"), "query: device cpu, reference: device meta"),
        (torch.rand(5, 3).half(), torch.rand(6, 3).half(), r"query is float16.*query\.float\(\)"),
        (torch.rand(5, 3), torch.rand(6, 3).bfloat16(), "reference is bfloat16"),
        (torch.rand(5, 3), torch.rand(0, 3), "reference is empty"),
    ],
)
def test_embeddings_that_do_not_fit_are_refused_by_name(query, reference, message):
    with pytest.raises(ValueError, match=message):
        check_embeddings(query, reference)


def test_the_factory_checks_its_embeddings_and_its_backend():
    with pytest.raises(ValueError, match="query is float16"):
        soft_map(torch.rand(5, 3).half(), torch.rand(6, 3).half(), blur=0.01)
    with pytest.raises(ValueError, match="backend='cuda' is unknown; use one of auto, dense, blocked, keops, triton"):
        kind_of("cuda", torch.rand(5, 3), torch.rand(6, 3))


@pytest.mark.parametrize("blur", [0.0, -0.01, math.nan, math.inf, torch.tensor(0.0), torch.tensor([0.1, 0.2])])
def test_a_blur_that_is_not_a_positive_finite_number_is_refused(blur):
    with pytest.raises(ValueError, match="blur="):
        soft_map(torch.rand(5, 3), torch.rand(5, 3), blur=blur)


@pytest.mark.parametrize("backend", ["dense", "blocked"])
def test_a_function_of_another_size_or_dtype_is_refused(backend):
    map21 = soft_map(torch.rand(5, 3), torch.rand(6, 3), blur=0.1, backend=backend)
    with pytest.raises(ValueError, match=r"feat1 has shape \(5, 2\) but the map starts from 6 points"):
        map21.pull_back(torch.rand(5, 2))
    with pytest.raises(ValueError, match="feat1: float64, the embeddings: float32"):
        map21.pull_back(torch.rand(6, 2).double())


def test_a_hard_map_gathers_and_refuses_to_be_reversed():
    p2p21 = torch.tensor([2, 0, 2, 1])
    map21 = HardMap(p2p21, 3)
    feat1 = torch.rand(3, 2, requires_grad=True)
    torch.testing.assert_close(map21.pull_back(feat1), feat1[p2p21])
    assert torch.equal(map21.pull_back(torch.eye(3)).argmax(dim=1), map21.nearest())
    assert (map21.n1, map21.n2) == (3, 4)
    with pytest.raises(ValueError, match="cannot be reversed"):
        map21.reverse()


def test_a_hard_map_refuses_points_that_do_not_exist():
    with pytest.raises(ValueError, match="p2p21 holds 3, but shape 1 has the points 0 to 2"):
        HardMap(torch.tensor([0, 3]), 3)
    with pytest.raises(ValueError, match="feat1 has 2 rows but the map starts from 3 points"):
        HardMap(torch.tensor([0, 2]), 3).pull_back(torch.rand(2, 1))
