"""Of equally near points the first, wherever they stand and whatever rounds the products:
against a search without products.
"""

import numpy as np
import pytest
import torch
from tests.patch_images import patch_image
from torch import Tensor

from pullback.mapping import nearest, precise_map, search, strips, triangles
from pullback.mapping.readout import Readout
from pullback.mapping.search import exact_squares, first_equal_rows
from pullback.types import PatchPair


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tripled() -> tuple[Tensor, Tensor]:
    points = random(300, 5)
    return points, torch.cat([points, points.flip(0), points])


def half_way_between_the_points_of_a_lattice() -> tuple[Tensor, Tensor]:
    return torch.cartesian_prod(*[torch.arange(4.0)] * 3) + 0.5, torch.cartesian_prod(*[torch.arange(5.0)] * 3)[
        random(125).argsort()
    ]


def mostly_one_point() -> tuple[Tensor, Tensor]:
    return torch.cat([torch.zeros(150, 40), random(50, 40)]), torch.cat(
        [random(50, 40), torch.zeros(300, 40), random(50, 40)]
    )


def tight_clusters_far_apart() -> tuple[Tensor, Tensor]:
    """Distances within a cluster lie far below the rounding of products."""
    reference = torch.cat([1e-5 * random(200, 30, seed=i) + random(1, 30, seed=9 + i) for i in range(2)])
    return reference[::3] + 1e-6 * random(134, 30, seed=5), reference


def on_a_line() -> tuple[Tensor, Tensor]:
    return random(300, 1), random(2000, 1, seed=1)


def equal_distances_of_reordered_coordinates() -> tuple[Tensor, Tensor]:
    offset = torch.arange(1.0, 8.0) / 8
    return random(20, 7).round(), torch.stack([offset[random(7, seed=i).argsort()] for i in range(60)])


def both_signs_of_zero() -> tuple[Tensor, Tensor]:
    return torch.zeros(3, 2), torch.tensor([[1.0, 0.0], [-0.0, 0.0], [0.0, -0.0], [0.0, 0.0]])


CASES = [
    tripled,
    half_way_between_the_points_of_a_lattice,
    mostly_one_point,
    tight_clusters_far_apart,
    on_a_line,
    equal_distances_of_reordered_coordinates,
    both_signs_of_zero,
]


def slow_nearest(query: Tensor, reference: Tensor) -> Tensor:
    """One row at a time, differences squared and added in pairs, by numpy."""
    found = []
    for row in query.double().numpy():
        terms = list(((row - reference.double().numpy()) ** 2).T)
        while len(terms) > 1:
            half = len(terms) // 2
            added = [terms[i] + terms[half + i] for i in range(half)]
            if len(terms) % 2 == 1:
                added[0] = added[0] + terms[-1]
            terms = added
        found.append(int(np.argmin(terms[0])))
    return torch.tensor(found)


@pytest.fixture(params=["products as they are", "products that round by place"])
def rounding(request, monkeypatch) -> None:
    """Half of the error that a product may have, other for every place and every call,
    as on a processor that adds in another order.
    """
    if request.param == "products as they are":
        return
    see, generator = search._Candidates.see, torch.Generator().manual_seed(0)

    def see_noisy(self, product: Tensor, block: slice | Tensor) -> None:
        norm = self._square[:, None].sqrt()
        # of the row times that of the column, at most
        norm = norm * (norm + (self._square[:, None] - 2 * product).clamp_min(0).sqrt())
        sign = torch.randint(-1, 2, product.shape, generator=generator)
        see(self, product + sign * norm * (0.25 * torch.finfo(product.dtype).eps * self._columns), block)

    monkeypatch.setattr(search._Candidates, "see", see_noisy)


@pytest.fixture(params=["all columns", "columns of clusters"])
def columns(request, monkeypatch) -> None:
    if request.param == "columns of clusters":
        for name, value in (("_MANY_PAIRS", 1), ("_MANY_TO_SEARCH", 1), ("_SHARE", 1.0)):
            monkeypatch.setattr(strips, name, value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_nearest_row_is_that_of_a_search_without_products(case, dtype, rounding, columns):
    query, reference = (points.to(dtype) for points in case())
    assert torch.equal(nearest(query, reference), slow_nearest(query, reference))


@pytest.mark.parametrize("p", [1, 2, 3, 7, 130])
def test_a_squared_distance_has_the_same_bits_wherever_its_rows_stand(p):
    points, others = random(500, p), random(500, p, seed=1)
    whole = exact_squares(points, others)
    for i in (0, 1, 17, 499):
        assert torch.equal(exact_squares(points[i : i + 1], others[i : i + 1]), whole[i : i + 1])
    order = random(500).argsort()
    assert torch.equal(exact_squares(points[order], others[order]), whole[order])
    torch.testing.assert_close(whole, ((points.double() - others.double()) ** 2).sum(dim=1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_row_knows_the_first_that_equals_it(dtype, monkeypatch):
    monkeypatch.setattr(search, "_ELEMENTS", 50)
    points = torch.randint(0, 3, (200, 3), generator=torch.Generator().manual_seed(0)).to(dtype) * 0.1
    rows = [tuple(row) for row in points.tolist()]
    assert first_equal_rows(points).tolist() == [rows.index(row) for row in rows]
    assert first_equal_rows(torch.tensor([[torch.nan], [0.0], [torch.nan], [-0.0]], dtype=dtype)).tolist() == [
        0,
        1,
        2,
        1,
    ]


def test_a_row_that_holds_a_nan_gets_a_point_that_exists(rounding):
    query, reference = random(70, 4), random(90, 4, seed=1)
    query[3, 1], query[5, 0] = torch.nan, torch.inf
    found = nearest(query, reference)
    usual = torch.ones(70, dtype=torch.bool)
    usual[[3, 5]] = False
    assert torch.equal(found[usual], slow_nearest(query[usual], reference)) and found[3] == 0 and 0 <= found[5] < 90


def test_of_patches_that_look_alike_the_first_is_read_off(rounding):
    image = patch_image((8, 10), (80, 100), k=3)
    alike = type(image)(**{**vars(image), "feat": image.feat[torch.arange(80) % 20]})
    p2p21, _ = Readout(embedding=["descriptors"])(PatchPair("alike", alike, alike))
    assert torch.equal(p2p21, torch.arange(80) % 20)


def test_of_equal_triangles_the_first_is_taken_however_the_products_round(monkeypatch):
    reference, query = random(40, 6).double(), random(50, 6, seed=1).double()
    faces = torch.stack([torch.arange(38), torch.arange(38) + 1, torch.arange(38) + 2], dim=1)
    once = precise_map(query, reference, faces)
    again = torch.cat([reference, reference.flip(0)])
    noise = (
        4
        * torch.finfo(torch.float64).eps
        * torch.randn(80, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    )
    original = triangles.homogeneous
    monkeypatch.setattr(
        triangles, "homogeneous", lambda *sets: (lambda near, far: (near, far * (1 + noise[:, None])))(*original(*sets))
    )
    twice = precise_map(query, again, torch.cat([faces, 79 - faces, faces]))
    assert torch.equal(twice.corners, once.corners) and torch.equal(twice.weights, once.weights)
