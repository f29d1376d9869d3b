from dataclasses import replace

import pytest
import torch
from tests.meshes import rolled_frames

from pullback.nn.diffusion_net import DiffusionNet, GradientProducts, LearnedDiffusion, spectral_operators


def network(**options):
    torch.manual_seed(0)
    net = DiffusionNet(3, 5, width=16, n_blocks=2, k=20, time_init="log_uniform", **options)
    return net.eval()


def inputs_for(shape):
    return torch.stack([shape.verts.norm(dim=1), shape.basis.evecs[:, 1], shape.basis.evecs[:, 2] ** 2], dim=1)


def slow_block(block, x, shape, k):
    """The equations with sparse gradients, term by term."""
    basis = shape.basis.first(k)
    times = block.diffusion.times.clamp_min(1e-8)
    diffused = torch.stack(
        [basis.evecs @ (torch.exp(-basis.evals * t) * basis.project(x[:, c])) for c, t in enumerate(times)], dim=1
    )
    u = torch.complex((shape.grad_x @ diffused), (shape.grad_y @ diffused))
    matrix = torch.complex(block.products.a_re.weight, block.products.a_im.weight)
    products = torch.tanh((u.conj() * (u @ matrix.T)).real)
    return x + block.mlp(torch.cat([x, diffused, products], dim=1))


def test_a_block_agrees_with_the_equations_of_the_paper(tiny_shape):
    block = network().blocks[0]
    x = torch.randn(tiny_shape.n, 16)
    expected = slow_block(block, x, tiny_shape, 20)
    assert torch.allclose(block(x, spectral_operators(tiny_shape, k=20)), expected, atol=1e-4)


def test_features_follow_a_permutation_of_the_vertices(tiny_pair):
    """Shape 2 is shape 1 with permuted vertices: nothing but the order may change."""
    net = network()
    one, two = (net(inputs_for(replace_signs(shape)), shape) for shape in (tiny_pair.shape1, tiny_pair.shape2))
    assert torch.allclose(two[tiny_pair.corr2], one[tiny_pair.corr1], atol=1e-3)


def replace_signs(shape):
    """Inputs that do not depend on eigenvector signs."""
    basis = shape.basis
    return replace(shape, basis=replace(basis, evecs=basis.evecs.abs()))


def test_complex_gradient_features_do_not_depend_on_the_tangent_frames(tiny_shape):
    net, x = network(gradient_features="complex"), inputs_for(tiny_shape)
    assert torch.allclose(net(x, tiny_shape), net(x, rolled_frames(tiny_shape)), atol=1e-4)


def test_the_other_published_variant_does_depend_on_the_tangent_frames(tiny_shape):
    net, x = network(gradient_features="ulrssm"), inputs_for(tiny_shape)
    assert not torch.allclose(net(x, tiny_shape), net(x, rolled_frames(tiny_shape)), atol=1e-3)


def test_gradient_features_tell_a_shape_from_its_mirror_image(tiny_shape):
    """Reversing the second tangent vector reverses the orientation; without gradient features nothing could tell."""
    mirrored = replace(tiny_shape, grad_y=-1 * tiny_shape.grad_y)
    x = inputs_for(tiny_shape)
    assert not torch.allclose(network()(x, tiny_shape), network()(x, mirrored), atol=1e-3)
    blind = network(gradient_features=None)
    assert torch.equal(blind(x, tiny_shape), blind(x, mirrored))


def test_eigenvector_signs_do_not_reach_the_features(tiny_shape):
    basis = tiny_shape.basis
    flipped = replace(
        tiny_shape, basis=replace(basis, evecs=basis.evecs * torch.tensor([1.0, -1.0]).repeat(basis.k)[: basis.k])
    )
    x = inputs_for(tiny_shape)
    assert torch.allclose(network()(x, tiny_shape), network()(x, flipped), atol=1e-5)


def test_the_two_gradient_variants_differ_only_in_the_imaginary_part():
    x, y = torch.randn(7, 4), torch.randn(7, 4)
    one, other = GradientProducts(4, variant="complex"), GradientProducts(4, variant="ulrssm")
    other.load_state_dict(one.state_dict())
    re = x @ one.a_re.weight.T - y @ one.a_im.weight.T
    assert torch.allclose(
        one(x, y), torch.tanh(x * re + y * (y @ one.a_re.weight.T + x @ one.a_im.weight.T)), atol=1e-6
    )
    assert torch.allclose(
        other(x, y), torch.tanh(x * re + y * (x @ one.a_re.weight.T + y @ one.a_im.weight.T)), atol=1e-6
    )


def test_dropout_acts_in_training_only(tiny_shape):
    net, x = network(dropout=0.5), inputs_for(tiny_shape)
    assert torch.equal(net(x, tiny_shape), net(x, tiny_shape))
    net.train()
    assert not torch.equal(net(x, tiny_shape), net(x, tiny_shape))


def test_every_parameter_receives_a_gradient(tiny_shape):
    net = network()
    net(inputs_for(tiny_shape), tiny_shape).square().sum().backward()
    silent = [
        name
        for name, parameter in net.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max() > 0
    ]
    assert silent == []


@pytest.mark.parametrize("options", [{"gradient_features": "quaternion"}, {"time_init": "random"}])
def test_unknown_options_are_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options.values()))):
        DiffusionNet(3, 5, **options)


def test_diffusion_times_that_start_at_zero_learn(tiny_shape):
    """The gradient may lift a time from the floor; it does not push it further below."""
    diffusion = LearnedDiffusion(3, time_init="zero")
    with torch.no_grad():
        diffusion.times[2] = 0.01
    coeffs, evals = torch.ones(20, 3), tiny_shape.basis.evals[:20]
    more, less = diffusion(coeffs, evals)[:, [0, 2]].sum(), -diffusion(coeffs, evals)[:, 1].sum()
    # gradient descent on a sum of coefficients asks for longer times, on its opposite for shorter ones
    (more + less).backward()
    assert diffusion.times.grad[0] < 0 and diffusion.times.grad[1] == 0
    torch.testing.assert_close(diffusion.times.grad[2], -(evals * torch.exp(-0.01 * evals)).sum())


def test_heat_that_spreads_far_leaves_no_subnormal_coefficients():
    """Products with subnormal numbers take a CPU five times as long, and change nothing."""
    diffusion = LearnedDiffusion(40, time_init="zero")
    with torch.no_grad():
        diffusion.times.copy_(torch.linspace(0.01, 1, 40))
    evals = torch.linspace(0, 400, 128)
    damping = torch.exp(-evals[:, None] * diffusion.times)
    tiny = torch.finfo(torch.float32).tiny
    assert ((damping > 0) & (damping < tiny)).any()
    coeffs = torch.full((128, 40), 0.3)
    damped = diffusion(coeffs, evals)
    assert not ((damped > 0) & (damped < tiny)).any()
    functions = torch.randn(50, 128)
    assert torch.equal(functions @ damped, functions @ (coeffs * damping))
