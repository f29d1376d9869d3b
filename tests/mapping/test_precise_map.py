"""Maps into triangles against brute force and known points."""

import numpy as np
import pytest
import torch
from tests.later import later
from torch import Tensor

from pullback.mapping import nearest, precise_map, triangles
from pullback.mapping.reach import faces_within_reach

optimize = later("scipy.optimize")


def strip_mesh(p: int, *, seed: int = 0, n: int = 12) -> tuple[Tensor, Tensor]:
    """A bent triangulated n × n square in R^p (float64) and its faces."""
    generator = torch.Generator().manual_seed(seed)
    u, v = torch.meshgrid(torch.linspace(0, 1, n).double(), torch.linspace(0, 1, n).double(), indexing="ij")
    bend = torch.randn(4, p, generator=generator, dtype=torch.float64)
    verts = torch.stack([u, v, u * v, (3 * u).sin()], dim=-1).reshape(-1, 4) @ bend
    corner = (torch.arange(n - 1)[:, None] * n + torch.arange(n - 1)).flatten()
    first = torch.stack([corner, corner + n, corner + 1], dim=1)
    second = torch.stack([corner + 1, corner + n, corner + n + 1], dim=1)
    return verts, torch.cat([first, second])


def distance_to_triangle(point: Tensor, triangle: Tensor) -> float:
    """By non-negative least squares with one heavy row that makes the weights sum to 1: no case distinctions."""
    heavy = 1e4
    matrix = np.vstack([triangle.numpy().T, heavy * np.ones(3)])
    weights, _ = optimize.nnls(matrix, np.append(point.numpy(), heavy))
    return float((point - torch.from_numpy(weights / weights.sum()) @ triangle).norm())


@pytest.mark.parametrize("p", [2, 3, 10])
def test_distances_are_those_of_an_exhaustive_search(p):
    reference, faces1 = strip_mesh(p, n=4)
    query = reference.mean(dim=0) + 1.5 * torch.randn(
        12, p, generator=torch.Generator().manual_seed(2), dtype=torch.float64
    )
    image = precise_map(query, reference, faces1).pull_back(reference)
    for x, y in zip(query, image, strict=True):
        exhaustive = min(distance_to_triangle(x, reference[face]) for face in faces1)
        assert float((x - y).norm()) == pytest.approx(exhaustive, rel=1e-6, abs=1e-6)


def test_the_weights_are_barycentric_and_the_corners_a_face():
    reference, faces1 = strip_mesh(5)
    query = reference[::3] + 0.3 * torch.randn(48, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    map21 = precise_map(query.float(), reference.float(), faces1)
    assert map21.weights.dtype == torch.float32 and (map21.weights >= 0).all()
    torch.testing.assert_close(map21.weights.sum(dim=1), torch.ones(48))
    assert {tuple(corners) for corners in map21.corners.tolist()} <= {tuple(face) for face in faces1.tolist()}


@pytest.mark.parametrize("p", [3, 6])
def test_a_point_inside_a_known_triangle_is_found_with_its_coordinates(p):
    reference, faces1 = strip_mesh(p)
    weights = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    query = (reference[faces1] * weights[None, :, None]).sum(dim=1)
    map21 = precise_map(query, reference, faces1)
    assert torch.equal(map21.corners, faces1)
    torch.testing.assert_close(map21.weights, weights.expand(len(faces1), 3), rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-4, 1e6])
def test_the_scale_of_the_embeddings_changes_nothing(scale):
    """An absolute tolerance, as 1e-6 on the determinant, would collapse small triangles to their first corner."""
    reference, faces1 = strip_mesh(6)
    query = reference + 0.02 * torch.randn(
        reference.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64
    )
    before, after = precise_map(query, reference, faces1), precise_map(scale * query, scale * reference, faces1)
    torch.testing.assert_close(after.pull_back(reference), before.pull_back(reference), rtol=1e-7, atol=1e-7)
    inside = before.weights.amin(dim=1) > 1e-6  # on an edge either of two triangles is right
    assert inside.float().mean() > 0.3
    assert torch.equal(after.corners[inside], before.corners[inside])


def test_a_triangle_without_area_is_the_union_of_its_edges():
    reference = torch.tensor([[0.0, 0], [1, 0], [3, 0], [3, 0]], dtype=torch.float64)
    query = torch.tensor([[0.4, 1.0], [2.5, -1], [9, 0], [-1, 0]], dtype=torch.float64)
    for face in ([0, 1, 2], [2, 0, 1], [1, 2, 0], [0, 2, 3], [3, 2, 0]):
        image = precise_map(query, reference, torch.tensor([face])).pull_back(reference)
        torch.testing.assert_close(image, torch.tensor([[0.4, 0.0], [2.5, 0], [3, 0], [0, 0]], dtype=torch.float64))


def test_a_vertex_of_no_triangle_is_no_target():
    reference, faces1 = strip_mesh(3)
    stray = torch.cat([reference, reference.new_full((1, 3), 50.0)])
    query = reference.new_full((2, 3), 49.0)
    with_stray, without = precise_map(query, stray, faces1), precise_map(query, reference, faces1)
    torch.testing.assert_close(with_stray.pull_back(stray), without.pull_back(reference))
    assert (with_stray.corners < len(reference)).all()


def test_examining_few_candidates_at_a_time_finds_the_same_triangles(monkeypatch):
    reference, faces1 = strip_mesh(4, n=6)
    query = reference + 0.3 * torch.randn(
        reference.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    )
    whole = precise_map(query, reference, faces1)
    monkeypatch.setattr(triangles, "_NEAR_VERTICES", 5)
    parts = precise_map(query, reference, faces1)
    assert torch.equal(whole.corners, parts.corners) and torch.equal(whole.weights, parts.weights)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("apart", [0.0, 0.05, 2.0])
def test_a_few_points_among_many_triangles_land_where_they_land_among_all(monkeypatch, dtype, apart):
    reference, faces1 = (strip_mesh(6, n=30)[0].to(dtype), strip_mesh(6, n=30)[1])
    noise = torch.randn(12, 6, generator=torch.Generator().manual_seed(4), dtype=torch.float64).to(dtype)
    query = reference[::80] + apart * noise
    whole = precise_map(query, reference, faces1)
    monkeypatch.setattr(triangles, "_MANY", 1)
    few = precise_map(query, reference, faces1)
    assert torch.equal(whole.corners, few.corners) and torch.equal(whole.weights, few.weights)
    if apart < 1:
        assert len(faces_within_reach(query, reference, faces1)) < 0.4 * len(faces1)
    query[1, 2] = torch.nan
    with pytest.raises(ValueError, match="query row 1: the embeddings hold NaN"):
        precise_map(query, reference, faces1)


def test_functions_are_carried_with_gradients_and_nearest_takes_the_largest_weight():
    reference, faces1 = strip_mesh(3)
    map21 = precise_map(reference, reference, faces1)
    assert torch.equal(map21.nearest(), nearest(reference, reference))
    feat1 = torch.rand(len(reference), 2, dtype=torch.float64, requires_grad=True)
    feat2 = map21.pull_back(feat1)
    torch.testing.assert_close(feat2, feat1)
    assert torch.autograd.grad(feat2.sum(), feat1)[0].sum() == pytest.approx(2 * len(reference))
    assert (map21.n1, map21.n2) == (len(reference), len(reference))


def test_bad_input_is_refused_by_name():
    reference, faces1 = strip_mesh(3)
    with pytest.raises(ValueError, match="faces1 holds vertices 0 to 143 but reference has the rows 0 to 99"):
        precise_map(reference, reference[:100], faces1)
    with pytest.raises(ValueError, match=r"faces1 has shape \(0, 3\)"):
        precise_map(reference, reference, faces1[:0])
    broken = reference.clone()
    broken[5, 0] = torch.nan
    with pytest.raises(ValueError, match="query row 5: the embeddings hold NaN or infinite values"):
        precise_map(broken, reference, faces1)
    with pytest.raises(ValueError, match="cannot be reversed"):
        precise_map(reference, reference, faces1).reverse()
    with pytest.raises(ValueError, match="feat1 has 10 rows but the map starts from 144 points"):
        precise_map(reference, reference, faces1).pull_back(torch.rand(10, 2))
