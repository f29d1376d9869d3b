"""What a file of weights by other authors settles: the network, its inputs, and how its authors read maps off it.

``weights=FILE`` alone is then enough. What is typed wins over what the file would have; where the two cannot both be,
loading the weights refuses it.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, open_dict

from pullback.runtime.settings import as_written
from pullback.tasks.training.shipped import weights_file

if TYPE_CHECKING:
    from pullback.nn.foreign_weights import FoundNetwork

log = logging.getLogger(__name__)

# Backbones by what a network is fed.
_BACKBONES = {"XYZ": "diffusion_net_xyz", "HKS": "diffusion_net_hks_fixed", "WKS": "diffusion_net"}
_DESCRIPTORS = {"XYZ": "XYZ", "HKS": "FixedHKS", "WKS": "WKS"}  # the last words of their classes


def settled(cfg: DictConfig, program: str | None, overrides: Sequence[str]) -> DictConfig:
    """The configuration with what its ``weights`` settle, which stands in ``weights_settle``.

    ``overrides`` are those that were typed: they win. Raises WeightsFileError, naming the file, for one that is no
    file of weights.
    """
    path = _file(cfg)
    if path is None:
        return cfg
    typed = [one.key_or_group for one in OverridesParser.create().parse_overrides(list(overrides))]
    chosen = as_written(cfg)["backbone"]
    if not path.is_file():  # the checks say so
        wanted = ["backbone=diffusion_net"] if program == "match" and "backbone" not in typed else []
        return _composed(cfg, program, [*wanted, *overrides]) if wanted else cfg
    if not _is_diffusion_net(chosen) and ("backbone" in typed or program != "match"):
        return cfg  # another backbone was chosen: the checks say that weights are of no use to it
    from pullback.tasks.training.weights import network_in  # torch

    found = network_in(path)
    wanted = [*_backbone(found, chosen, typed), *_read_out(found, typed, cfg, program)]
    new = [text for text in wanted if text.split("=")[0] not in typed]
    if not new:
        return cfg
    result = _composed(cfg, program, [*new, *overrides])
    with open_dict(result):
        result.weights_settle = new
    log.info("weights=%s is a file of %s, which settles %s", path, found.authors, " ".join(new))
    return result


def _composed(cfg: DictConfig, program: str | None, overrides: Sequence[str]) -> DictConfig:
    result = compose(program, overrides=list(overrides))
    with open_dict(result):
        result.paths.output_dir = cfg.paths.output_dir
    return result


def _file(cfg: DictConfig) -> Path | None:
    """The file of weights that a network of meshes is to be filled with, where there is one."""
    if cfg.get("weights") is None or cfg.get("kind") != "mesh" or cfg.get("ckpt") is not None:
        return None
    path = weights_file(str(cfg.weights))
    return path if "match" in cfg.get("run", ["match"]) else None


def _is_diffusion_net(backbone: Mapping[str, Any] | None) -> bool:
    network = (backbone or {}).get("network")
    return isinstance(network, Mapping) and str(network.get("_target_")).endswith(".DiffusionNet")


def _backbone(found: "FoundNetwork", chosen: Mapping[str, Any], typed: Sequence[str]) -> list[str]:
    """The backbone that the tensors show, and the input features that their number of channels stands for."""
    inputs, descriptor = found.inputs or "WKS", chosen.get("descriptor", {})
    if found.inputs is None and not {"backbone", "backbone.descriptor.channels"} & set(typed):
        log.warning(
            "%s input channels do not say what features they are; these weights get wave kernel signatures. "
            "backbone=diffusion_net_hks would give them heat kernel signatures",
            found.channels,
        )
    fits = _is_diffusion_net(chosen) and str(descriptor.get("_target_")).endswith(_DESCRIPTORS[inputs])
    options = {key: value for key, value in found.options().items() if value is not None or "gradient" in key}
    if "channels" not in descriptor if "backbone" in typed else inputs == "XYZ":
        options.pop("backbone.descriptor.channels", None)
    values = [f"{key}={'null' if value is None else value}" for key, value in options.items()]
    return values if fits else [f"backbone={_BACKBONES[inputs]}", *values]


def _read_out(found: "FoundNetwork", typed: Sequence[str], cfg: DictConfig, program: str | None) -> list[str]:
    """How the authors read a point map off the features; in ``match`` only where its own starts are not wanted."""
    if found.read_out is None or program == "train":
        return []
    if "method" in typed and cfg.get("method_name") != found.authors.lower():
        return []  # another method than theirs has a read-out of its own
    if "source" in cfg and cfg.get("starts") is not None and not _features_alone(cfg):
        return []
    return [f"solver={found.read_out}"]


def _features_alone(cfg: DictConfig) -> bool:
    return all(start.get("only_first") for start in (cfg.starts.get("starts") or ()))
