"""What ``match.py`` does with two photographs."""

from pathlib import Path

import torch
from omegaconf import DictConfig

from pullback.data.image.io import read_image
from pullback.runtime.match_meshes import device_named
from pullback.runtime.options import options_at_fault
from pullback.runtime.parts import class_of
from pullback.runtime.settings import as_yaml, made, plain
from pullback.runtime.signals import stopping
from pullback.tasks.image.patches import PatchLibrary
from pullback.tasks.image.two_images import write_image_match
from pullback.types import ImagePair
from pullback.writing import sweep, telling_full_disks, write_text_atomically

# Larger photographs are read at a fraction of their size: a match takes some 40 bytes a pixel, and networks see 0.5
# million.
MOST_MATCHED = 26_000_000  # pixels


def match_images(cfg: DictConfig) -> None:
    """Matches ``source`` (image 1) and ``target`` (image 2) and prints what was done, how,
    and where the results are.
    """
    with (
        stopping("the features that were computed are kept, and the same command goes on from there"),
        telling_full_disks(Path(cfg.paths.output_dir)),
        torch.no_grad(),
    ):
        _match_images(cfg)


def _match_images(cfg: DictConfig) -> None:
    torch.manual_seed(cfg.seed)
    device = device_named(cfg.device)
    source, target = (read_image(path, shrink_above=MOST_MATCHED) for path in (cfg.source, cfg.target))
    pair = ImagePair(f"{Path(cfg.source).stem}-{Path(cfg.target).stem}", source, target)
    with options_at_fault():
        fusion, solver, graph = made(cfg.fusion), made(cfg.solver), made(cfg.graph)
    library = PatchLibrary(fusion.to(device), graph, cfg.paths.cache_dir)
    patches = library.pair(pair, device=device)
    (match,) = solver([patches])
    method = f"{cfg_names(cfg)}: {solver.describe()}"
    for path, photo, image in ((cfg.source, source, patches.image1), (cfg.target, target, patches.image2)):
        print(
            f"{path}: {image.size[1]} × {image.size[0]} pixels, {image.grid[0]} × {image.grid[1]} patches",
            *photo.notes,
            sep="; ",
        )
    folder, config = Path(cfg.paths.output_dir), as_yaml(plain(cfg))
    sweep(folder)
    write_text_atomically(folder / "config.yaml", config)
    report = write_image_match(folder, pair, patches.to("cpu"), match.to("cpu"), method=method, config=config)
    print(f"matched with {method}")
    print(f"report: {report}")
    print(
        "flow (for each pixel of the target the displacement to its match in the source, Middlebury format): "
        f"{folder / 'flow21.flo'}"
    )


def cfg_names(cfg: DictConfig) -> str:
    """The backbones of a fusion in words: ``DenseGradients → EfficientNetLite0``."""
    return " → ".join(class_of(cfg.fusion[branch].backbone) for branch in ("basis", "descriptors"))
