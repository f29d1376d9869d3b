"""What ``match.py`` does with a checked configuration."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from pullback.data.mesh.io import read_landmarks
from pullback.data.mesh.shapes import PreparedShape, load_shape
from pullback.runtime.options import options_at_fault
from pullback.runtime.origin import refinement, rule_of
from pullback.runtime.parts import ConfigError, name_of
from pullback.runtime.settings import as_yaml, made, plain
from pullback.runtime.signals import stopping
from pullback.stages import Stage, StageClock, listening, stage
from pullback.tasks.mesh.two_meshes import FileMatch, Landmarks, match_shapes, write_match
from pullback.tasks.training.weights import load_weights
from pullback.writing import sweep, telling_full_disks, write_text_atomically

# Smaller files are done before anybody wonders how far they are.
_SHOWN_ABOVE = 4_000_000  # bytes


def match_files(cfg: DictConfig, checkpoint: Mapping[str, Any] | None = None) -> None:
    """Matches ``source`` and ``target`` and prints what was done, how, and where the results are;
    how far it is to stderr.
    """
    torch.manual_seed(cfg.seed)
    with options_at_fault():
        model, solver, view = nn.ModuleDict({"backbone": made(cfg.backbone)}), made(cfg.solver), made(cfg.view)
    if checkpoint is not None:
        load_weights(model, checkpoint)
    features = name_of(plain(cfg.backbone))
    method = f"{features}, {refinement(plain(cfg.solver))}; weights: {rule_of(cfg, model, checkpoint)}"
    folder, config = Path(cfg.paths.output_dir), as_yaml(plain(cfg))
    with (
        stopping("the shapes that were prepared are kept, and the same command goes on from there"),
        telling_full_disks(folder),
        listening(StageClock(on_begin=_show if _is_long(cfg) else lambda stage: None)) as clock,
    ):
        result = _matched(cfg, model["backbone"], solver)
        sweep(folder)
        write_text_atomically(folder / "config.yaml", config)
        report = write_match(folder, result, method=method, view=view, config=config, stages=clock.stages)
    print(f"matched with {method}")
    if result.landmarks is not None:
        print(
            f"the {len(result.landmarks[0])} landmarks land {result.landmark_distances().mean():.4f} √area from "
            "their places on average"
        )
    elif checkpoint is None:
        print(
            "nothing was learned for this map, and left and right may be exchanged; for a trained one: "
            "ckpt=humans, or ckpt=RUN/checkpoints/best.ckpt"
        )
    if _is_long(cfg):
        took = f"{clock.seconds:.0f} s and at most {clock.peak_bytes / 2**30:.1f} GiB of memory"
        print(f"took {took}; stage by stage: {folder / 'metrics.json'}")
    if result.omissions():
        print(result.omissions())
    print(f"report: {report}")
    print(f"map (line i: the vertex of the source for vertex i of the target, counted from 1): {folder / 'p2p21.txt'}")


def _matched(cfg: DictConfig, backbone: nn.Module, solver: Any) -> FileMatch:
    with options_at_fault():
        settings = made(cfg.data)
    shapes = []
    for side in ("source", "target"):
        with stage(f"preparing the {side}, {Path(cfg[side]).name}"):
            shapes.append(load_shape(cfg[side], settings, cfg.paths.cache_dir))
        print(f"{cfg[side]}: {shapes[-1].shape.n} vertices", *shapes[-1].notes, sep="; ")
    source, target = shapes
    landmarks = None if cfg.landmarks is None else _landmarks(cfg.landmarks, source, target)
    return match_shapes(source, target, backbone, solver, device=device_named(cfg.device), landmarks=landmarks)


def _landmarks(path: str, source: PreparedShape, target: PreparedShape) -> Landmarks:
    """The landmarks of a file as vertices of the shapes."""
    n1, n2 = (len(prepared.relabel.successor) for prepared in (source, target))
    ids1, ids2 = read_landmarks(path, n1=n1, n2=n2)
    return torch.from_numpy(source.relabel(ids1)), torch.from_numpy(target.relabel(ids2))


def _is_long(cfg: DictConfig) -> bool:
    return sum(Path(path).stat().st_size for path in (cfg.source, cfg.target) if Path(path).is_file()) > _SHOWN_ABOVE


def _show(entry: Stage) -> None:
    print(f"{entry.begun:7.1f} s  {'  ' * entry.depth}{entry.name}", file=sys.stderr, flush=True)


def device_named(name: str) -> torch.device:
    """``auto`` is the GPU where there is one. Raises ConfigError for a GPU that torch cannot use."""
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(
            f"device={name}, but this build of torch, or its driver, finds no GPU; use device=cpu, or device=auto"
        )
    return torch.device(name if name != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
