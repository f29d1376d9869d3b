"""The weights of ``match`` adapted to what is matched: to each pair, or once to a folder."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from pullback.data.mesh.shapes import PreparationSettings, PreparedShape
from pullback.runtime.settings import instantiate
from pullback.stages import stage
from pullback.tasks.mesh.adapting import ADAPTED, WeightAdaptation
from pullback.writing import write_atomically


@dataclass
class Adapting:
    """Adapts a backbone to a pair of shapes, or to those of ``folder``, and remembers the weights that came of it."""

    adaptation: WeightAdaptation
    folder: Path | None  # None: to each pair
    settings: PreparationSettings
    cache_dir: Path
    checkpoint: Mapping[str, Any]
    shown: bool  # with a progress bar
    tuned: nn.Module | None = field(default=None, init=False)

    @classmethod
    def of(
        cls, cfg: DictConfig, checkpoint: Mapping[str, Any] | None, settings: PreparationSettings, *, shown: bool
    ) -> "Adapting | None":
        """That of a checked configuration; None where none is asked for."""
        wish = str(cfg.get("adapt", False))
        if wish.lower() == "false" or checkpoint is None:
            return None
        folder = None if wish.lower() == "true" else Path(wish)
        return cls(instantiate(cfg.adapting), folder, settings, Path(cfg.paths.cache_dir), checkpoint, shown)

    def features(
        self, backbone: nn.Module, source: PreparedShape, target: PreparedShape, device: torch.device
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Features of both shapes by the adapted weights, under the name that the starts know them by."""
        with stage("adaptation"):
            if self.tuned is None or self.folder is None:
                self.tuned = self._adapted(backbone.to(device), source, target)
            with torch.no_grad():
                feat1, feat2 = (self.tuned(side.shape.to(device)) for side in (source, target))
            return {ADAPTED: (feat1, feat2)}

    def _adapted(self, backbone: nn.Module, source: PreparedShape, target: PreparedShape) -> nn.Module:
        from rich.console import Console  # slow to import, and wanted here alone
        from rich.progress import Progress

        given = self.settings, self.cache_dir
        if self.folder is None:
            shapes = [self.adaptation.copy_of(side, *given) for side in (source, target)]
        else:
            shapes = self.adaptation.copies_in(self.folder, *given)
        with Progress(console=Console(stderr=True), disable=not self.shown) as progress:
            task = progress.add_task(f"adapting the weights to {len(shapes)} shapes", total=self.adaptation.steps)
            return self.adaptation(backbone, shapes, advance=lambda count: progress.advance(task, count))

    def save(self, path: Path) -> None:
        """Writes the adapted weights as a checkpoint, for ckpt=."""
        assert self.tuned is not None
        weights = {f"backbone.{name}": value.cpu() for name, value in self.tuned.state_dict().items()}
        content = io.BytesIO()
        torch.save({**self.checkpoint, "state_dict": weights}, content)
        write_atomically(path, lambda file: file.write(content.getbuffer()))
