"""Two photographs matched as a checked configuration says: by ``match.py``, or from Python."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig

from pullback.data.image.io import read_image
from pullback.runtime.match_meshes import device_named
from pullback.runtime.options import options_at_fault
from pullback.runtime.parts import class_of
from pullback.runtime.settings import as_yaml, instantiate, to_plain
from pullback.runtime.signals import stopping
from pullback.tasks.image.patches import PatchLibrary
from pullback.types import ImagePair, PatchMatch, PatchPair
from pullback.writing import sweep, telling_full_disks, write_text_atomically

# Larger photographs are read at a fraction of their size: a match takes some 40 bytes a pixel, and networks see 0.5
# million.
MOST_MATCHED = 26_000_000  # pixels


@dataclass(frozen=True, repr=False)
class ImageMatcher:
    """The parts that match two photographs, built."""

    library: PatchLibrary
    solver: Any
    device: torch.device
    method: str  # in words
    config: Mapping[str, Any]  # all of it, resolved

    @classmethod
    def of(cls, cfg: DictConfig) -> "ImageMatcher":
        """Those of a checked configuration. Raises OptionError for what a part refuses."""
        torch.manual_seed(cfg.seed)
        device = device_named(cfg.device)
        with options_at_fault():
            fusion, solver, graph = instantiate(cfg.fusion), instantiate(cfg.solver), instantiate(cfg.graph)
        library = PatchLibrary(fusion.to(device), graph, cfg.paths.cache_dir)
        return cls(library, solver, device, f"{cfg_names(cfg)}: {solver.describe()}", to_plain(cfg))

    @torch.no_grad()
    def match(self, pair: ImagePair) -> tuple[PatchPair, PatchMatch]:
        """The photographs as graphs of patches, and their match; on the CPU."""
        patches = self.library.pair(pair, device=self.device)
        (match,) = self.solver([patches])
        return patches.to("cpu"), match.to("cpu")

    @torch.no_grad()
    def write(self, folder: Path, pair: ImagePair, patches: PatchPair, match: PatchMatch) -> Path:
        """Writes the flow, the maps, pictures and the report into a folder; returns the path of the report."""
        from pullback.tasks.image.two_images import write_image_match  # draws, which is slow to import

        paths = {**self.config["paths"], "output_dir": str(folder)}
        config = as_yaml({**self.config, "paths": paths})
        sweep(folder)
        write_text_atomically(folder / "config.yaml", config)
        return write_image_match(folder, pair, patches, match, method=self.method, config=config)


def match_images(cfg: DictConfig) -> None:
    """Matches ``source`` (image 1) and ``target`` (image 2), and prints what was done and where the results are."""
    folder = Path(cfg.paths.output_dir)
    with (
        stopping("the features that were computed are kept, and the same command goes on from there"),
        telling_full_disks(folder),
    ):
        source, target = (read_image(path, shrink_above=MOST_MATCHED) for path in (cfg.source, cfg.target))
        matcher = ImageMatcher.of(cfg)
        pair = ImagePair(f"{Path(cfg.source).stem}-{Path(cfg.target).stem}", source, target)
        patches, match = matcher.match(pair)
        for path, photo, image in ((cfg.source, source, patches.image1), (cfg.target, target, patches.image2)):
            print(
                f"{path}: {image.size[1]} × {image.size[0]} pixels, {image.grid[0]} × {image.grid[1]} patches",
                *photo.notes,
                sep="; ",
            )
        report = matcher.write(folder, pair, patches, match)
        print(f"matched with {matcher.method}")
        print(f"report: {report}")
        print(
            "flow (for each pixel of the target the displacement to its match in the source, Middlebury format): "
            f"{folder / 'flow21.flo'}"
        )


def cfg_names(cfg: DictConfig) -> str:
    """The backbones of a fusion in words: ``DenseGradients → EfficientNetLite0``."""
    return " → ".join(class_of(cfg.fusion[branch].backbone) for branch in ("basis", "descriptors"))
