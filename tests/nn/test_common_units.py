"""Features of a part in the units of the whole."""

import pytest
import torch
from torch import nn

from pullback.geometry.descriptors import wave_kernel_signature
from pullback.nn.backbone import Backbone
from pullback.nn.common_units import CommonUnits, resized
from pullback.nn.descriptor import WKS
from pullback.nn.diffusion_net import DiffusionNet


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return Backbone(WKS(16, k=40), DiffusionNet(in_channels=16, out_channels=8, width=16, k=40), normalise="unit_rows")


@torch.no_grad()
def test_a_part_that_is_everything_has_the_features_of_the_whole(tiny_shape, network):
    for backbone in (network.eval(), nn.Identity()):
        units = CommonUnits.of(backbone, tiny_shape)
        torch.testing.assert_close(units.of_part(tiny_shape, 1.0), units.feat)


@torch.no_grad()
def test_the_whole_has_the_features_that_it_has_alone(tiny_shape, network):
    torch.testing.assert_close(
        CommonUnits.of(network.eval(), tiny_shape).feat, network(tiny_shape), atol=1e-4, rtol=1e-4
    )


def test_wave_kernels_of_the_whole_at_its_own_energies_are_its_signature(tiny_shape):
    units = CommonUnits.of(nn.Identity(), tiny_shape)
    torch.testing.assert_close(units.feat, wave_kernel_signature(tiny_shape.basis), atol=1e-4, rtol=1e-4)


def test_a_resized_shape_vibrates_and_slopes_as_one_of_that_size(tiny_shape):
    small = resized(tiny_shape, 0.25)
    basis = small.basis
    assert float(basis.mass.sum()) == pytest.approx(0.25, rel=1e-5)
    torch.testing.assert_close(basis.project(basis.evecs), torch.eye(basis.k), atol=1e-4, rtol=0)
    torch.testing.assert_close(basis.evals, 4 * tiny_shape.basis.evals)
    torch.testing.assert_close(small.verts, tiny_shape.verts / 2)
    # the slope of the height is what it was: both are half as large
    torch.testing.assert_close(small.grad_x @ small.verts, tiny_shape.grad_x @ tiny_shape.verts, atol=1e-5, rtol=1e-4)
