"""Meshes with fewer vertices than a method takes eigenfunctions: everything adapts, or says what is missing."""

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull
from tests.fakes import write_mesh
from tests.meshes import outward, plane, sphere
from tests.reported import CASES

from pullback.data.mesh.shapes import PreparationSettings, load_shape
from pullback.geometry.cleaning import MeshError
from pullback.geometry.descriptors import DescriptorError
from pullback.losses import Bijectivity, Consistency, LaplacianCommutativity, Orthogonality
from pullback.nn.backbone import Backbone, LandmarkFeatures, RawDescriptor
from pullback.nn.descriptor import HKS, WKS, LandmarkKernels
from pullback.nn.diffusion_net import DiffusionNet
from pullback.nn.finite import NotFiniteError
from pullback.solvers.discrete import DiscreteOptimisation
from pullback.solvers.nearest import FeatureNearest
from pullback.solvers.regularised import RegularisedSolver
from pullback.solvers.sampled_zoomout import SampledZoomOut
from pullback.solvers.two_branch import TwoBranch
from pullback.solvers.zoomout import DiffZoomOut, ZoomOut
from pullback.tasks.mesh.two_meshes import match_shapes
from pullback.types import ShapePair

SOLVERS = [
    ZoomOut(),
    SampledZoomOut(),
    DiffZoomOut(two_way=True),
    DiscreteOptimisation(),
    RegularisedSolver(),
    TwoBranch(),
]
SOLVERS.append(FeatureNearest())


def hull(points):
    points = np.array(points, dtype=float)
    return points, outward(points, ConvexHull(points).simplices)


MESHES = {
    "triangle": (np.array([[0, 0, 0], [1, 0, 0], [0, 1.5, 0.0]]), np.array([[0, 1, 2]])),
    "quad": (np.array([[0, 0, 0], [1.3, 0, 0], [1, 1, 0], [0, 0.8, 0.0]]), np.array([[0, 1, 2], [0, 2, 3]])),
    "tetrahedron": hull([[1, 1, 1.5], [1, -1.2, -1], [-1, 1, -1], [-1.3, -1, 1]]),
    "regular": hull([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]),
    "octahedron": hull(np.concatenate([np.eye(3), -np.eye(3)])),
    "sphere12": sphere(0),
    "sphere42": sphere(1),
    "grid": (plane(6)[0] * [1, 2, 1], plane(6)[1]),
}


@pytest.fixture
def prepared(tmp_path):
    def prepare(name, mesh=None):
        write_mesh(tmp_path / f"{name}.off", *(mesh or MESHES[name]))
        return load_shape(tmp_path / f"{name}.off", PreparationSettings(), tmp_path / "cache")

    return prepare


def match(source, target, solver, backbone=None, **more):
    return match_shapes(source, target, backbone or RawDescriptor(WKS()), solver, device=torch.device("cpu"), **more)


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda solver: type(solver).__name__)
@pytest.mark.parametrize("name", ["triangle", "quad", "tetrahedron", "sphere42", "grid"])
def test_every_method_maps_a_small_mesh_with_what_it_has(prepared, name, solver):
    shape = prepared(name)
    result = match(shape, shape, solver)
    n = shape.shape.n
    assert len(shape.notes) == 1 and f"{n} vertices have no 200 eigenfunctions" in shape.notes[0]
    assert max(result.fmap12.shape) <= n
    assert len(result.p2p21) == n


@pytest.mark.parametrize("solver", SOLVERS[:-1], ids=lambda solver: type(solver).__name__)
def test_a_small_mesh_is_mapped_to_a_large_one_and_back(prepared, icosphere, solver):
    small, large = prepared("tetrahedron"), prepared("large", icosphere)
    assert match(small, large, solver).fmap12.shape[1] == 4
    assert match(large, small, solver).fmap12.shape[0] == 4


def test_a_small_irregular_mesh_is_mapped_to_itself(prepared):
    shape = prepared("tetrahedron")
    assert match(shape, shape, ZoomOut()).p2p21.tolist() == [0, 1, 2, 3]


def test_a_network_and_its_losses_take_small_meshes(prepared, icosphere):
    backbone = Backbone(WKS(16), DiffusionNet(in_channels=16, out_channels=8, width=8, n_blocks=1))
    small, grid, large = (
        loaded.shape for loaded in (prepared("sphere42"), prepared("grid"), prepared("large", icosphere))
    )
    for shape1, shape2 in ((small, grid), (large, grid)):
        found = DiffZoomOut(two_way=True, n_steps=3)(backbone(shape1), backbone(shape2), shape1.basis, shape2.basis)
        for loss in (Orthogonality(), Bijectivity(), LaplacianCommutativity(), Consistency()):
            assert loss(found, ShapePair(shape1, shape2)).isfinite()


@pytest.mark.parametrize("descriptor", [WKS(), HKS()])
def test_a_spectrum_of_one_repeated_eigenvalue_is_refused_with_the_name_of_the_shape(prepared, descriptor):
    shape = prepared("regular")
    with pytest.raises(DescriptorError, match=r"regular: .* only one, 3 times\. Subdivide the mesh"):
        match(shape, shape, ZoomOut(), RawDescriptor(descriptor))


def test_too_few_eigenfunctions_of_a_symmetric_shape_are_refused(prepared, tmp_path):
    write_mesh(tmp_path / "round.off", *sphere(2))
    shape = load_shape(tmp_path / "round.off", PreparationSettings(k=3), tmp_path / "cache")
    with pytest.raises(DescriptorError, match=r"k=3 of 162 points .* Use more eigenfunctions, as data\.k=200"):
        match(shape, shape, ZoomOut(k_init=2, step=1, n_steps=1), RawDescriptor(WKS(k=3)))


@pytest.mark.parametrize("name", ["octahedron", "sphere12"])
def test_vertices_that_nothing_tells_apart_are_refused_and_the_advice_helps(prepared, name):
    shape = prepared(name)
    with pytest.raises(
        MeshError,
        match=rf"{name}\.off: its .* vertices all have the same features .* landmarks=FILE backbone=landmarks",
    ):
        match(shape, shape, ZoomOut())
    points = torch.tensor(MESHES[name][1][0])  # the corners of a face
    found = match(shape, shape, ZoomOut(), LandmarkFeatures(LandmarkKernels()), landmarks=(points, points))
    assert found.p2p21.tolist() == list(range(shape.shape.n))


def test_features_that_are_not_numbers_are_refused(prepared):
    class Broken(torch.nn.Module):
        def forward(self, shape):
            return torch.full((shape.n, 4), torch.nan)

    shape = prepared("grid")
    with pytest.raises(NotFiniteError, match="features of grid are NaN"):
        match(shape, shape, ZoomOut(), Broken())


def test_the_cases_of_the_shared_folder_are_matched(tmp_path):
    folder = CASES / "small-mesh-advice"
    if not folder.is_dir():
        pytest.skip(f"needs the shared cases, {folder}")
    cube, grid = (load_shape(folder / name, PreparationSettings(), tmp_path) for name in ("cube.off", "grid_quads.off"))
    assert match(cube, grid, ZoomOut()).fmap12.shape == (108, 8)
