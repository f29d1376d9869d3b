"""Weights that go on learning before a match: they learn, are a start like others, and nothing else changes."""

from functools import partial

import pytest
import torch
from tests.fakes import write_mesh
from tests.meshes import sphere

from pullback.data.mesh.shapes import PreparationSettings, load_shape
from pullback.losses import Consistency, Orthogonality
from pullback.nn.backbone import Backbone
from pullback.nn.descriptor import WKS
from pullback.nn.diffusion_net import DiffusionNet
from pullback.solvers.zoomout import DiffZoomOut
from pullback.tasks.mesh.adapting import NothingToAdapt, WeightAdaptation
from pullback.types import ShapePair

SETTINGS = PreparationSettings(k=40)


def adaptation(**options):
    solver = DiffZoomOut(k_init=8, step=4, n_steps=2, blur=0.05, init_blur=0.2, init_relative=False)
    terms = {"orthogonality": Orthogonality(), "consistency": Consistency()}
    return WeightAdaptation(solver, terms, partial(torch.optim.Adam, lr=1e-2), k=24, **options)


@pytest.fixture
def files(tmp_path):
    verts, faces = sphere(3)
    for name, stretch in (("a", [1.0, 1.2, 1.5]), ("b", [1.0, 1.3, 1.7])):
        write_mesh(tmp_path / "meshes" / f"{name}.off", verts * stretch, faces)
    (tmp_path / "meshes" / "notes.txt").write_text("not a mesh")
    return tmp_path


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return Backbone(WKS(16, k=24), DiffusionNet(16, 8, width=8, n_blocks=1, k=24), normalise="unit_rows").eval()


def test_it_learns_from_small_copies_and_leaves_the_weights_alone(files, backbone):
    adapt = adaptation(vertices=200, steps=12)
    shapes = adapt.copies_in(files / "meshes", SETTINGS, files / "cache")
    assert all(195 <= shape.n <= 205 and shape.basis.k == 24 for shape in shapes)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    state, steps = torch.get_rng_state(), []
    tuned = adapt(backbone, shapes, advance=steps.append)
    assert steps == [1] * 12 and not tuned.training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in backbone.state_dict().items())
    pair = ShapePair(*shapes)
    with torch.no_grad():
        assert adapt._loss(tuned, pair) < adapt._loss(backbone, pair)


def test_a_shape_that_is_small_already_is_its_own_copy(files, backbone):
    prepared = load_shape(files / "meshes" / "a.off", SETTINGS, files / "cache")
    copy = adaptation(vertices=1000).copy_of(prepared, SETTINGS, files / "cache")
    assert copy.n == prepared.shape.n == 642 and torch.allclose(copy.verts, prepared.shape.verts)


def test_what_cannot_be_adapted_says_why(files):
    with pytest.raises(NothingToAdapt, match="has 0 mesh files"):
        adaptation().copies_in(files, SETTINGS, files / "cache")
    with pytest.raises(NothingToAdapt, match="ckpt=humans"):
        adaptation()(torch.nn.Identity(), [])
    with pytest.raises(ValueError, match="vertices"):
        adaptation(vertices=10)
