import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pullback.losses import Consistency, Orthogonality, orthogonality
from pullback.mapping.fmap import fmap_from_softmap
from pullback.solvers.sampled_zoomout import SampledZoomOut
from pullback.solvers.zoomout import DiffZoomOut, ZoomOut, refine, zoomout
from pullback.types import Eigenbasis, PointSample


def landmarks_features(pair, noise=0.0):
    """Features that tell every point apart: low eigenfunctions of shape 1, carried over by the ground truth."""
    basis1 = pair.shape1.basis
    feat1 = basis1.evecs[:, 1:9]
    feat2 = torch.empty_like(feat1)
    feat2[pair.corr2] = feat1[pair.corr1]
    return feat1, feat2 + noise * torch.randn(feat2.shape, generator=torch.Generator().manual_seed(0))


def slow_zoomout(feat1, feat2, basis1, basis2, sizes):
    """Brute force, in float64 and numpy's order of loops."""
    phi1, phi2 = basis1.evecs.double(), basis2.evecs.double()
    inverse2 = (phi2 * basis2.mass.double()[:, None]).T
    p2p = torch.cdist(feat2.double(), feat1.double()).argmin(dim=1)
    for k in sizes:
        fmap = inverse2[:k] @ phi1[p2p, :k]
        p2p = torch.cdist(phi2[:, :k], phi1[:, :k] @ fmap.T).argmin(dim=1)
    return fmap, p2p


def truth_of(pair):
    truth = torch.empty_like(pair.corr2)
    truth[pair.corr2] = pair.corr1
    return truth


def test_classical_zoomout_agrees_with_a_brute_force_loop(tiny_pair):
    feat1, feat2 = landmarks_features(tiny_pair, noise=0.3)
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    match = ZoomOut(k_init=10, step=5, n_steps=4)(feat1, feat2, basis1, basis2)
    fmap, p2p21 = slow_zoomout(feat1, feat2, basis1, basis2, [10, 15, 20, 25, 30])
    assert (match.p2p21 == p2p21).float().mean() > 0.99
    assert torch.allclose(match.fmap12.double(), fmap, atol=1e-2)


@pytest.mark.parametrize(
    "solver", [ZoomOut(k_init=10, step=5, n_steps=4), DiffZoomOut(k_init=10, step=5, n_steps=4, backend="dense")]
)
def test_refinement_recovers_the_true_map_from_noisy_features(tiny_pair, solver):
    feat1, feat2 = landmarks_features(tiny_pair, noise=0.3)
    match = solver(feat1, feat2, tiny_pair.shape1.basis, tiny_pair.shape2.basis)
    assert (match.p2p21 == truth_of(tiny_pair)).float().mean() > 0.9
    assert (match.map21_init.nearest() == truth_of(tiny_pair)).float().mean() < 0.9


def test_with_a_vanishing_blur_the_soft_algorithm_is_the_classical_one(tiny_pair):
    feat1, feat2 = landmarks_features(tiny_pair, noise=0.3)
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    soft = DiffZoomOut(k_init=10, step=5, n_steps=4, blur=1e-4, backend="dense")(feat1, feat2, basis1, basis2)
    hard = ZoomOut(k_init=10, step=5, n_steps=4)(feat1, feat2, basis1, basis2)
    assert (soft.p2p21 == hard.p2p21).float().mean() > 0.98


def test_the_sizes_grow_by_the_step(tiny_pair):
    feat1, feat2 = landmarks_features(tiny_pair)
    solver = DiffZoomOut(k_init=10, step=3, n_steps=4)
    match = solver(feat1, feat2, tiny_pair.shape1.basis, tiny_pair.shape2.basis)
    assert solver.k_final == 22
    assert match.fmap12_init.shape == (10, 10)
    assert match.fmap12.shape == (22, 22)


def test_the_refined_map_has_the_principal_submatrix_property(tiny_pair):
    """The consistency loss compares like with like:
    a block of the refined map is its point map's own fmap of that size.
    """
    feat1, feat2 = landmarks_features(tiny_pair, noise=0.1)
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    solver = DiffZoomOut(k_init=10, step=5, n_steps=2, backend="dense")
    start = solver(feat1, feat2, basis1, basis2).fmap12_init
    fmap12, map21 = zoomout(start, basis1, basis2, sizes=[15], convert=solver.refined_map)
    last = solver.refined_map(basis2.evecs[:, :10], basis1.evecs[:, :10] @ start.T)
    assert torch.allclose(fmap12[:10, :10], fmap_from_softmap(last, basis1.first(10), basis2.first(10)), atol=1e-6)
    assert map21.n2 == basis2.n


def gradients_of(solver, loss, pair):
    feat1, feat2 = (feat.clone().requires_grad_() for feat in landmarks_features(pair, noise=0.1))
    loss(solver(feat1, feat2, pair.shape1.basis, pair.shape2.basis), pair).backward()
    return feat1.grad, feat2.grad


def test_gradients_flow_through_the_whole_refinement(tiny_pair):
    sizes = {"k_init": 8, "step": 4, "n_steps": 2, "backend": "dense"}
    through = gradients_of(DiffZoomOut(**sizes), Orthogonality(of="final"), tiny_pair)
    assert all(grad.abs().max() > 0 for grad in through)


@pytest.mark.parametrize("refinement", ["soft_target", "hard"])
def test_constant_targets_leave_the_gradient_of_the_initial_map_alone(tiny_pair, refinement):
    sizes = {"k_init": 8, "step": 4, "n_steps": 2, "backend": "dense", "init_blur": 0.1}
    plain = gradients_of(DiffZoomOut(**sizes), Orthogonality(), tiny_pair)
    target = gradients_of(DiffZoomOut(**sizes, refinement=refinement), Orthogonality(), tiny_pair)
    for one, other in zip(plain, target, strict=True):
        assert torch.allclose(one, other)


def test_a_soft_target_has_the_values_of_the_soft_refinement(tiny_pair):
    sizes = {"k_init": 8, "step": 4, "n_steps": 2, "backend": "dense"}
    feats = landmarks_features(tiny_pair, noise=0.1)
    bases = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    soft, target = (DiffZoomOut(**sizes, refinement=kind)(*feats, *bases) for kind in ("soft", "soft_target"))
    assert torch.equal(soft.fmap12, target.fmap12)
    grads = [
        gradients_of(DiffZoomOut(**sizes, refinement=kind), Consistency(), tiny_pair)[0]
        for kind in ("soft", "soft_target")
    ]
    assert torch.allclose(*grads)


def test_the_two_way_variant_is_the_one_way_solver_on_exchanged_shapes(tiny_pair):
    feat1, feat2 = landmarks_features(tiny_pair, noise=0.1)
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    sizes = {"k_init": 8, "step": 4, "n_steps": 2}
    both = ZoomOut(**sizes, two_way=True)(feat1, feat2, basis1, basis2)
    assert torch.equal(both.fmap12, ZoomOut(**sizes)(feat1, feat2, basis1, basis2).fmap12)
    assert torch.equal(both.reverse.fmap12, ZoomOut(**sizes)(feat2, feat1, basis2, basis1).fmap12)


def test_settings_without_meaning_are_refused():
    with pytest.raises(ValueError, match="refinement='exact'"):
        DiffZoomOut(refinement="exact")
    with pytest.raises(ValueError, match="step=0"):
        ZoomOut(step=0)


class LargestTensor(TorchDispatchMode):
    """Notes how many entries the largest tensor has that any operation returns."""

    entries = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for part in result if isinstance(result, tuple | list) else [result]:
            if isinstance(part, torch.Tensor):
                self.entries = max(self.entries, part.untyped_storage().nbytes() // part.element_size())
        return result


SMALL = {"k_init": 6, "step": 3, "n_steps": 2}


@pytest.mark.parametrize(
    "solver", [ZoomOut(**SMALL), DiffZoomOut(**SMALL), SampledZoomOut(**SMALL), SampledZoomOut(**SMALL, blur=0.01)]
)
def test_nothing_as_large_as_a_dense_map_is_ever_held(one_thread, solver):
    n1, n2 = 4000, 3500
    generator = torch.Generator().manual_seed(0)
    sample = PointSample(torch.arange(0, 3500, 2), torch.full((1750,), 1 / 1750))
    basis1, basis2 = (
        Eigenbasis(torch.arange(12.0), torch.randn(n, 12, generator=generator), torch.full((n,), 1 / n), sample)
        for n in (n1, n2)
    )
    feat1, feat2 = (torch.randn(n, 4, generator=generator).requires_grad_() for n in (n1, n2))
    with LargestTensor() as largest:
        match = solver(feat1, feat2, basis1, basis2)
        if match.fmap12.requires_grad:
            orthogonality(match.fmap12).backward()
        assert len(match.p2p21) == n2
    assert 12 * n1 <= largest.entries < n1 * n2 / 8


def test_refinement_is_zoomout_without_its_last_map(tiny_pair):
    feat1, feat2 = landmarks_features(tiny_pair, noise=0.1)
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    solver = ZoomOut(k_init=10, step=5, n_steps=2)
    match = solver(feat1, feat2, basis1, basis2)
    assert torch.equal(
        refine(match.fmap12_init, basis1, basis2, sizes=[15, 20], convert=solver.refined_map), match.fmap12
    )


def test_in_double_precision_the_map_is_that_of_the_brute_force_loop(tiny_pair):
    feat1, feat2 = (feat.double() for feat in landmarks_features(tiny_pair, noise=0.3))
    basis1, basis2 = (shape.basis.to(torch.float64) for shape in (tiny_pair.shape1, tiny_pair.shape2))
    match = ZoomOut(k_init=10, step=5, n_steps=4)(feat1, feat2, basis1, basis2)
    fmap, p2p21 = slow_zoomout(feat1, feat2, basis1, basis2, [10, 15, 20, 25, 30])
    assert torch.equal(match.p2p21, p2p21)
    assert torch.allclose(match.fmap12, fmap, atol=1e-12)
