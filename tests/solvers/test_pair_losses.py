import pytest
import torch

from pullback.mapping.fmap import eigenvalue_difference
from pullback.solvers.pair_losses import UNITS, PairLoss, Unknowns, diagonal, feature_error

P, K1, K2, R, C = 2, 4, 5, 2, 6


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def problem():
    unknowns = Unknowns(random(P, K2, K1), random(P, K1, R, seed=1), random(P, K2, R, seed=2))
    return unknowns, random(P, K1, C, seed=3), random(P, K2, C, seed=4), random(P, K2, K1, seed=5)


def naive_terms(unknowns, coeffs1, coeffs2, delta, loss):
    """The equations with explicit traces, one pair at a time."""
    rows = []
    for fmap, z1, z2, a, b, d in zip(*unknowns, coeffs1, coeffs2, delta, strict=True):
        feature = torch.linalg.norm(fmap @ a - b) ** 2
        diag = sum((d[i, j] * fmap[i, j]) ** 2 for i in range(K2) for j in range(K1))
        if loss.units != "printed":
            feature = feature * K2 / torch.linalg.norm(b) ** 2
        if loss.units == "normalised":
            diag = diag * K2 * K1 / torch.linalg.norm(d) ** 2
        cons = torch.linalg.norm(fmap @ z1 - z2) ** 2
        trace = torch.trace(z1.T @ (torch.eye(K1) + fmap.T @ fmap) @ z1) + torch.trace(
            z2.T @ (torch.eye(K2) + fmap @ fmap.T) @ z2
        )
        if loss.trace == "two_way":
            trace = trace - 4 * torch.trace(z2.T @ fmap @ z1)
        orthonormal = sum(torch.linalg.norm(z.T @ z - torch.eye(R)) ** 2 for z in (z1, z2))
        values = (feature, diag, cons, trace, orthonormal)
        rows.append(torch.stack([weight * value for weight, value in zip(loss.weights.values(), values, strict=True)]))
    return torch.stack(rows)


@pytest.mark.parametrize("trace", ["printed", "two_way"])
@pytest.mark.parametrize("units", UNITS)
def test_the_terms_are_the_equations(problem, trace, units):
    loss = PairLoss(feature=0.3, diag=5.0, cons=0.2, latent=0.7, orthonormal=0.9, trace=trace, units=units)
    assert torch.allclose(loss(*problem, step=0), naive_terms(*problem, loss))


@pytest.mark.parametrize("trace", ["printed", "two_way"])
def test_gradients_agree_with_finite_differences(problem, trace):
    loss = PairLoss(cons=0.2, trace=trace, latent_bends_map=True)
    inputs = [tensor.requires_grad_() for tensor in (*problem[0], problem[1], problem[2])]

    def total(fmap12, latent1, latent2, coeffs1, coeffs2):
        return loss(Unknowns(fmap12, latent1, latent2), coeffs1, coeffs2, problem[3], step=0)

    assert torch.autograd.gradcheck(total, inputs)


@pytest.mark.parametrize("term", PairLoss.terms)
def test_a_weight_of_zero_switches_a_term_off_and_leaves_the_others(problem, term):
    everything, without = PairLoss()(*problem, step=0), PairLoss(**{term: 0.0})(*problem, step=0)
    place = PairLoss.terms.index(term)
    assert not without[:, place].any()
    kept = [i for i in range(5) if i != place]
    assert torch.equal(everything[:, kept], without[:, kept])


def test_the_consistency_term_starts_at_its_step(problem):
    loss = PairLoss(cons_from=3)
    assert not loss(*problem, step=2)[:, 2].any()
    assert loss(*problem, step=3)[:, 2].all()


def test_normalised_weights_do_not_depend_on_the_sizes_of_features_and_eigenvalues(problem):
    unknowns, coeffs1, coeffs2, delta = problem
    small, large = (PairLoss()(unknowns, s * coeffs1, s * coeffs2, s**3 * delta, step=0) for s in (1, 50))
    assert torch.allclose(small, large)
    printed = [PairLoss(units="printed")(unknowns, s * coeffs1, s * coeffs2, delta, step=0)[:, 0] for s in (1, 50)]
    assert torch.allclose(2500 * printed[0], printed[1])


def gradients(problem, loss):
    """Of the sum of the terms, with respect to C, Z1 and Z2; zero where nothing depends on one."""
    unknowns = Unknowns(*(tensor.detach().clone().requires_grad_() for tensor in problem[0]))
    total = loss(unknowns, *problem[1:], step=0).sum()
    return torch.autograd.grad(total, unknowns, allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize("trace", ["printed", "two_way"])
def test_without_cons_no_term_of_consistency_pulls_at_the_map(problem, trace):
    alone, bent = (
        gradients(problem, PairLoss(feature=0.0, diag=0.0, cons=0.0, trace=trace, latent_bends_map=bends))
        for bends in (False, True)
    )
    assert not alone[0].any()
    assert bent[0].abs().max() > 1
    for held, free in zip(alone[1:], bent[1:], strict=True):  # Z is found as before
        assert torch.equal(held, free) and held.any()


def test_cons_pulls_at_the_map_as_its_formula_says(problem):
    unknowns = problem[0]
    grad, *_ = gradients(problem, PairLoss(feature=0.0, diag=0.0, cons=0.3))
    expected = 0.6 * (unknowns.fmap12 @ unknowns.latent1 - unknowns.latent2) @ unknowns.latent1.mT
    assert torch.allclose(grad, expected)


def test_rows_of_the_mask_belong_to_photograph_2():
    delta = eigenvalue_difference(torch.tensor([0.0, 1.0, 5.0]), torch.tensor([2.0, 4.0]))
    assert torch.equal(delta, torch.tensor([[2.0, 1.0, -3.0], [4.0, 3.0, -1.0]]))
    assert diagonal(torch.ones(2, 3), delta) == 4 + 1 + 9 + 16 + 9 + 1


def test_the_feature_error_of_the_true_map_is_zero():
    fmap, coeffs1 = random(K2, K1), random(K1, C, seed=1)
    assert feature_error(fmap, coeffs1, fmap @ coeffs1) == 0


def latents_at_rest(trace):
    """Z of an orthogonal map and of one with singular values 0.6, minimised with the weights of the paper."""
    loss = PairLoss(feature=0.0, diag=0.0, cons=1e-3, trace=trace)
    fmap12 = torch.stack([torch.eye(4), 0.6 * torch.eye(4)]).double()
    latents = [(torch.eye(4)[:, :2] + 0.1).repeat(2, 1, 1).double().requires_grad_() for _ in range(2)]
    adam = torch.optim.Adam(latents, lr=0.05)
    nothing = torch.zeros(2, 4, 1, dtype=torch.float64)
    for _ in range(250):
        adam.zero_grad()
        loss(Unknowns(fmap12, *latents), nothing, nothing, fmap12, step=0).sum().backward()
        adam.step()
    return [torch.linalg.svdvals(latents[0][i].detach()) for i in (0, 1)]


def test_the_printed_trace_draws_the_latents_of_an_orthogonal_map_to_zero():
    of_orthogonal, of_shrinking = latents_at_rest("printed")
    assert of_orthogonal.max() < 0.15  # the approach to 0 is slow: the energy is quartic there
    assert torch.allclose(of_shrinking**2, torch.full((2,), (1 - 0.6**2) / 2, dtype=torch.float64), atol=1e-2)


def test_the_two_way_trace_keeps_them_orthonormal():
    of_orthogonal, _ = latents_at_rest("two_way")
    assert torch.allclose(of_orthogonal, torch.ones(2, dtype=torch.float64), atol=1e-3)


def test_settings_without_meaning_are_refused():
    with pytest.raises(ValueError, match="trace='half'"):
        PairLoss(trace="half")
    with pytest.raises(ValueError, match="units='metres'"):
        PairLoss(units="metres")
    with pytest.raises(ValueError, match="is too small"):
        PairLoss(diag=-1.0)
