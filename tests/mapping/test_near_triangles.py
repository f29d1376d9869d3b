"""Point maps made finer in the triangles around their images."""

import pytest
import torch
from tests.meshes import sphere

from pullback.mapping.near_triangles import near_points
from pullback.mapping.pointmap import nearest
from pullback.mapping.triangles import precise_map


def test_the_nearest_point_around_the_nearest_vertex_is_the_nearest_of_all_on_a_smooth_surface():
    verts, faces = (torch.from_numpy(part) for part in sphere(2))
    query = torch.nn.functional.normalize(torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    query, verts = query.double(), verts.double()
    found = near_points(nearest(query, verts), query, verts, faces)
    wanted = precise_map(query, verts, faces)
    there = (verts[faces[found.face]] * found.weights[:, :, None]).sum(dim=1)
    assert torch.allclose(there, wanted.pull_back(verts), atol=1e-9)
    assert torch.allclose(found.weights.sum(dim=1), torch.ones(200, dtype=torch.float64))


def test_an_image_in_no_triangle_is_refused():
    verts, faces = torch.rand(4, 3), torch.tensor([[0, 1, 2]])
    with pytest.raises(ValueError, match="vertex 3 of shape 1 is in no triangle"):
        near_points(torch.tensor([3]), verts[:1], verts, faces)
