"""How code bases name the parts of a DiffusionNet in the weights that they publish.

Three layouts are known by the names of their modules: that of diffusion-net (also the official code of this method,
AttentiveFMaps, DPFM and DeepShapeMatchingKit), that of ULRSSM (also hybridfmaps and other descendants) and our own. The
layout also tells the form of the gradient products (see ``GradientProducts``), which no tensor shows.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Layout:
    """What a code base calls the parts of a DiffusionNet, as regular expressions."""

    name: str
    first: str
    last: str
    block: str
    times: str
    products: str  # the module of A_re and A_im, or of A alone where gradients are not rotated
    linear: str
    gradient_features: str | None  # the form of the products; None where the configuration in the file says it

    def common_name(self, name: str) -> str | None:
        """``block_0.mlp.miniMLP_mlp_layer_001.weight`` → ``blocks.0.mlp.1.weight``.

        None for what is no part of a DiffusionNet.
        """
        for pattern, common in (
            (rf"{self.first}\.(weight|bias)", r"first.\1"),
            (rf"{self.last}\.(weight|bias)", r"last.\1"),
            (rf"{self.block}\.{self.times}", r"blocks.\1.times"),
            (rf"{self.block}\.{self.products}\.(A|A_re|A_im|a_re|a_im)\.weight", r"blocks.\1.products.\2"),
            (rf"{self.block}\.{self.linear}\.(weight|bias)", r"blocks.\1.mlp.\2.\3"),
        ):
            if match := re.fullmatch(pattern, name):
                return match.expand(common)
        return None

    def is_inside(self, name: str) -> bool:
        """Whether a name is that of something in the network, known or not."""
        return re.match(rf"({self.first}|{self.last}|{self.block})\.", name) is not None


_DIFFUSION_TIME, _GRADIENTS = r"diffusion\.diffusion_time", "gradient_features"
LAYOUTS = (
    Layout(
        "diffusion-net",
        "first_lin",
        "last_lin",
        r"block_(\d+)",
        _DIFFUSION_TIME,
        _GRADIENTS,
        r"mlp\.\w+_layer_(\d+)",
        "complex",
    ),
    Layout(
        "ulrssm",
        "first_linear",
        "last_linear",
        r"blocks\.(\d+)",
        _DIFFUSION_TIME,
        _GRADIENTS,
        r"mlp\.\w+_linear_(\d+)",
        "ulrssm",
    ),
    Layout("pullback", "first", "last", r"blocks\.(\d+)", r"diffusion\.times", "products", r"mlp\.(\d+)", None),
)
