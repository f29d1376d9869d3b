"""What ``match.py`` does with a checked configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from pullback.data.shapes import load_shape
from pullback.runtime.origin import refinement, rule_of
from pullback.runtime.settings import made, plain
from pullback.tasks.matching import match_shapes, write_match
from pullback.tasks.weights import load_weights


def match_files(cfg: DictConfig, checkpoint: Mapping[str, Any] | None = None) -> None:
    """Matches ``source`` and ``target`` and prints what was done, how, and where the results are."""
    torch.manual_seed(cfg.seed)
    model = nn.ModuleDict({"backbone": made(cfg.backbone)})
    if checkpoint is not None:
        load_weights(model, checkpoint)
    features = cfg.backbone.get("network", cfg.backbone.descriptor)._target_.rsplit(".", 1)[-1]
    method = f"{features}, {refinement(plain(cfg.solver))}; weights: {rule_of(cfg, model, checkpoint)}"
    source, target = (load_shape(path, made(cfg.data), cfg.paths.cache_dir) for path in (cfg.source, cfg.target))
    for prepared, path in ((source, cfg.source), (target, cfg.target)):
        print(f"{path}: {prepared.shape.n} vertices", *prepared.notes, sep="; ")
    result = match_shapes(source, target, model["backbone"], made(cfg.solver), device=device_named(cfg.device))
    folder, config = Path(cfg.paths.output_dir), OmegaConf.create(plain(cfg))
    OmegaConf.save(config, folder / "config.yaml")
    report = write_match(folder, result, method=method, view=made(cfg.view), config=OmegaConf.to_yaml(config))
    print(f"matched with {method}")
    if checkpoint is None:
        print("nothing was learned for this map, and left and right may be exchanged; for a trained one: ckpt=RUN/checkpoints/best.ckpt")
    print(f"report: {report}")
    print(f"map (line i: the vertex of the source for vertex i of the target, counted from 1): {folder / 'p2p21.txt'}")


def device_named(name: str) -> torch.device:
    """``auto`` is the GPU where there is one."""
    return torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
