"""DiffusionNet weights that other code bases published, under the names of ``foreign_layouts``."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pullback.nn.diffusion_net import DiffusionNet
from pullback.nn.finite import check_weights
from pullback.nn.foreign_layouts import LAYOUTS, Layout
from pullback.nn.weight_files import WeightsFileError, tensors_of


class ForeignWeightsError(WeightsFileError):
    """A file holds no DiffusionNet, more than one, or one that is built differently."""


@dataclass(frozen=True)
class Part:
    """A tensor of the network with its name in the file."""

    written: str
    value: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.value.shape)


@dataclass(frozen=True)
class FoundNetwork:
    """A DiffusionNet in a file, by names common to all layouts, and what else the file holds."""

    layout: str
    prefix: str  # what precedes the names of the network, such as ``networks.feature_extractor.``
    parts: Mapping[str, Part]  # by names such as ``blocks.0.mlp.1.weight``: the linear layers of a block count from 0
    gradient_features: str | None
    strange: Sequence[str]  # names in the network that have no place in ours
    around: Sequence[str]  # names of tensors outside

    def ignored(self) -> str:
        """What is around the network in words: ``feat_refiner (12 tensors), overlap (1 tensor)``.

        Empty when there is nothing.
        """
        common = self._beside
        depth = len(common.split("."))
        counts = Counter(
            ".".join(name.split(".")[:depth]) if name.startswith(common) else name.split(".")[0] for name in self.around
        )
        return ", ".join(f"{name} ({n} tensor{'s' if n > 1 else ''})" for name, n in counts.items())

    @property
    def _beside(self) -> str:
        """What precedes the names of the network and its neighbours."""
        return self.prefix[: self.prefix.rstrip(".").rfind(".") + 1]

    @property
    def authors(self) -> str:
        """Whose file it is, as far as the names tell: DPFM has an extractor and a refiner of its features."""
        refiner = f"{self._beside}feat_refiner."
        if self.layout == "diffusion-net" and any(name.startswith(refiner) for name in self.around):
            return "DPFM"
        return {"ulrssm": "ULRSSM", "pullback": "Pullback"}.get(self.layout, self.layout)

    @property
    def channels(self) -> int | None:
        """How many input features each vertex has."""
        first = self.parts.get("first.weight")
        return None if first is None else first.shape[1]

    @property
    def inputs(self) -> str | None:
        """What the input features are, where their number says it: XYZ, HKS (of diffusion-net's 16 times) or WKS."""
        known = {3: "XYZ", 128: "WKS"} | ({16: "HKS"} if self.layout == "diffusion-net" else {})
        return known.get(self.channels or 0)

    @property
    def read_out(self) -> str | None:
        """The solver that reads maps off the features as the authors do, by its name in ``configs/solver``.

        ULRSSM take the neighbours of features where these come from coordinates, as for SMAL. None where the file
        does not tell.
        """
        if self.authors == "ULRSSM":
            return "two_branch_features" if self.inputs == "XYZ" else "two_branch"
        if self.authors == "DPFM":
            return "dpfm"
        bare = self.layout == "diffusion-net" and not self.prefix
        return "regularised" if bare and self.inputs in ("XYZ", "HKS") else None

    def options(self) -> dict[str, int | str | None]:
        """What ``DiffusionNet`` is to be built with, as far as the tensors show it."""
        first, last = self.parts.get("first.weight"), self.parts.get("last.weight")
        return {
            "backbone.descriptor.channels": first.shape[1] if first else None,
            "backbone.network.out_channels": last.shape[0] if last else None,
            "backbone.network.width": first.shape[0] if first else None,
            "backbone.network.n_blocks": len({name.split(".")[1] for name in self.parts if name.startswith("blocks.")}),
            "backbone.network.gradient_features": self.gradient_features,
        }


def find_network(content: Any) -> FoundNetwork:
    """The DiffusionNet in a checkpoint; of several, the one called ``feature_extractor``.

    Raises ForeignWeightsError when there is none, or several of which not exactly one has that name.
    """
    tensors = dict(tensors_of(content))
    found = [(layout, prefix) for layout in LAYOUTS for prefix in _prefixes(layout, tensors)]
    if not found:
        shown = ", ".join([*list(tensors)[:5], *["…"] * (len(tensors) > 5)]) or "no tensor at all"
        names = ", ".join(layout.name for layout in LAYOUTS)
        raise ForeignWeightsError(f"holds no DiffusionNet with the names of {names}, but {shown}")
    usual = [(layout, prefix) for layout, prefix in found if prefix.endswith("feature_extractor.")]
    chosen = found if len(found) == 1 else usual
    if len(chosen) != 1:
        names = ", ".join(prefix.rstrip(".") or "one without a name" for _, prefix in found)
        raise ForeignWeightsError(
            f"holds {len(found)} DiffusionNets ({names}) and does not say which of them gives the features; write "
            "the one that is meant "
            'to a file of its own, as in torch.save(torch.load(FILE)["networks"]["NAME"], "features.pth")'
        )
    return _named_in_common(*chosen[0], tensors, _stated_form(content))


def _stated_form(content: Any) -> str | None:
    """The form of the gradient products that the configuration in a checkpoint of ours tells."""
    for key in ("config", "backbone", "network"):
        content = content.get(key) if isinstance(content, Mapping) else None
    return content.get("gradient_features", "complex") if isinstance(content, Mapping) else "complex"


def _prefixes(layout: Layout, tensors: Mapping[str, Tensor]) -> list[str]:
    """What precedes the names of each network in this layout: told by the diffusion times of its first block."""
    times = re.compile(rf"((?:.*\.)?){layout.block}\.{layout.times}")
    return [match[1] for name in tensors if (match := times.fullmatch(name)) and match[2] == "0"]


def _named_in_common(layout: Layout, prefix: str, tensors: Mapping[str, Tensor], stated: str | None) -> FoundNetwork:
    inside = {
        name: tensors[name]
        for name in tensors
        if name.startswith(prefix) and layout.is_inside(name.removeprefix(prefix))
    }
    common = {name: layout.common_name(name.removeprefix(prefix)) for name in inside}
    strange = [name for name, ours in common.items() if ours is None]
    parts = _layers_counted({ours: Part(name, inside[name]) for name, ours in common.items() if ours is not None})
    forms = {name.rsplit(".", 1)[1] for name in parts if ".products." in name}
    known = layout.gradient_features or stated
    form = None if not forms else "complex" if forms == {"A"} else known  # both code bases read A alone alike
    around = [name for name in tensors if name not in inside]
    return FoundNetwork(layout.name, prefix, _with_rotations(parts), form, strange, around)


def _layers_counted(parts: Mapping[str, Part]) -> dict[str, Part]:
    """Linear layers by their rank in the block: ours are numbered with what lies between them, others from 0."""
    numbers = sorted({int(name.split(".")[3]) for name in parts if ".mlp." in name})
    rank = {str(number): str(i) for i, number in enumerate(numbers)}
    split = {name: name.split(".") for name in parts}
    return {
        ".".join([*words[:3], rank[str(int(words[3]))], words[4]]) if ".mlp." in name else name: parts[name]
        for name, words in split.items()
    }


def _with_rotations(parts: Mapping[str, Part]) -> dict[str, Part]:
    """Gradient products as A_re and A_im: a network without rotations has A_re = A and A_im = 0."""
    result: dict[str, Part] = {}
    for name, part in parts.items():
        if name.endswith(".products.A"):
            result |= {
                f"{name[:-1]}a_re": part,
                f"{name[:-1]}a_im": Part(f"(zero, beside {part.written})", torch.zeros_like(part.value)),
            }
        else:
            result[name.replace(".A_", ".a_")] = part
    return result


def load_foreign(backbone: nn.Module, content: Any, *, source: str = "the file") -> FoundNetwork:
    """Puts the DiffusionNet weights of a checkpoint into the network of a backbone; says what was found.

    Raises ForeignWeightsError naming the layer and both shapes, and the overrides of the backbone that would fit;
    NotFiniteError, beginning with ``source``, for weights that are no numbers.
    """
    network = getattr(backbone, "network", None)
    if not isinstance(network, DiffusionNet):
        name = type(backbone).__name__
        raise ForeignWeightsError(
            f"is to fill a DiffusionNet, but the backbone is a {name}; use backbone=diffusion_net"
        )
    found, ours = find_network(content), find_network({**network.state_dict(), "config": _config_of(network)})
    problems = [f"{name} is no part of our DiffusionNet" for name in found.strange]
    for name in [*ours.parts, *(name for name in found.parts if name not in ours.parts)]:
        here, there = ours.parts.get(name), found.parts.get(name)
        if there is None:
            problems.append(f"{name} ({ours.parts[name].written}) does not exist in the file")
        elif here is None:
            problems.append(f"{name} ({there.written}) does not exist in the backbone")
        elif here.shape != there.shape:
            problems.append(
                f"{name} ({there.written}) has the shape {there.shape} in the file and {here.shape} in the backbone"
            )
    changes = {key: value for key, value in found.options().items() if value != ours.options()[key]}
    if problems or changes:
        raise ForeignWeightsError(_refusal(problems, changes, of_coordinates=network.first.in_features == 3))
    check_weights({part.written: part.value for part in found.parts.values()}, source=source)
    network.load_state_dict({part.written: found.parts[name].value for name, part in ours.parts.items()})
    return found


def _config_of(network: DiffusionNet) -> dict[str, Any]:
    products: Any = network.blocks[0].products
    return {"backbone": {"network": {"gradient_features": products and products.variant}}}


def _refusal(problems: Sequence[str], changes: Mapping[str, int | str | None], *, of_coordinates: bool) -> str:
    """Why weights do not fit, and what to type."""
    first = problems[0] if problems else "its gradient products have another form than those of the backbone"
    more = f" ({len(problems) - 1} more of the kind)" if len(problems) > 1 else ""
    if not changes or any(
        value is None and key != "backbone.network.gradient_features" for key, value in changes.items()
    ):
        if first.endswith("in the file"):
            return f"does not fit: {first}{more}. The file is not whole, or its network is built otherwise than ours"
        ours = "its blocks have two hidden layers of the network's width"
        return f"does not fit: {first}{more}. No option of the backbone changes that: {ours}"
    typed = [f"{key}={'null' if value is None else value}" for key, value in changes.items()]
    if changes.get("backbone.descriptor.channels") == 3:
        typed[0] = "backbone=diffusion_net_xyz"
    elif of_coordinates and "backbone.descriptor.channels" in changes:
        typed.insert(0, "backbone=diffusion_net")
    return f"does not fit: {first}{more}. It would with {' '.join(typed)}"
