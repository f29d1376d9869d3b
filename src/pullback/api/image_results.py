"""What a match of photographs is to its caller: arrays over pixels, and a folder of results if asked for."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int, Shaped
from numpy import ndarray

from pullback.api.pages import Page
from pullback.api.results import Made, ValuesError, check_side
from pullback.tasks.image.judging import verdict_line
from pullback.tasks.image.pixel_maps import pixel_confidence, pixel_flow
from pullback.types import Eigenbasis, ImagePair, PatchMatch, PatchPair

if TYPE_CHECKING:
    from pullback.metrics.verdict import Verdict
    from pullback.runtime.match_images import ImageMatcher
    from pullback.tasks.image.judging import ImageVerdict
    from pullback.tasks.image.landing import PlacesLanding


class ImageMatch(Made["ImageMatcher"]):
    """The match of two photographs, from ``pullback.match``. Arrays are numpy's.

    A patch is counted row by row on its grid. Without a functional map (a baseline) ``fmap12`` is None.
    """

    def __init__(self, matcher: "ImageMatcher", pair: ImagePair, patches: PatchPair, match: PatchMatch):
        self._matcher, self._pair, self._patches, self._match = matcher, pair, patches, match
        image1, image2 = patches.image1, patches.image2
        # for each pixel of photograph 2 the displacement (x, y) to its match in photograph 1; NaN outside its mask
        self.flow21: Float[ndarray, "2 H2 W2"] = pixel_flow(pair, patches, match).numpy()
        # for each patch of photograph 2 in the graph one of photograph 1
        self.p2p21: Int[ndarray, " n2"] = image1.patches[match.p2p21].numpy()
        self.fmap12: Float[ndarray, "k2 k1"] | None = None if match.fmap12 is None else match.fmap12.numpy()
        self.basis1: Eigenbasis = image1.basis
        self.basis2: Eigenbasis = image2.basis
        self.feat1: Float[ndarray, "n1 c"] = image1.feat.numpy()
        self.feat2: Float[ndarray, "n2 c"] = image2.feat.numpy()
        self.grid1: tuple[int, int] = image1.grid
        self.grid2: tuple[int, int] = image2.grid

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of how the photographs were read, in words."""
        return self._pair.notes

    def land(self, points: Any, *, on: str = "source") -> "PlacesLanding":
        """Where places (t, 2) land on the other photograph: x, y in pixels of the one that they are ``on``, source or
        target, counted from 0; a path is a file of them. The answer has ``lands_place``, ``returns`` and
        ``confidence``, a row for each. Raises UserError for a place outside.
        """
        check_side(on)
        from pullback.runtime.match_images import places_on

        places = places_on(self._pair.image1 if on == "source" else self._pair.image2, points, side=on)
        return self._matcher.land(self._pair, self._patches, self._match, places, side=on, verdict=self._judged)

    @cached_property
    def _judged(self) -> "ImageVerdict | None":
        return self._matcher.verdict(self._pair, self._patches, self._match)

    @property
    def verdict(self) -> "Verdict | None":
        """What is to be thought of the match: ``level`` (good, doubtful, probably wrong), ``expected_error`` in shares
        of the longer side of photograph 1 (NaN where there is nothing on one of them), ``why``, ``advice``, and all of
        it in one ``sentence``.
        """
        return None if self._judged is None else self._judged.verdict

    @cached_property
    def confidence2(self) -> Float[ndarray, "H2 W2"] | None:
        """For each pixel of photograph 2 the probability that its match is at most 0.10 of the longer side off; 0
        outside its mask.
        """
        if self._judged is None:
            return None
        return pixel_confidence(self._pair, self._patches, self._judged).numpy()

    def pull_back(self, values1: Any) -> Shaped[ndarray, "H2 W2 *c"]:
        """Values at the pixels of photograph 1, carried to those of photograph 2.

        An array of shape (H1, W1, …) gives one of (H2, W2, …): floating-point values bilinear, all others (bytes,
        labels) those of the nearest pixel; places outside get what the border has. Pixels outside the mask
        of photograph 2 get NaN, or 0 where values are not floating-point. Raises ValuesError for another size.
        """
        from pullback.api.inputs import as_numpy

        values = as_numpy(values1)
        size1 = self._patches.image1.size
        if values.shape[:2] != size1:
            raise ValuesError(f"values of shape {values.shape} are not those of {size1[0]} × {size1[1]} pixels")
        unmatched = np.isnan(self.flow21[0])
        x, y = np.where(unmatched, 0, self.flow21 + np.indices(self.flow21.shape[1:])[::-1])
        x, y = x.clip(0, size1[1] - 1), y.clip(0, size1[0] - 1)
        if values.dtype.kind != "f":
            found = values[y.round().astype(np.int64), x.round().astype(np.int64)]
            found[unmatched] = 0
            return found
        left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
        right, bottom = np.minimum(left + 1, size1[1] - 1), np.minimum(top + 1, size1[0] - 1)
        across, down = (
            (part - whole).reshape(*x.shape, *[1] * (values.ndim - 2)) for part, whole in ((x, left), (y, top))
        )
        above = values[top, left] * (1 - across) + values[top, right] * across
        below = values[bottom, left] * (1 - across) + values[bottom, right] * across
        carried = (above * (1 - down) + below * down).astype(values.dtype)
        carried[unmatched] = np.nan
        return carried

    def show(self) -> Page:
        """The interactive viewer: point at either photograph, slide from one to the other. A notebook shows what this
        returns; ``save`` and ``open`` it elsewhere.
        """
        from pullback.figures.photo_viewer import ViewedPhotos, photo_viewer_html  # draws, which is slow to import

        one, two = self._pair.image1, self._pair.image2
        told = (*verdict_line(self._judged), *self._pair.notes)
        viewed = ViewedPhotos(f"{two.name} → {one.name}", one, two, self.flow21, told=told)
        return Page(photo_viewer_html(viewed))

    def save(self, folder: str | Path) -> Path:
        """Writes what ``pullback match`` writes: flow21.flo, match.npz, metrics.json, config.yaml, a picture and the
        report, whose path is returned.
        """
        return self._matcher.write(Path(folder), self._pair, self._patches, self._match, self._judged)

    def __repr__(self) -> str:
        fmap = "no fmap12" if self.fmap12 is None else f"fmap12[{', '.join(map(str, self.fmap12.shape))}]"
        names = f"{self._pair.image2.name} → {self._pair.image1.name}"
        return f"ImageMatch({names}: flow21[{', '.join(map(str, self.flow21.shape))}], {fmap}; {self.method})"
