"""``solver=paper_closed``: the paper's terms, minimised without Adam."""

from dataclasses import replace

import pytest
import torch
from tests.composing import composed
from tests.patch_images import flipped_copy, patch_image
from tests.patch_pairs import twin_pair, unrelated_pair

from pullback.mapping.fmap import eigenvalue_difference
from pullback.mapping.latent import latent_bases, nearest_orthogonal, soft_orthogonality
from pullback.runtime.settings import instantiate, to_plain
from pullback.solvers.closed_form import ClosedForm
from pullback.solvers.pair_losses import PairLoss, Unknowns
from pullback.solvers.pair_solver import natural_scale
from pullback.types import PatchPair

READOUTS = ("nearest_rows", "unit_rows", "carried", "carried_both")


def configured(*options):
    """The solver as a command would build it."""
    return instantiate(to_plain(composed("eval", "dataset=tss", *options))["solver"])


@pytest.fixture(scope="module")
def optimiser():
    """As configured, and run until nothing moves."""
    found = configured("solver=paper_closed").optimiser
    found.orthogonality_steps = 3000
    return found


def in_natural_units(optimiser, pair):
    """The map between unit-area bases, the coefficients, and Δ; all in float64."""
    fmap12 = optimiser([pair])[0].fmap12.double() / natural_scale(pair)
    coeffs1, coeffs2 = (coeffs.double() for coeffs in optimiser.descriptors.coefficients(pair))
    delta = eigenvalue_difference(pair.image1.basis.evals.double(), pair.image2.basis.evals.double())
    return fmap12, coeffs1, coeffs2, delta


def test_descent_on_the_same_energy_ends_at_the_same_map_and_finds_nothing_lower(optimiser):
    """With autograd, from the least squares and from random maps, which end in other minima."""
    pair, _ = twin_pair(torch.tensor([1.0, -1, 1, 1, -1, 1, -1, 1]))
    noise = torch.randn(pair.image2.feat.shape, generator=torch.Generator().manual_seed(3))
    pair = replace(pair, image2=replace(pair.image2, feat=pair.image2.feat + noise))
    found, coeffs1, coeffs2, delta = in_natural_units(optimiser, pair)

    def energy(fmap12):
        feature = (fmap12 @ coeffs1 - coeffs2).square().sum() * len(coeffs1) / coeffs1.square().sum()
        diag = (delta * fmap12).square().sum() / delta.square().mean()
        return feature + optimiser.lam * diag + optimiser.orthogonality * soft_orthogonality(fmap12)

    def descent(start):
        fmap12 = start.clone().requires_grad_()
        lbfgs = torch.optim.LBFGS([fmap12], max_iter=300, line_search_fn="strong_wolfe")

        def closure():
            lbfgs.zero_grad()
            value = energy(fmap12)
            value.backward()
            return value

        lbfgs.step(closure)
        return fmap12.detach()

    least = ClosedForm(descriptors=optimiser.descriptors)([pair])[0].fmap12.double() / natural_scale(pair)
    assert torch.allclose(descent(least), found, atol=1e-3)
    assert energy(found) == pytest.approx(energy(descent(least)).item(), rel=1e-5)
    drawn = torch.randn(4, *least.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert all(energy(descent(start)) > energy(found) - 1e-5 for start in nearest_orthogonal(drawn))


def test_the_papers_loss_is_stationary_there_with_the_latent_bases_at_their_best(optimiser):
    pair = unrelated_pair()
    fmap12, coeffs1, coeffs2, delta = in_natural_units(optimiser, pair)
    # the closed form measures features by those of photograph 1, the loss by those of photograph 2
    ratio = (coeffs1.square().sum(dim=1).mean() / coeffs2.square().sum(dim=1).mean()).item()
    loss = PairLoss(diag=ratio * optimiser.lam, cons=ratio * optimiser.orthogonality)
    square = fmap12[None].clone().requires_grad_()
    unknowns = Unknowns(square, *latent_bases(square.detach(), min(fmap12.shape)))
    terms = loss(unknowns, coeffs1[None], coeffs2[None], delta[None], step=0)
    assert terms[0, 2].item() == pytest.approx(loss.weights["cons"] * soft_orthogonality(fmap12).item(), rel=1e-4)
    total, *parts = (torch.autograd.grad(part, square, retain_graph=True)[0] for part in (terms.sum(), *terms[0, :3]))
    assert total.abs().max() < 1e-3 * max(part.abs().max() for part in parts)


@pytest.mark.parametrize("readout", READOUTS)
@pytest.mark.parametrize("solver", ["paper_closed", "paper"])
def test_a_photograph_against_itself_is_matched_to_itself(solver, readout):
    image = patch_image((9, 12), (90, 132), k=40)
    few = ["solver.optimiser.steps=5", "solver.optimiser.refiner=null", "solver.optimiser.latent_dim=20"]
    match = configured(f"solver={solver}", f"solver/readout={readout}", *few * (solver == "paper"))(
        [PatchPair("self", image, image)]
    )[0]
    assert torch.allclose(match.fmap12, torch.eye(40), atol=0.05)
    assert (match.p2p21 == torch.arange(image.n)).float().mean() > 0.98


@pytest.mark.parametrize("readout", READOUTS)
def test_a_mirrored_copy_is_matched_to_its_original(readout):
    image = patch_image((9, 12), (90, 132), k=40)
    copy, p2p21 = flipped_copy(image)
    match = configured("solver=paper_closed", f"solver/readout={readout}")([PatchPair("flip", image, copy)])[0]
    assert (match.p2p21 == p2p21).float().mean() > 0.98


@pytest.mark.parametrize("readout", READOUTS)
def test_signs_of_eigenfunctions_and_sizes_of_features_change_no_match(readout):
    pair = PatchPair("two", *(patch_image((9, 12), (90, 132), k=40, seed=seed) for seed in (0, 1)))
    signs = torch.where(torch.arange(40) % 3 == 1, -1.0, 1.0)
    basis = replace(pair.image2.basis, evecs=pair.image2.basis.evecs * signs)
    flipped = replace(pair, image2=replace(pair.image2, basis=basis))
    scaled = PatchPair(
        "two", *(replace(one, feat=7 * one.feat, basis_feat=0.2 * one.basis_feat) for one in (pair.image1, pair.image2))
    )
    solver = configured("solver=paper_closed", f"solver/readout={readout}")
    plain, other, larger = solver([pair, flipped, scaled])
    assert torch.allclose(signs[:, None] * plain.fmap12, other.fmap12, atol=1e-4)
    assert torch.allclose(plain.fmap12, larger.fmap12, atol=1e-4)
    assert (plain.p2p21 == other.p2p21).float().mean() > 0.99
    assert (plain.p2p21 == larger.p2p21).float().mean() > 0.99


def test_the_read_outs_are_those_that_their_names_say():
    readers = {name: configured("solver=paper", f"solver/readout={name}").readout for name in READOUTS}
    assert {name: (one.embedding, one.normalise, one.position) for name, one in readers.items()} == {
        "nearest_rows": (["spectral"], "none", "nearest"),
        "unit_rows": (["spectral"], "patch", "nearest"),
        "carried": (["transferred_basis", "descriptors"], "patch", "nearest"),
        "carried_both": (["transferred_basis", "transferred_descriptors"], "patch", "nearest"),
    }
