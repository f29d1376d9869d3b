"""Photographs matched in Lightning: nothing is trained, each pair is a problem of its own."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule

from pullback.data.image.datamodule import UnreadPair
from pullback.mapping.heats import heats_by_features, heats_by_fmap, patch_means
from pullback.nn.fusion import Fusion
from pullback.tasks.image.mirroring import CHOICES, either_way
from pullback.tasks.image.patches import GraphSettings, PatchLibrary
from pullback.tasks.image.scoring import CARRIED, stored_match
from pullback.tasks.store import PredictionStore
from pullback.tasks.stored_arrays import check_finite
from pullback.types import ImagePair, PatchMatch, PatchPair

log = logging.getLogger(__name__)

Solver = Callable[[Sequence[PatchPair]], list[PatchMatch]]


class ImageMatching(LightningModule):
    """Features of two frozen branches, bases of patch graphs, a match from a solver.

    ``mirrored="auto"`` also matches the mirror images of first photographs (see ``either_way``).
    ``stores`` take the predictions, one for each data set. A pair's result depends on that pair, the configuration and
    the seed alone: batches only share the work of a GPU.
    """

    def __init__(
        self,
        fusion: Fusion,
        solver: Solver,
        graph: GraphSettings,
        *,
        cache_dir: str | Path,
        memory_images: int = 32,
        mirrored: str = "never",
    ):
        super().__init__()
        if mirrored not in CHOICES:
            raise ValueError(f"mirrored={mirrored!r} is unknown; use one of {', '.join(CHOICES)}")
        self.mirrored = mirrored
        self.fusion = fusion
        self.solver = solver
        self.library = PatchLibrary(fusion, graph, cache_dir, memory_images=memory_images)
        self.config: Mapping[str, Any] = {}
        self.stores: Sequence[PredictionStore] = ()

    def match(self, pairs: Sequence[ImagePair]) -> tuple[list[PatchPair], list[PatchMatch]]:
        """The pairs as patch graphs, and their matches."""
        patch_pairs = [self.library.pair(pair, device=self.device) for pair in pairs]
        found = patch_pairs, self.solver(patch_pairs)
        if self.mirrored == "never":
            return found
        return either_way(pairs, found, self.library, self.solver, device=self.device)

    def predict_step(
        self, pairs: Sequence[ImagePair | UnreadPair], batch_idx: int, dataloader_idx: int = 0
    ) -> list[str]:
        """Stores the matches of the pairs that are not there already.

        A pair that cannot be matched costs no other one its result.
        """
        store = self.stores[dataloader_idx]
        for pair in pairs:
            if isinstance(pair, UnreadPair):
                _fail(store, *pair)
        todo = [pair for pair in pairs if not isinstance(pair, UnreadPair) and not _is_stored(store, pair)]
        try:
            self._store(todo, store)
        except (RuntimeError, ValueError, ArithmeticError) as error:
            if len(todo) == 1:
                _fail(store, todo[0].name, str(error))
            else:
                for pair in todo:
                    self.predict_step([pair], batch_idx, dataloader_idx)
        return [pair.name for pair in pairs]

    def _store(self, pairs: Sequence[ImagePair], store: PredictionStore) -> None:
        if not pairs:
            return
        for note in dict.fromkeys(note for pair in pairs for note in pair.notes):
            log.warning("%s", note)
        # not part of the time of a match
        self.library.prepare([photo for pair in pairs for photo in (pair.image1, pair.image2)])
        start = time.perf_counter()
        patch_pairs, matches = self.match(pairs)
        found = [  # waits for the device
            stored(patches, match) | carried_heats(pair, patches, match)
            for pair, patches, match in zip(pairs, patch_pairs, matches, strict=True)
        ]
        seconds = (time.perf_counter() - start) / len(pairs)
        for pair, arrays in zip(pairs, found, strict=True):
            store.save(pair.name, **arrays, seconds=seconds)


def carried_heats(pair: ImagePair, patches: PatchPair, match: PatchMatch) -> dict[str, Any]:
    """The functions of a pair at the patches of image 2, by functional map and by nearest neighbours of descriptors.

    The point map's can be read off the match at any time.
    """
    if pair.heats1 is None:
        return {}
    image1, image2 = patches.image1, patches.image2
    means1 = patch_means(pair.heats1.to(image1.feat.device), image1)
    arrays = {CARRIED["nearest neighbours"]: heats_by_features(means1, image1, image2)}
    if match.fmap12 is not None:
        arrays[CARRIED["functional map"]] = heats_by_fmap(means1, match.fmap12.to(means1), image1, image2)
    return {name: values.cpu() for name, values in arrays.items()}


def _fail(store: PredictionStore, pair: str, reason: str) -> None:
    log.error("the pair %s could not be matched: %s", pair, reason)
    store.save_failure(pair, reason)


def _is_stored(store: PredictionStore, pair: ImagePair) -> bool:
    """Whether the store has a match of the photographs as they are now; any other one is made anew, with a warning."""
    prediction = store.load(pair.name)
    if prediction is None:
        return False
    try:
        stored_match(prediction, pair)
    except (ValueError, KeyError) as error:
        log.warning("%s: %s; the pair is matched anew", store.path(pair.name), error)
        return False
    return True


def stored(pair: PatchPair, match: PatchMatch) -> dict[str, Any]:
    """What is kept of a match: positions in pixels of image 1, the patches they belong to, and the functional maps.

    Raises UnusableMap for a match that is NaN or infinite.
    """
    check_finite(match.xy21, match.fmap12, match.fmap12_init, of=pair.name)
    arrays = {
        "p2p21": match.p2p21,
        "xy21": match.xy21.float(),
        "fmap12": match.fmap12,
        "fmap12_init": match.fmap12_init,
        "losses": match.losses,
        **_spectra(pair, match),
        "patches1": pair.image1.patches,
        "patches2": pair.image2.patches,
        "grid1": torch.tensor(pair.image1.grid),
        "grid2": torch.tensor(pair.image2.grid),
        "size1": torch.tensor(pair.image1.size),
        "size2": torch.tensor(pair.image2.size),
    }
    if match.reverse is not None:
        arrays |= {"xy12": match.reverse.xy21.float(), "fmap21": match.reverse.fmap12}
    return {name: None if value is None else value.cpu() for name, value in arrays.items()}


def _spectra(pair: PatchPair, match: PatchMatch) -> dict[str, Any]:
    """The eigenvalues that belong to the columns and rows of the functional map, where there is one."""
    if match.fmap12 is None:
        return {}
    k2, k1 = match.fmap12.shape
    return {"evals1": pair.image1.basis.evals[:k1], "evals2": pair.image2.basis.evals[:k2]}
