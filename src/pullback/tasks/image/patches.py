"""Photographs as solvers see them: features and bases of patch graphs, computed once and cached."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from pullback.data.cache import cached, cached_together, check_arrays, content_hash
from pullback.data.image.decoding import ImageError
from pullback.geometry.grid import SIGNS, grid_basis
from pullback.nn.finite import check_features
from pullback.nn.fusion import Fusion
from pullback.nn.image_backbone import FeatureMaps, ImageBackbone
from pullback.ranges import at_least
from pullback.stages import beside
from pullback.threads import one_thread
from pullback.types import Eigenbasis, Image, ImagePair, PatchImage, PatchPair

log = logging.getLogger(__name__)

# Part of the keys of cached bases: to be raised whenever grid_basis changes its results.
_BASIS_VERSION = 3
# A patch belongs to the object if the mask covers at least this share of it.
_COVERED = 0.5
_LEAST = 16  # patches of an object that can be matched


@dataclass(frozen=True)
class GraphSettings:
    """The patch graph and its basis (reference: the image-consensus paper, section 3.2).

    Raises ValueError for impossible values.
    """

    k: int = 200  # eigenfunctions of each photograph
    weights: str = "exponential"  # exponential (as printed) | release (as released) | uniform (content-blind)
    normalisation: str = "sym"  # sym | none
    eigensolver: str = "auto"  # auto | lanczos | eigsh | eigh | lobpcg
    signs: str = "largest"  # of eigenfunctions: largest (entry positive) | qr (as released)
    objects_only: bool = False  # true: a graph of the object's patches alone, where there is a mask

    def __post_init__(self) -> None:
        at_least(1, k=self.k)
        if self.signs not in SIGNS:
            raise ValueError(f"signs={self.signs!r} is unknown: choose {' or '.join(SIGNS)}")


class FeatureCache:
    """The features of a backbone by photograph: from memory, from the cache, or computed now.

    Features are stored in half precision and always go through it, so that a run that computes them equals one that
    reads them.
    """

    def __init__(self, backbone: ImageBackbone, cache_dir: str | Path, *, capacity: int = 32):
        self.backbone = backbone
        self.folder = Path(cache_dir) / "features"
        self.capacity = capacity
        self._loaded: OrderedDict[Path, FeatureMaps] = OrderedDict()

    def path(self, photo: Image) -> Path:
        """The cache entry of a photograph, named by pixels, category and all that the features depend on."""
        key = {f"backbone {name}": value for name, value in self.backbone.fingerprint().items()}
        return (
            self.folder
            / f"{content_hash({**key, 'pixels': photo.pixels.cpu().numpy(), 'category': photo.category})}.npz"
        )

    def load(self, photos: Sequence[Image]) -> list[FeatureMaps]:
        """The features of the photographs, on the CPU; those that are not cached are computed together."""
        paths = [self.path(photo) for photo in photos]
        fresh = {path: photo for path, photo in zip(paths, photos, strict=True) if path not in self._loaded}

        def compute(paths: list[Path]) -> list[FeatureMaps]:
            return self.backbone([fresh[path] for path in paths])

        what = f"features of {', '.join(photo.name for photo in fresh.values())}"
        maps = cached_together(list(fresh), compute, save=_save_maps, load=_load_maps, what=what)
        self._loaded |= dict(zip(fresh, maps, strict=True))
        for path in paths:
            self._loaded.move_to_end(path)
        found = [self._loaded[path] for path in paths]
        while len(self._loaded) > self.capacity:
            self._loaded.popitem(last=False)
        return found

    def holds(self, photo: Image) -> bool:
        return self.path(photo).exists()


def _save_maps(file: BufferedIOBase, maps: FeatureMaps) -> None:
    arrays: dict[str, Any] = {name: values.half().cpu().numpy() for name, values in maps.items()}
    np.savez(file, **arrays)


def _load_maps(source: Path | BufferedIOBase) -> FeatureMaps:
    with np.load(source, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    check_arrays(arrays, {name: f"float16 c{i} h{i} w{i}" for i, name in enumerate(arrays)})
    if not arrays:
        raise ValueError("it holds no features")
    return {name: torch.from_numpy(values.astype(np.float32)) for name, values in arrays.items()}


class PatchLibrary:
    """Pairs of photographs as pairs of patch graphs."""

    def __init__(self, fusion: Fusion, graph: GraphSettings, cache_dir: str | Path, *, memory_images: int = 32):
        self.fusion = fusion
        self.graph = graph
        self.cache_dir = Path(cache_dir)
        self.basis_features = FeatureCache(fusion.basis.backbone, cache_dir, capacity=memory_images)
        self.descriptor_features = self.basis_features
        if not fusion.same_backbone:
            self.descriptor_features = FeatureCache(fusion.descriptors.backbone, cache_dir, capacity=memory_images)

    def prepare(self, photos: Sequence[Image]) -> None:
        """Fills the cache with the features of the photographs."""
        for cache in (self.basis_features, self.descriptor_features):
            cache.load([photo for photo in photos if not cache.holds(photo)])

    def pair(self, pair: ImagePair, *, device: torch.device, mirrored: bool = False) -> PatchPair:
        """The two photographs with the features of both branches on the basis branch's grids, and their bases.

        With ``mirrored`` the features of the first are those of its mirror image, each put back into its place.
        """
        photos = [mirror_image(pair.image1) if mirrored else pair.image1, pair.image2]
        maps = [*self.basis_features.load(photos), *self.descriptor_features.load(photos)]
        if mirrored:
            maps[::2] = [{name: values.flip(2) for name, values in of_one.items()} for of_one in maps[::2]]
        found = self.fusion.features(*({name: values.to(device) for name, values in of_one.items()} for of_one in maps))
        first = partial(self._image, pair.image1, found.basis1, found.descriptors1)
        second = partial(self._image, pair.image2, found.basis2, found.descriptors2)
        if torch.get_num_threads() < 2:
            return PatchPair(pair.name, first(), second())
        # Bases are most of the time, and each is solved by one thread: both at the same time.
        with one_thread(), beside(second) as wait:
            return PatchPair(pair.name, first(), wait())

    def _image(self, photo: Image, basis_map: Float[Tensor, "cb h w"], loss_map: Float[Tensor, "c h w"]) -> PatchImage:
        grid = (basis_map.shape[1], basis_map.shape[2])
        patches = patches_of(photo.mask if self.graph.objects_only else None, grid).to(basis_map.device)
        basis_feat, feat = (values.flatten(1).T[patches].contiguous() for values in (basis_map, loss_map))
        for values in (basis_feat, feat):
            check_features(values, of=photo.name)
        return PatchImage(
            photo.name, grid, photo.size, patches, self._basis(basis_feat, grid, patches), basis_feat, feat
        )

    def _basis(self, feat: Float[Tensor, "n c"], grid: tuple[int, int], patches: Int[Tensor, " n"]) -> Eigenbasis:
        settings = asdict(self.graph)
        settings.pop("objects_only")  # told by the patches
        if len(patches) < grid[0] * grid[1]:  # a small object has few eigenfunctions
            settings["k"] = min(settings["k"], len(patches))
        settings["solver"] = settings.pop("eigensolver")

        def compute() -> Eigenbasis:
            return grid_basis(feat.cpu(), grid, patches=patches.cpu(), **settings)

        if not self.fusion.needs_pair:  # a basis for each pair would fill the disk
            key = {
                "version": _BASIS_VERSION,
                "grid": str(grid),
                "feat": feat.cpu().numpy(),
                "patches": patches.cpu().numpy(),
                **settings,
            }
            path = self.cache_dir / "image_bases" / f"{content_hash(key)}.npz"

            def load(source: Path | BufferedIOBase) -> Eigenbasis:
                basis = _load_basis(source)
                if basis.evecs.shape[0] != len(patches) or basis.evecs.shape[1] > self.graph.k:
                    raise ValueError(f"it is a basis of the size {tuple(basis.evecs.shape)} for {len(patches)} patches")
                return basis

            return cached(path, compute, save=_save_basis, load=load, what="the basis of a photograph").to(feat.device)
        return compute().to(feat.device)


def mirror_image(photo: Image) -> Image:
    """The photograph with left and right exchanged, without what lies on it in pixels."""
    return replace(photo, pixels=photo.pixels.flip(2), mask=None, box=None)


def patches_of(mask: Bool[Tensor, "H W"] | None, grid: tuple[int, int]) -> Int[Tensor, " n"]:
    """The row-major indices of the patches that a mask covers at least by half.

    Of all patches without a mask, or with an empty one.
    """
    everything = torch.arange(grid[0] * grid[1])
    if mask is None:
        return everything
    covered = covered_patches(mask, grid)
    if len(covered) < 2:
        log.warning("a mask covers fewer than two of %d × %d patches; all patches are used", *grid)
        return everything
    return covered


def check_masks(pair: ImagePair, patches: PatchPair) -> None:
    """Raises ImageError where the mask of a photograph covers too few of its patches to be matched."""
    for photo, image in ((pair.image1, patches.image1), (pair.image2, patches.image2)):
        covered = image.n if photo.mask is None else len(covered_patches(photo.mask, image.grid))
        if covered < _LEAST and photo.mask is not None:
            raise ImageError(
                f"the mask of {photo.name} covers {covered} of {image.grid[0]} × {image.grid[1]} patches, and "
                f"{_LEAST} are needed; give a larger mask, or cut the photograph to what it is about"
            )


def covered_patches(mask: Bool[Tensor, "H W"], grid: tuple[int, int]) -> Int[Tensor, " n"]:
    """The row-major indices of the patches that a mask covers at least by half."""
    share = torch.nn.functional.adaptive_avg_pool2d(mask[None, None].float(), grid).flatten().cpu()
    return (share >= _COVERED).nonzero()[:, 0]


def _save_basis(file: BufferedIOBase, basis: Eigenbasis) -> None:
    np.savez(file, evals=basis.evals.cpu().numpy(), evecs=basis.evecs.cpu().numpy(), mass=basis.mass.cpu().numpy())


def _load_basis(source: Path | BufferedIOBase) -> Eigenbasis:
    with np.load(source, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    check_arrays(arrays, {"evals": "float32 k", "evecs": "float32 n k", "mass": "float32 n"})
    evals, evecs, mass = (torch.from_numpy(arrays[name]) for name in ("evals", "evecs", "mass"))
    return Eigenbasis(evals, evecs, mass)
