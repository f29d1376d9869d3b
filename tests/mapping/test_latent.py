import pytest
import torch

from pullback.mapping.latent import (
    consensus,
    consistency_matrix,
    latent_bases,
    nearest_orthogonal,
    orthonormality,
    printed_trace,
    soft_orthogonality,
    two_way_consensus,
)


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def orthogonal(k, seed=0):
    return torch.linalg.qr(random(k, k, seed=seed))[0]


def test_the_two_way_consensus_is_the_quadratic_form_of_the_consistency_matrix():
    fmap, latent1, latent2 = random(7, 5), random(5, 3, seed=1), random(7, 3, seed=2)
    stacked = torch.cat([latent1, latent2])
    quadratic = (stacked.T @ consistency_matrix(fmap) @ stacked).trace()
    naive = ((fmap @ latent1 - latent2) ** 2).sum() + ((fmap.T @ latent2 - latent1) ** 2).sum()
    assert torch.allclose(quadratic, naive)
    assert torch.allclose(two_way_consensus(fmap, latent1, latent2), naive)


def test_the_printed_trace_is_that_of_the_diagonal_blocks():
    fmap, latent1, latent2 = random(7, 5), random(5, 3, seed=1), random(7, 3, seed=2)
    matrix = consistency_matrix(fmap)
    blocks = (latent1.T @ matrix[:5, :5] @ latent1).trace() + (latent2.T @ matrix[5:, 5:] @ latent2).trace()
    assert torch.allclose(printed_trace(fmap, latent1, latent2), blocks)


def test_the_eigenvalues_of_w_measure_how_far_singular_values_are_from_one():
    fmap = random(6, 6)
    sigma = torch.linalg.svdvals(fmap)
    expected = torch.cat([(1 - sigma) ** 2, (1 + sigma) ** 2]).sort().values
    assert torch.allclose(torch.linalg.eigvalsh(consistency_matrix(fmap)), expected)


@pytest.mark.parametrize(("k2", "k1"), [(6, 6), (7, 5), (5, 7)])
def test_latent_bases_are_the_lowest_eigenvectors_of_w(k2, k1):
    fmap = random(k2, k1)
    latent1, latent2 = latent_bases(fmap, 3)
    assert orthonormality(latent1) < 1e-20
    assert orthonormality(latent2) < 1e-20
    energy = two_way_consensus(fmap, latent1, latent2)
    sigma = torch.linalg.svdvals(fmap)
    assert torch.allclose(energy, 2 * ((sigma - 1) ** 2).sort().values[:3].sum())


def test_latent_bases_of_the_identity_are_shared():
    latent1, latent2 = latent_bases(torch.eye(6), 2)
    assert torch.equal(latent1, latent2)
    assert torch.equal(latent1.abs(), torch.eye(6)[:, :2])


def test_more_latent_functions_than_singular_values_are_refused():
    with pytest.raises(ValueError, match="latent_dim=6 must lie between 1 and 5"):
        latent_bases(random(7, 5), 6)


def test_the_consensus_of_square_orthogonal_bases_is_soft_orthogonality_at_best():
    fmap = random(6, 6)
    best = soft_orthogonality(fmap)
    left, sigma, right = torch.linalg.svd(fmap)
    assert torch.allclose(best, ((sigma - 1) ** 2).sum())
    assert torch.allclose(consensus(fmap, right.T, left), best)
    assert torch.allclose((fmap - nearest_orthogonal(fmap)).square().sum(), best)
    others = [consensus(fmap, orthogonal(6, seed), orthogonal(6, seed + 50)) for seed in range(20)]
    assert min(others) > best


def test_with_square_orthogonal_bases_the_printed_trace_is_weight_decay():
    fmap = random(6, 6)
    traces = [printed_trace(fmap, orthogonal(6, seed), orthogonal(6, seed + 50)) for seed in range(3)]
    assert torch.allclose(torch.stack(traces), 12 + 2 * fmap.square().sum())


def test_batches_are_single_maps_side_by_side():
    fmaps, latent1, latent2 = random(2, 5, 6), random(2, 6, 3, seed=1), random(2, 5, 3, seed=2)
    for energy in (consensus, two_way_consensus, printed_trace):
        single = torch.stack([energy(*one) for one in zip(fmaps, latent1, latent2, strict=True)])
        assert torch.allclose(energy(fmaps, latent1, latent2), single)
    assert torch.allclose(soft_orthogonality(fmaps)[1], soft_orthogonality(fmaps[1]))
    assert torch.allclose(latent_bases(fmaps, 2)[0][1], latent_bases(fmaps[1], 2)[0])
