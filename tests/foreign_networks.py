"""DiffusionNets with the module names and equations of other code bases, written down anew:
what their weight files hold, and compute.
"""

import torch
from torch import nn


class GradientFeatures(nn.Module):
    """``form`` is complex (A u), ulrssm (Re from A u, Im from both parts swapped) or real (A on both parts)."""

    def __init__(self, width, form):
        super().__init__()
        self.form = form
        for name in ["A"] if form == "real" else ["A_re", "A_im"]:
            self.add_module(name, nn.Linear(width, width, bias=False))

    def forward(self, x, y):
        if self.form == "real":
            re, im = self.A(x), self.A(y)
        else:
            re = self.A_re(x) - self.A_im(y)
            im = self.A_re(y) + self.A_im(x) if self.form == "complex" else self.A_re(x) + self.A_im(y)
        return torch.tanh(x * re + y * im)


class Diffusion(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.diffusion_time = nn.Parameter(10 ** torch.linspace(-4, -1, width))


class Block(nn.Module):
    """A block whose linear layers are called ``miniMLP{linear}000`` and so on,
    as in a Sequential with dropout and activations between.
    """

    def __init__(self, width, *, form, linear, hidden=None):
        super().__init__()
        self.diffusion = Diffusion(width)
        if form is not None:
            self.gradient_features = GradientFeatures(width, form)
        self.mlp = nn.Sequential()
        sizes = [width * (2 if form is None else 3), *(hidden or [width, width]), width]
        for i in range(len(sizes) - 1):
            if i > 0:
                self.mlp.add_module(f"dropout_{i}", nn.Dropout(0.5))
            self.mlp.add_module(f"miniMLP{linear}{i:03d}", nn.Linear(sizes[i], sizes[i + 1]))
            if i < len(sizes) - 2:
                self.mlp.add_module(f"act_{i}", nn.ReLU())

    def forward(self, x, shape, k):
        basis = shape.basis.first(k)
        diffused = basis.evecs @ (
            torch.exp(-basis.evals[:, None] * self.diffusion.diffusion_time.clamp_min(1e-8)) * basis.project(x)
        )
        parts = [x, diffused]
        if hasattr(self, "gradient_features"):
            parts.append(self.gradient_features(shape.grad_x @ diffused, shape.grad_y @ diffused))
        return x + self.mlp(torch.cat(parts, dim=1))


class DiffusionNetOfSharp(nn.Module):
    """first_lin, block_0 …, last_lin: diffusion-net, and the extractors of DPFM and of the method's official code."""

    def __init__(self, inputs=12, outputs=6, width=16, n_blocks=2, form="complex", hidden=None):
        super().__init__()
        self.first_lin, self.last_lin = nn.Linear(inputs, width), nn.Linear(width, outputs)
        self.blocks = [Block(width, form=form, linear="_mlp_layer_", hidden=hidden) for _ in range(n_blocks)]
        for i, block in enumerate(self.blocks):
            self.add_module(f"block_{i}", block)

    def forward(self, x, shape, k):
        x = self.first_lin(x)
        for block in self.blocks:
            x = block(x, shape, k)
        return self.last_lin(x)


class DiffusionNetOfUlrssm(nn.Module):
    """first_linear, blocks.0 …, last_linear, and the other form of the gradient features."""

    def __init__(self, inputs=12, outputs=6, width=16, n_blocks=2, form="ulrssm"):
        super().__init__()
        self.first_linear, self.last_linear = nn.Linear(inputs, width), nn.Linear(width, outputs)
        self.blocks = nn.ModuleList(Block(width, form=form, linear="_linear_") for _ in range(n_blocks))

    def forward(self, x, shape, k):
        x = self.first_linear(x)
        for block in self.blocks:
            x = block(x, shape, k)
        return self.last_linear(x)


def ulrssm_checkpoint(network, *, parallel=""):
    """What its training writes: networks by name, optimisers and schedulers beside them."""
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    sum(parameter.sum() for parameter in network.parameters()).backward()
    optimizer.step()
    state = {f"{parallel}{name}": value for name, value in network.state_dict().items()}
    return {
        "networks": {"feature_extractor": state, "fmap_net": {}, "permutation": {}},
        "epoch": 3,
        "iter": 400,
        "optimizers": {"feature_extractor": optimizer.state_dict()},
        "schedulers": {"feature_extractor": {"T_max": 10, "last_epoch": 3}},
    }


def dpfm_state(extractor):
    """A network with a DiffusionNet as its extractor,
    and a refiner around it that also has a first_lin and a last_lin.
    """
    around = nn.ModuleDict(
        {"first_lin": nn.Linear(6, 8), "last_lin": nn.Linear(8, 6), "layers": nn.ModuleList([nn.Conv1d(8, 8, 1)])}
    )
    whole = nn.ModuleDict({"feature_extractor": extractor, "feat_refiner": around})
    return whole.state_dict()
