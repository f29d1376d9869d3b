from dataclasses import replace

import pytest
import torch
from tests.patch_pairs import K, patch_basis, patch_image, self_pair, twin_pair, unrelated_pair

from pullback.mapping.latent import latent_bases
from pullback.nn.refiner import Refiner
from pullback.solvers.closed_form import ClosedForm
from pullback.solvers.pair_losses import PairLoss, Unknowns
from pullback.solvers.pair_optimiser import PairOptimiser
from pullback.solvers.seeding import pair_generator
from pullback.types import PatchPair

SMALL = {"hidden": 8, "heads": 2, "layers": 1}
QUICK = {"latent_dim": 3, "steps": 12, "lr_fmap": 1e-2, "lr_refiner": 1e-3, "lr_latent": 1e-2}


def mixed_pairs():
    """Different grids, so that a batch needs padding."""
    return [
        unrelated_pair("a"),
        unrelated_pair("b", grids=((3, 4), (5, 2)), seed=3),
        unrelated_pair("c", grids=((2, 6), (5, 6)), seed=6),
    ]


@pytest.mark.parametrize("refiner", [Refiner(**SMALL), Refiner(**SMALL, skip=False, keys=6)])
@pytest.mark.parametrize("options", [{}, {"initial": ClosedForm(), "loss": PairLoss(trace="printed", cons_from=5)}])
def test_pairs_optimised_together_are_pairs_optimised_one_by_one(refiner, options):
    solver = PairOptimiser(refiner, **QUICK, **options)
    pairs = mixed_pairs()
    for pair, found in zip(pairs, solver(pairs), strict=True):
        alone = solver([pair])[0]
        assert torch.allclose(found.fmap12, alone.fmap12, atol=2e-3)  # Adam turns the sign of tiny gradients into steps
        assert torch.allclose(found.losses, alone.losses, rtol=1e-2, atol=1e-3)


def first_gradients(pairs, refiner):
    """Terms and gradients with respect to C, Z and the network at the start, in float64."""
    solver = PairOptimiser(refiner, latent_dim=3, loss=PairLoss(cons=0.5))
    generators = [pair_generator(pair.name, 0) for pair in pairs]
    problem = solver.problem(pairs, generators)
    sides = [side._replace(feat=side.feat.double(), encoded=side.encoded.double()) for side in problem[:2]]
    problem = type(problem)(*sides, *(tensor.double() for tensor in problem[2:]))
    start = (torch.eye(K) + 0.1 * torch.ones(K, K)).double().repeat(len(pairs), 1, 1)
    unknowns = Unknowns(*(tensor.requires_grad_() for tensor in (start.clone(), *latent_bases(start, 3))))
    weights = {name: weight.double().requires_grad_() for name, weight in refiner.draw_weights(12, generators).items()}
    terms = solver.loss(unknowns, *solver.coefficients(problem, weights), problem.delta, step=0)
    return terms, torch.autograd.grad(terms.sum(), [*unknowns, *weights.values()]), (solver, problem, unknowns, weights)


def test_values_and_gradients_of_a_padded_batch_are_those_of_its_pairs():
    refiner = Refiner(**SMALL, skip=False)
    pairs = mixed_pairs()
    terms, grads, _ = first_gradients(pairs, refiner)
    for place, pair in enumerate(pairs):
        alone, alone_grads, _ = first_gradients([pair], refiner)
        assert torch.allclose(terms[place], alone[0])
        for grad, other in zip(grads, alone_grads, strict=True):
            assert torch.allclose(grad[place], other[0], atol=1e-10)


def test_gradients_through_the_network_agree_with_finite_differences():
    pair = unrelated_pair(grids=((3, 4), (2, 5)))
    terms, grads, (solver, problem, unknowns, weights) = first_gradients([pair], Refiner(**SMALL, skip=False))
    names = ["fmap12", "latent1", "latent2", *weights]
    for name in ("fmap12", "latent2", "first.weight", "0.query.weight", "0.mlp1.weight", "last.weight"):
        tensor = (list(unknowns) + list(weights.values()))[names.index(name)]
        direction = torch.randn(tensor.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        values = []
        with torch.no_grad():
            for step in (1e-6, -2e-6):
                tensor += step * direction
                values.append(
                    solver.loss(unknowns, *solver.coefficients(problem, weights), problem.delta, step=0).sum()
                )
            tensor += 1e-6 * direction
        slope = (values[0] - values[1]) / 2e-6
        assert slope == pytest.approx((grads[names.index(name)] * direction).sum().item(), rel=1e-4, abs=1e-6), name
    assert torch.isfinite(terms).all()


def test_without_a_refiner_rate_it_is_gradient_descent_on_the_closed_forms_problem():
    """C alone, the feature and the diagonal term: a convex problem, whose solution a linear system gives."""
    pair = unrelated_pair()
    loss = PairLoss(cons=0.0, latent=0.0, orthonormal=0.0)
    solver = PairOptimiser(None, loss=loss, latent_dim=1, steps=800, lr_fmap=1e-2)
    found = solver([pair])[0].fmap12.double() / (28 / 30) ** 0.5
    coeffs1, coeffs2 = (coeffs.double() for coeffs in solver.descriptors.coefficients(pair))
    weight = K / coeffs2.square().sum()
    delta = pair.image2.basis.evals.double()[:, None] - pair.image1.basis.evals.double()[None, :]
    for row in range(K):
        system = weight * coeffs1 @ coeffs1.T + torch.diag(delta[row] ** 2 / delta.square().mean())
        assert torch.allclose(found[row], torch.linalg.inv(system) @ (weight * coeffs1 @ coeffs2[row]), atol=2e-3)


def test_exact_descriptors_keep_the_map_that_the_closed_form_finds():
    signs = torch.tensor([1.0, -1, 1, 1, -1, 1, -1, 1])
    pair, fmap12 = twin_pair(signs)
    refiner = Refiner(**SMALL, encoding="none")  # the twin's patches have other places
    found = PairOptimiser(refiner, initial=ClosedForm(), **QUICK)([pair])[0]
    assert torch.allclose(found.fmap12, fmap12, atol=0.05)


@pytest.mark.parametrize("initial", [None, ClosedForm()])
def test_a_photograph_against_itself_gives_nearly_the_identity(initial):
    fmap12 = PairOptimiser(Refiner(**SMALL), initial=initial, **QUICK)([self_pair()])[0].fmap12
    assert torch.allclose(fmap12, torch.eye(K), atol=0.05)


@pytest.mark.parametrize("rates", [{"lr_refiner": 0.0}, {"lr_refiner": 1e-3, "steps": 0}])
def test_a_refiner_that_starts_at_the_identity_and_never_learns_is_none(rates):
    pair = unrelated_pair()
    frozen, none = (PairOptimiser(gr, **{**QUICK, **rates})([pair])[0] for gr in (Refiner(**SMALL), None))
    assert torch.allclose(frozen.fmap12, none.fmap12, atol=1e-5)
    assert torch.allclose(frozen.losses, none.losses, rtol=1e-4, atol=1e-5)
    without_skip = PairOptimiser(Refiner(**SMALL, skip=False), **{**QUICK, **rates})([pair])[0]
    assert not torch.allclose(without_skip.losses, none.losses, rtol=1e-2)


def test_flipped_eigenfunctions_of_either_photograph_flip_the_map_alone():
    pair = unrelated_pair()
    signs = torch.tensor([1.0, -1, 1, 1, -1, 1, -1, -1])
    basis = replace(pair.image2.basis, evecs=pair.image2.basis.evecs * signs)
    flipped = replace(pair, image2=replace(pair.image2, basis=basis))
    solver = PairOptimiser(None, initial=ClosedForm(), loss=PairLoss(cons=0.5), **QUICK)
    one, other = (solver([each])[0].fmap12 for each in (pair, flipped))
    assert torch.allclose(signs[:, None] * one, other, atol=1e-3)


def test_the_optimisation_lowers_the_loss():
    pair = unrelated_pair()
    losses = [
        PairOptimiser(Refiner(**SMALL), **{**QUICK, "steps": steps})([pair])[0].losses.sum() for steps in (0, 5, 50)
    ]
    assert losses[0] > losses[1] > losses[2]


def test_each_rate_moves_its_own_unknowns():
    pair = unrelated_pair()
    still = PairOptimiser(Refiner(**SMALL), **{**QUICK, "lr_fmap": 0.0})([pair])[0]
    assert torch.equal(still.fmap12, still.fmap12_init)
    assert torch.allclose(still.fmap12_init, (28 / 30) ** 0.5 * torch.eye(K))
    trained, frozen = (
        PairOptimiser(Refiner(**SMALL), **{**QUICK, "lr_refiner": rate})([pair])[0].fmap12 for rate in (1e-2, 0.0)
    )
    assert not torch.allclose(trained, frozen, atol=1e-4)


def test_the_result_follows_from_the_name_and_the_seed():
    pair = unrelated_pair("a")
    solver = PairOptimiser(Refiner(**SMALL, skip=False), **QUICK)
    torch.manual_seed(1)
    first = solver([pair])[0].fmap12
    torch.manual_seed(2)
    assert torch.equal(first, solver([pair])[0].fmap12)
    assert not torch.allclose(first, solver([replace(pair, name="b")])[0].fmap12)


def test_inference_mode_is_left_for_the_optimisation():
    with torch.inference_mode():
        pair = unrelated_pair()
        inside = PairOptimiser(Refiner(**SMALL), initial=ClosedForm(), **QUICK)([pair])[0].fmap12
    outside = PairOptimiser(Refiner(**SMALL), initial=ClosedForm(), **QUICK)([unrelated_pair()])[0].fmap12
    assert torch.equal(inside, outside)


def test_bases_of_different_sizes_are_joined():
    two = patch_image(seed=1, name="two")
    pair = PatchPair("uneven", patch_image(), replace(two, basis=patch_basis(two.grid, k=6, seed=1)))
    assert PairOptimiser(Refiner(**SMALL), **QUICK)([pair])[0].fmap12.shape == (6, K)


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="precision='double'"):
        PairOptimiser(Refiner(**SMALL), precision="double")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_gpu_gives_what_the_cpu_gives(precision):
    pairs = mixed_pairs()
    solver = PairOptimiser(Refiner(**SMALL), precision=precision, initial=ClosedForm(), **QUICK)
    moved = [replace(pair, image1=pair.image1.to("cuda"), image2=pair.image2.to("cuda")) for pair in pairs]
    for one, other in zip(solver(pairs), solver(moved), strict=True):
        assert torch.allclose(one.fmap12, other.fmap12.cpu(), atol=2e-2)
