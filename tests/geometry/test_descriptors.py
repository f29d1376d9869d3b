import math
from dataclasses import replace

import pytest
import torch

from pullback.geometry import descriptors
from pullback.geometry.descriptors import heat_kernel_signature, landmark_wave_kernels, wave_kernel_signature
from pullback.types import Eigenbasis


def slow_wks(basis, n_energies):
    """The definition, energy by energy."""
    evals, evecs = basis.evals[1:], basis.evecs[:, 1:]
    low, high = math.log(evals[0]), math.log(evals[-1])
    sigma = 7 * (high - low) / n_energies
    channels = []
    for step in range(n_energies):
        energy = low + 2 * sigma + (high - low - 4 * sigma) * step / (n_energies - 1)
        weights = torch.exp(-((energy - evals.log()) ** 2) / (2 * sigma**2))
        channel = (evecs**2 * weights).sum(dim=1) / weights.sum()
        channels.append(channel / (basis.mass * channel**2).sum().sqrt())
    return torch.stack(channels, dim=1)


def test_wave_kernel_signature_agrees_with_its_definition(tiny_shape):
    basis = tiny_shape.basis.first(30).to(torch.float64)
    assert torch.allclose(wave_kernel_signature(basis, n_energies=64), slow_wks(basis, 64), rtol=1e-9)


def test_heat_kernel_signature_agrees_with_the_heat_kernel(tiny_shape):
    basis = tiny_shape.basis.first(30).to(torch.float64)
    hks = heat_kernel_signature(basis, n_times=5)
    longest = 4 * math.log(10) / basis.evals[1]
    kernel = (basis.evecs[:, 1:] * torch.exp(-basis.evals[1:] * longest)) @ basis.evecs[:, 1:].T
    expected = kernel.diagonal() / (basis.mass @ kernel.diagonal() ** 2).sqrt()
    assert torch.allclose(hks[:, -1], expected)


@pytest.mark.parametrize("signature", [wave_kernel_signature, heat_kernel_signature])
def test_signatures_do_not_see_eigenvector_signs(tiny_shape, signature):
    basis = tiny_shape.basis
    flipped = Eigenbasis(basis.evals, basis.evecs * torch.tensor([1.0, -1.0]).repeat(basis.k)[: basis.k], basis.mass)
    assert torch.equal(signature(basis), signature(flipped))


@pytest.mark.parametrize("signature", [wave_kernel_signature, heat_kernel_signature])
def test_a_basis_of_constants_alone_is_refused(tiny_shape, signature):
    with pytest.raises(ValueError, match="at least 2 different positive eigenvalues"):
        signature(tiny_shape.basis.first(1))


def test_landmark_kernels_agree_with_the_sum_over_eigenfunctions(tiny_shape):
    basis, landmarks = tiny_shape.basis.first(30).to(torch.float64), torch.tensor([5, 77, 300])
    feat = landmark_wave_kernels(basis, landmarks, n_energies=4)
    assert feat.shape == (basis.n, 12)
    logs = basis.evals[1:].log()
    for e in range(4):
        energy = logs[0] + (logs[-1] - logs[0]) * e / 3
        band = torch.exp(-((energy - logs) ** 2) / (2 * ((logs[-1] - logs[0]) / 4) ** 2))
        kernel = ((basis.evecs[:, 1:] * band) @ basis.evecs[:, 1:].T)[:, landmarks]
        torch.testing.assert_close(feat[:, e::4], kernel / (basis.mass[:, None] * kernel**2).sum(dim=0).sqrt())


def test_landmark_kernels_do_not_see_eigenvector_signs(tiny_shape):
    basis, landmarks = tiny_shape.basis.first(30), torch.tensor([5, 77, 300])
    signs = torch.where(torch.arange(30) % 3 == 0, -1.0, 1.0)
    flipped = landmark_wave_kernels(replace(basis, evecs=basis.evecs * signs), landmarks)
    torch.testing.assert_close(flipped, landmark_wave_kernels(basis, landmarks))


@pytest.mark.parametrize("squared", [True, False])
def test_signatures_are_the_same_computed_in_blocks_of_rows(tiny_shape, monkeypatch, squared):
    basis = tiny_shape.basis.first(30).to(torch.float64)
    compute = wave_kernel_signature if squared else lambda basis: landmark_wave_kernels(basis, torch.tensor([1, 2]))
    whole = compute(basis)
    monkeypatch.setattr(descriptors, "_ROWS", 100)
    torch.testing.assert_close(compute(basis), whole, rtol=1e-12, atol=1e-14)
