from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from tests.patch_pairs import K, patch_basis, patch_image, self_pair, twin_pair, unrelated_pair

from pullback.mapping.latent import soft_orthogonality
from pullback.mapping.row_systems import solve_rows
from pullback.solvers.closed_form import ClosedForm, normal_equations
from pullback.solvers.pair_solver import natural_scale
from pullback.types import Eigenbasis, PatchPair

SIGNS = torch.tensor([1.0, -1, 1, 1, -1, 1, -1, 1])
VARIANTS = [{}, {"lam": 1.0}, {"mask": "resolvent"}, {"orthogonality": 0.5}, {"zoomout_steps": 3, "zoomout_start": 6}]


@pytest.mark.parametrize("options", VARIANTS)
def test_exact_descriptors_give_the_true_map_whatever_the_signs(options):
    pair, fmap12 = twin_pair(SIGNS)
    found = ClosedForm(**options)([pair])[0]
    assert torch.allclose(found.fmap12, fmap12, atol=1e-3)
    assert torch.allclose(found.fmap12_init, fmap12, atol=1e-3)


def test_a_rotation_inside_an_eigenspace_is_found():
    pair, _ = twin_pair()
    rotation = torch.eye(K)
    rotation[2:4, 2:4] = torch.tensor([[0.6, 0.8], [-0.8, 0.6]])
    evals = pair.image1.basis.evals.clone()
    evals[3] = evals[2]
    one = replace(pair.image1, basis=replace(pair.image1.basis, evals=evals))
    two = replace(pair.image2, basis=Eigenbasis(evals, pair.image2.basis.evecs @ rotation.T, pair.image2.basis.mass))
    found = ClosedForm(lam=10.0)([PatchPair("rotated", one, two)])[0]
    assert torch.allclose(found.fmap12, rotation, atol=1e-3)


def test_every_row_is_its_own_ridge_problem():
    pair = unrelated_pair()
    solver = ClosedForm(lam=0.3)
    found = solver([pair])[0].fmap12.double() / natural_scale(pair)
    coeffs1, coeffs2 = (coeffs.double() for coeffs in solver.descriptors.coefficients(pair))
    energy = coeffs1.square().sum() / K
    mask = solver.mask_of(pair)
    for row in range(K):
        system = coeffs1 @ coeffs1.T / energy + torch.diag(0.3 * mask[row] + 1e-6)
        expected = torch.linalg.inv(system) @ (coeffs1 @ coeffs2[row]) / energy
        assert torch.allclose(found[row], expected, atol=1e-5)


def test_the_mask_joins_eigenvalues_of_the_row_on_photograph_2_and_of_the_column_on_photograph_1():
    pair = unrelated_pair()
    one = replace(pair.image1, basis=replace(pair.image1.basis, evals=torch.arange(K).float()))
    two = replace(pair.image2, basis=replace(pair.image2.basis, evals=torch.arange(K) + 2.0))
    for mask in ("squared_difference", "resolvent"):
        solver = ClosedForm(lam=1e6, mask=mask, descriptors=None)
        fmap12 = solver([PatchPair("shifted", one, two)])[0].fmap12.abs()
        assert fmap12.diagonal(2).min() > 100 * fmap12.diagonal(-2).max()  # row a and column a + 2 have one eigenvalue


def test_the_sum_of_the_terms_does_not_rise_with_orthogonality_steps():
    pair = unrelated_pair()
    sums = [ClosedForm(orthogonality=0.5, orthogonality_steps=n)([pair])[0].losses.sum() for n in (0, 1, 2, 5, 50)]
    assert all(later < earlier for earlier, later in pairwise(sums))


def test_a_large_weight_makes_the_map_orthogonal():
    pair = unrelated_pair(grids=((5, 6), (5, 6)))
    plain, bent = (ClosedForm(orthogonality=weight)([pair])[0].fmap12 for weight in (0.0, 1e3))
    assert soft_orthogonality(plain) > 0.5
    assert soft_orthogonality(bent) < 1e-3


def test_losses_are_the_weighted_terms_of_the_map():
    pair = unrelated_pair()
    solver = ClosedForm(lam=0.3, orthogonality=0.2)
    found = solver([pair])[0]
    fmap12 = found.fmap12.double() / natural_scale(pair)
    coeffs1, coeffs2 = (coeffs.double() for coeffs in solver.descriptors.coefficients(pair))
    feature = (fmap12 @ coeffs1 - coeffs2).square().sum() * K / coeffs1.square().sum()
    expected = torch.stack([feature, 0.3 * (solver.mask_of(pair) * fmap12**2).sum(), 0.2 * soft_orthogonality(fmap12)])
    assert torch.allclose(found.losses.double(), expected, rtol=1e-4)


def test_shuffled_patches_change_nothing():
    pair = unrelated_pair()
    order = torch.randperm(pair.image2.n, generator=torch.Generator().manual_seed(1))
    basis = replace(pair.image2.basis, evecs=pair.image2.basis.evecs[order])
    two = replace(pair.image2, basis=basis, feat=pair.image2.feat[order], basis_feat=pair.image2.basis_feat[order])
    shuffled = replace(pair, image2=two)
    plain, other = (ClosedForm(orthogonality=0.1)([one])[0].fmap12 for one in (pair, shuffled))
    assert torch.allclose(plain, other, atol=1e-4)


def test_a_finer_copy_has_the_map_of_its_larger_area():
    """Every patch cut into four: functions keep their values, coefficients double."""
    one = patch_image((3, 4))
    basis = one.basis
    fine = Eigenbasis(basis.evals, basis.evecs.repeat_interleave(4, dim=0) / 2, torch.ones(48))
    feats = {name: getattr(one, name).repeat_interleave(4, dim=0) for name in ("feat", "basis_feat")}
    two = replace(one, name="fine", grid=(6, 8), patches=torch.arange(48), basis=fine, **feats)
    for options in VARIANTS:
        found = ClosedForm(**options)([PatchPair("zoom", one, two)])[0]
        assert torch.allclose(found.fmap12, 2 * torch.eye(K), atol=2e-3)


def test_a_pair_alone_and_in_a_batch():
    pairs = [unrelated_pair("a"), unrelated_pair("b", grids=((3, 4), (5, 2)), seed=3), unrelated_pair("c", k=6, seed=5)]
    solver = ClosedForm(orthogonality=0.1, zoomout_steps=2, zoomout_start=4)
    for pair, found in zip(pairs, solver(pairs), strict=True):
        alone = solver([pair])[0]
        assert torch.allclose(found.fmap12, alone.fmap12, atol=1e-5)
        assert torch.allclose(found.losses, alone.losses, rtol=1e-4)


def test_bases_of_different_sizes_are_joined():
    one, two = patch_image(), patch_image(seed=1, name="two")
    pair = PatchPair("uneven", one, replace(two, basis=patch_basis(two.grid, k=6, seed=1)))
    found = ClosedForm(orthogonality=0.1, zoomout_steps=2, zoomout_start=4)([pair])[0]
    assert found.fmap12.shape == found.fmap12_init.shape == (6, K)


def test_a_photograph_against_itself_gives_the_identity():
    found = ClosedForm()([self_pair()])[0]
    assert torch.allclose(found.fmap12, torch.eye(K), atol=1e-3)


def test_batched_rows_are_solved_to_rounding():
    generator = torch.Generator().manual_seed(0)
    coeffs = [(torch.randn(40, 60, generator=generator), torch.randn(30, 60, generator=generator)) for _ in range(2)]
    equations = normal_equations(coeffs)
    ridge = torch.rand(2, 30, 40, generator=generator, dtype=torch.float64)
    rows = solve_rows(equations.gram[:, None], ridge, equations.cross)
    residual = rows @ equations.gram + ridge * rows - equations.cross
    assert residual.abs().max() < 1e-12


def test_features_that_are_not_finite_name_the_pair():
    pair = unrelated_pair("broken")
    feat = pair.image1.feat.clone()
    feat[3, 2] = float("nan")
    with pytest.raises(ValueError, match="broken"):
        ClosedForm()([replace(pair, image1=replace(pair.image1, feat=feat))])


def test_options_without_meaning_are_refused():
    with pytest.raises(ValueError, match="mask='soft'"):
        ClosedForm(mask="soft")
    with pytest.raises(ValueError, match="lam=-1"):
        ClosedForm(lam=-1.0)
    with pytest.raises(ValueError, match="max_pairs=0"):
        ClosedForm(max_pairs=0)
