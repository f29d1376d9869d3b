"""What is read from a denoising U-Net, and the windows that it sees: no diffusion library is named here.

The decoder of Stable Diffusion's U-Net has four up blocks of three residual blocks each. Its features are named by
their stride in pixels of the network's input, as sd-dino names them: ``s5 s4 s3 s2`` (64, 32, 16, 8) are the inputs of
the last residual block of up block 0 to 3, the hidden state followed by the skip from the encoder; ``up0 up1 up2 up3``
are the outputs of the up blocks (DIFT).
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

ENTERING = {"s5": 0, "s4": 1, "s3": 2, "s2": 3}  # features on their way into the last residual block of an up block
LEAVING = {"up0": 0, "up1": 1, "up2": 2, "up3": 3}  # and behind an up block
LAST = 2  # index of the last residual block in an up block
NAMES = (*ENTERING, *LEAVING)


class _Complete(Exception):
    """The last of the wanted features is there: the rest of the network need not run."""


def check_blocks(blocks: Sequence[str]) -> None:
    """Raises ValueError for an empty list, a repeated or an unknown name."""
    unknown = [block for block in blocks if block not in NAMES]
    if unknown or not blocks or len(set(blocks)) < len(blocks):
        raise ValueError(f"blocks={list(blocks)} must name one or several of {' '.join(NAMES)}, none of them twice")


def check_decoder(up_blocks: nn.ModuleList, weights: str) -> None:
    """Raises ValueError where the decoder is not the one of Stable Diffusion 1 and 2."""
    found, expected = [len(cast(nn.ModuleList, block.resnets)) for block in up_blocks], [LAST + 1] * len(ENTERING)
    if found != expected:
        raise ValueError(
            f"{weights} is no Stable Diffusion 1 or 2: residual blocks in each up block {found}, expected {expected}"
        )


def decoder_features(
    up_blocks: nn.ModuleList, run: Callable[[], Any], blocks: Sequence[str], *, keep_skip: bool, early_exit: bool = True
) -> dict[str, Float[Tensor, "b _c _h _w"]]:
    """Features named by ``blocks``, in that order, which pass through the decoder while ``run()`` runs it.

    Without ``keep_skip`` the skip from the encoder is cut off: the hidden state is what the residual block before has
    put out. With ``early_exit`` the run ends when all are there.
    """
    found: dict[str, Tensor] = {}

    def keep(name: str, feature: Tensor) -> None:
        found[name] = feature.float()
        if early_exit and len(found) == len(blocks):
            raise _Complete

    def entering(name: str, hidden: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda _, inputs: keep(name, inputs[0] if keep_skip else inputs[0][:, :hidden])

    def leaving(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda _, __, output: keep(name, output)

    handles = []
    for name in blocks:
        if name in ENTERING:
            resnets = cast(nn.ModuleList, up_blocks[ENTERING[name]].resnets)
            hidden = cast(int, resnets[LAST - 1].out_channels)
            handles.append(resnets[LAST].register_forward_pre_hook(entering(name, hidden)))
        else:
            handles.append(up_blocks[LEAVING[name]].register_forward_hook(leaving(name)))
    try:
        run()
    except _Complete:
        pass
    finally:
        for handle in handles:
            handle.remove()
    return {name: found[name] for name in blocks}


def windows(size: tuple[int, int], window: int) -> list[tuple[slice, slice]]:
    """Rows and columns, in pixels, of the fewest square windows that cover an image.

    The last of each axis is moved back inside.

    The tiling of the sliding inference behind sd-dino's features: an image of 960 pixels has windows at 0 and 448.
    """

    def along(side: int) -> list[slice]:
        starts = [min(start, max(side - window, 0)) for start in range(0, side, window)]
        return [slice(start, min(start + window, side)) for start in starts]

    return list(product(along(size[0]), along(size[1])))


def assemble(
    parts: Sequence[Float[Tensor, "b c _h _w"]], places: Sequence[tuple[slice, slice]], size: tuple[int, int]
) -> Float[Tensor, "b c h w"]:
    """Maps of windows (``places``, in pixels) as one map of the whole image of ``size`` pixels.

    The mean where windows overlap.
    """
    stride = (places[0][0].stop - places[0][0].start) // parts[0].shape[2]
    total = parts[0].new_zeros(*parts[0].shape[:2], size[0] // stride, size[1] // stride)
    count = total.new_zeros(total.shape[2:])
    for part, (rows, cols) in zip(parts, places, strict=True):
        place = slice(rows.start // stride, rows.stop // stride), slice(cols.start // stride, cols.stop // stride)
        total[:, :, *place] += part
        count[place] += 1
    return total / count


def fixed_noise(shape: tuple[int, int, int], n: int, seed: int) -> Float[Tensor, "n c h w"]:
    """``n`` standard normal tensors that depend on the seed and the shape alone; the first is the same for every n."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randn(shape, generator=generator) for _ in range(n)])
