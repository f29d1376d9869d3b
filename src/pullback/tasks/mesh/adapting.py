"""Weights go on learning before a match, without ground truth, from the two shapes or from a folder of shapes. The map
that comes of it is one start more: it is kept where the energies prefer it.
"""

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR

from pullback.data.mesh.formats import is_mesh_file
from pullback.data.mesh.shapes import PreparationSettings, PreparedShape, load_shape, shape_of
from pullback.errors import UserError
from pullback.ranges import above, at_least
from pullback.solvers.best_of_starts import Choice
from pullback.tasks.mesh.two_meshes import Solver
from pullback.types import Match, Shape, ShapePair

ADAPTED = "adapted"  # what features of adapted weights are called among the starts
_LAST_RATE = 0.03  # of the first learning rate


class NothingToAdapt(UserError, ValueError):
    """There are no weights, or no shapes, to adapt to."""


@dataclass(frozen=True)
class WeightAdaptation:
    """``steps`` optimiser steps on the unsupervised ``losses``, one pair a step, the rate falling as a half cosine.

    Losses and differentiable ``solver`` are those of a training (Magnet & Ovsjanikov 2024, section 4). It learns from
    copies of ``vertices`` vertices with ``k`` eigenfunctions, so that a step is as cheap as in a training. Raises
    ValueError for options out of range.
    """

    solver: Solver
    losses: Mapping[str, Callable[[Match, ShapePair], Tensor]]
    optimizer: Callable[..., Optimizer]
    steps: int = 150
    vertices: int = 1500
    k: int = 130
    gradient_clip: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(1, steps=self.steps)
        at_least(2, k=self.k)
        at_least(self.k, vertices=self.vertices)
        above(0, gradient_clip=self.gradient_clip)

    def copy_of(self, prepared: PreparedShape, settings: PreparationSettings, cache_dir: Path) -> Shape:
        """A prepared shape with fewer vertices, where it has more."""
        mesh = prepared.as_given()
        coarse = self.vertices if len(mesh.verts) > self.vertices else None
        return shape_of(mesh, self._copied(settings, coarse), cache_dir, name=prepared.shape.name).shape

    def copies_in(self, folder: Path, settings: PreparationSettings, cache_dir: Path) -> list[Shape]:
        """Copies of the meshes of a folder. Raises NothingToAdapt where there are fewer than two."""
        files = sorted(path for path in folder.iterdir() if path.is_file() and is_mesh_file(path))
        if len(files) < 2:
            raise NothingToAdapt(f"adapt={folder} has {len(files)} mesh files, and pairs of two are learned from")
        return [load_shape(path, self._copied(settings, self.vertices), cache_dir).shape for path in files]

    def __call__(
        self, backbone: nn.Module, shapes: Sequence[Shape], *, advance: Callable[[int], None] = lambda count: None
    ) -> nn.Module:
        """A copy of the backbone, adapted to pairs of the shapes. ``advance`` is called with 1 after each step.

        Raises NothingToAdapt for a backbone without weights, RuntimeError for gradients that are not finite.
        """
        tuned = copy.deepcopy(backbone).train()
        parameters = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
        if not parameters:
            raise NothingToAdapt("adapt= tunes weights, and there are none; use ckpt=humans, or adapt=false")
        device = parameters[0].device
        pairs = [ShapePair(one.to(device), other.to(device)) for one, other in combinations(shapes, 2)]
        optimizer = self.optimizer(parameters)
        scheduler = CosineAnnealingLR(optimizer, self.steps, _LAST_RATE * optimizer.param_groups[0]["lr"])
        draw = random.Random(self.seed)
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.enable_grad():
            torch.manual_seed(self.seed)
            for _ in range(self.steps):
                loss = self._loss(tuned, pairs[draw.randrange(len(pairs))])
                optimizer.zero_grad()
                loss.backward()
                clip_grad_norm_(parameters, self.gradient_clip, error_if_nonfinite=True)
                optimizer.step()
                scheduler.step()
                advance(1)
        return tuned.eval()

    def _loss(self, backbone: nn.Module, pair: ShapePair) -> Tensor:
        feat1, feat2 = (backbone(shape).float() for shape in (pair.shape1, pair.shape2))
        match = self.solver(feat1, feat2, pair.shape1.basis, pair.shape2.basis)
        return torch.stack([term(match, pair) for term in self.losses.values()]).sum()

    def _copied(self, settings: PreparationSettings, coarsen: int | None) -> PreparationSettings:
        return PreparationSettings(self.k, settings.laplacian, settings.components, coarsen)


def told_of(choice: Choice) -> str:
    """In words what adaptation came to; empty where there was none."""
    adapted = [each.expected_error for each in choice.candidates if each.features == ADAPTED]
    others = [each.expected_error for each in choice.candidates if each.features != ADAPTED]
    if not adapted or not others:
        return ""
    kept = choice.best.features == ADAPTED
    return (
        f"adaptation {'kept' if kept else 'undone'}: expected error {100 * min(adapted):.1f} % with it, "
        f"{100 * min(others):.1f} % without"
    )
