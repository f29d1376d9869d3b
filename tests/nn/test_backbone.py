from dataclasses import replace

import pytest
import torch

from pullback.geometry.descriptors import wave_kernel_signature
from pullback.nn.backbone import Backbone, LandmarkFeatures, RawDescriptor
from pullback.nn.descriptor import HKS, WKS, XYZ, LandmarkKernels, NoisyWKS
from pullback.nn.diffusion_net import DiffusionNet


def backbone(normalise=None):
    torch.manual_seed(0)
    return Backbone(WKS(16, k=20), DiffusionNet(16, 6, width=8, n_blocks=1, k=20), normalise=normalise)


def test_the_raw_descriptor_is_the_signature_itself(tiny_shape):
    raw = RawDescriptor(WKS(16, k=20))
    assert torch.equal(raw(tiny_shape), wave_kernel_signature(tiny_shape.basis.first(20), n_energies=16))
    assert list(raw.parameters()) == []


def test_unit_rows_lie_on_the_sphere_around_the_mean_feature(tiny_shape):
    plain, unit = backbone()(tiny_shape), backbone("unit_rows")(tiny_shape)
    centred = plain - (tiny_shape.basis.mass[:, None] * plain).sum(dim=0)
    assert torch.allclose(unit.norm(dim=1), torch.ones(tiny_shape.n), atol=1e-5)
    assert torch.allclose(unit, centred / centred.norm(dim=1, keepdim=True), atol=5e-3)


def test_standardised_channels_have_mean_0_and_variance_1(tiny_shape):
    feat = backbone("standardise")(tiny_shape)
    mass = tiny_shape.basis.mass[:, None]
    assert (mass * feat).sum(dim=0).abs().max() < 1e-4
    assert torch.allclose((mass * feat**2).sum(dim=0), torch.ones(6), atol=1e-2)


def test_half_precision_reaches_the_network_and_spares_descriptor_and_output(tiny_shape):
    net = backbone()
    seen = []
    net.network.first.register_forward_hook(lambda module, inputs, output: seen.append((inputs[0].dtype, output.dtype)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = net(tiny_shape)
    assert seen == [(torch.float32, torch.bfloat16)]
    assert half.dtype == torch.float32
    assert torch.allclose(half, net(tiny_shape), atol=0.05)


def test_coordinates_are_augmented_in_training_only(tiny_shape):
    xyz = XYZ(rotation=90.0, axes="all", scale=0.1, noise=0.01)
    assert torch.equal(xyz.eval()(tiny_shape), tiny_shape.verts)
    xyz.train()
    assert not torch.allclose(xyz(tiny_shape), tiny_shape.verts, atol=1e-3)


def test_rotation_about_y_keeps_heights_and_distances(tiny_shape):
    turned = XYZ(rotation=180.0, axes="y", scale=0.0, noise=0.0).train()(tiny_shape)
    assert torch.allclose(turned[:, 1], tiny_shape.verts[:, 1], atol=1e-6)
    assert torch.allclose(torch.cdist(turned, turned), torch.cdist(tiny_shape.verts, tiny_shape.verts), atol=1e-2)


def test_full_rotations_keep_distances_and_take_every_direction_alike(tiny_shape):
    xyz = XYZ(axes="full", scale=0.0, noise=0.0).train()
    turned = [xyz(tiny_shape) for _ in range(200)]
    assert torch.allclose(torch.cdist(turned[0], turned[0]), torch.cdist(tiny_shape.verts, tiny_shape.verts), atol=1e-2)
    volume = [torch.linalg.det(verts[tiny_shape.faces[0]]) for verts in (turned[0], tiny_shape.verts)]
    assert torch.allclose(*volume, atol=1e-5)  # no reflection
    directions = torch.stack([verts[0] / verts[0].norm() for verts in turned])
    assert directions.mean(dim=0).norm() < 0.25
    assert torch.allclose(directions.T @ directions / 200, torch.eye(3) / 3, atol=0.12)


@pytest.mark.parametrize(("axes", "minds"), [("y", True), ("all", True), ("full", False)])
def test_coordinates_want_shapes_that_lie_alike_unless_all_rotations_are_learned(axes, minds):
    assert XYZ(axes=axes).wants_alignment == minds
    assert not WKS(16, k=20).wants_alignment


@pytest.mark.parametrize("descriptor", [WKS(16, k=20), HKS(16, k=20), XYZ()])
def test_descriptors_have_the_number_of_channels_they_announce(tiny_shape, descriptor):
    assert descriptor(tiny_shape).shape == (tiny_shape.n, descriptor.channels)


def test_a_descriptor_of_more_eigenfunctions_than_stored_says_what_to_type(tiny_shape):
    short = replace(tiny_shape, basis=tiny_shape.basis.first(10))
    with pytest.raises(ValueError, match=r"data\.k=20"):
        WKS(16, k=20)(short)


def test_an_unknown_normalisation_is_refused_by_name():
    with pytest.raises(ValueError, match="normalise='l1'"):
        backbone("l1")


def test_an_unknown_axis_of_rotation_is_refused_by_name():
    with pytest.raises(ValueError, match=r"axes='z' is unknown"):
        XYZ(axes="z")


def test_features_from_landmarks_follow_a_renumbering_of_the_vertices(tiny_pair):
    features = LandmarkFeatures(LandmarkKernels(n_energies=6, k=30))
    landmarks2 = torch.tensor([3, 100, 250, 500])
    landmarks1 = tiny_pair.corr1[landmarks2]
    feat1, feat2 = features(tiny_pair.shape1, landmarks1), features(tiny_pair.shape2, landmarks2)
    assert feat1.shape == (tiny_pair.shape1.n, 24)
    torch.testing.assert_close(feat2, feat1[tiny_pair.corr1], rtol=1e-3, atol=1e-3)
    assert not torch.allclose(feat2, features(tiny_pair.shape1, landmarks2)[tiny_pair.corr1], atol=0.1)


def test_noise_on_wave_kernels_is_there_in_training_alone(tiny_shape):
    noisy, plain = NoisyWKS(16, k=20, band=4), WKS(16, k=20)
    torch.manual_seed(0)
    first, second = noisy.train()(tiny_shape), noisy(tiny_shape)
    assert torch.isfinite(first).all()
    assert not torch.allclose(first, second)
    assert torch.equal(noisy.eval()(tiny_shape), plain(tiny_shape))


def test_noise_on_wave_kernels_silences_a_band_of_neighbouring_channels(tiny_shape):
    silent = NoisyWKS(16, k=20, evals=0.0, gain=0.0, channel_gain=0.0, band=4, band_share=1.0).train()(tiny_shape)
    quiet = (silent == 0).all(dim=0).nonzero().flatten()
    assert len(quiet) == 4
    assert int(quiet[-1] - quiet[0]) == 3
    heard = ~(silent == 0).all(dim=0)
    torch.testing.assert_close(silent[:, heard], WKS(16, k=20)(tiny_shape)[:, heard])


def test_noise_on_wave_kernels_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"band=16 is out of range; give a number from 0 to 15"):
        NoisyWKS(16, band=16)
