"""Reading a match of patches off embeddings: which patch, and where in it."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.embeddings import check_embeddings, full_precision, row_panels
from pullback.mapping.grid_match import patch_centres
from pullback.mapping.parallel import each, run_alone
from pullback.mapping.patch_embeddings import FMAP_BLOCKS, check_embedding, patch_embeddings
from pullback.mapping.pointmap import nearest
from pullback.mapping.search import Search
from pullback.ranges import above, at_least
from pullback.types import PatchImage, PatchPair

POSITIONS = ("nearest", "subpatch", "soft_argmax", "window_soft_argmax")


class Readout:
    """From two sets of patch embeddings to a point map 2 → 1 and places in pixels.

    ``embedding``, ``weights``, ``normalise``: the space, see ``patch_embeddings``; the best patch is the nearest one,
    of equally near ones the first. ``position``: "nearest", the centre of the best patch; "subpatch", the top of
    parabolas through its similarity and those of its neighbours, at most half a patch away; "soft_argmax", the mean
    place under ``softmax(-d² / (2 temperature s))``, s the mean squared length of image 1's rows (for unit rows this is
    cosine / temperature); "window_soft_argmax", the same over patches at most ``window`` rows and columns from the
    best.
    """

    def __init__(
        self,
        *,
        embedding: Sequence[str] = ("spectral",),
        weights: Sequence[float] | None = None,
        normalise: str = "none",
        position: str = "nearest",
        window: int = 5,
        temperature: float = 0.02,
    ):
        check_embedding(embedding, weights, normalise)
        if position not in POSITIONS:
            raise ValueError(f"position={position!r} is unknown: choose {', '.join(POSITIONS)}")
        at_least(1, window=window)
        above(0, temperature=temperature)
        self.embedding, self.weights, self.normalise = list(embedding), weights, normalise
        self.position, self.window, self.temperature = position, window, temperature

    @property
    def needs_fmap(self) -> bool:
        return any(block in FMAP_BLOCKS for block in self.embedding)

    def describe(self) -> str:
        """The embedding and the position in a few words."""
        return f"read off {' + '.join(self.embedding)}, {self.position}"

    @torch.no_grad()
    def __call__(
        self, pair: PatchPair, fmap12: Float[Tensor, "k2 k1"] | None = None
    ) -> tuple[Int[Tensor, " n2"], Float[Tensor, "n2 2"]]:
        """``p2p21``, indices into ``image1.patches``, and ``xy21``, pixels of image 1.

        The patch is the best one, except for the means: there it is the one whose centre is nearest to the place.
        """
        image1 = pair.image1
        query, reference = patch_embeddings(
            pair, fmap12, self.embedding, weights=self.weights, normalise=self.normalise
        )
        check_embeddings(query, reference)
        scale = (reference**2).sum(dim=1).mean()
        p2p21 = torch.empty(len(query), dtype=torch.long, device=query.device)
        xy21 = query.new_empty(len(query), 2)

        def read() -> None:
            search = Search.of(query, reference)

            def panel(rows: slice) -> None:
                x = search.coordinates(rows)
                similarity = x @ search.near.T
                p2p21[rows] = search.best_of_products(rows, x, similarity)
                xy21[rows] = self._places(similarity / scale, p2p21[rows], image1)

            each(panel, list(row_panels(len(query), len(reference), query.device)))

        with full_precision(query.device):
            run_alone(read, query.device)
        if self.position in ("soft_argmax", "window_soft_argmax"):
            p2p21 = nearest(xy21, patch_centres(image1.grid, image1.size, image1.patches).to(xy21.dtype))
        return p2p21, xy21

    def _places(
        self, similarity: Float[Tensor, "b n1"], best: Int[Tensor, " b"], image1: PatchImage
    ) -> Float[Tensor, "b 2"]:
        centres = patch_centres(image1.grid, image1.size, image1.patches).to(similarity.dtype)
        if self.position == "nearest":
            return centres[best]
        if self.position == "soft_argmax":
            return (similarity / self.temperature).softmax(dim=1) @ centres
        radius = 1 if self.position == "subpatch" else self.window
        near = _window(similarity, image1, best, radius)
        shift = _parabola_tops(near) if self.position == "subpatch" else _window_means(near / self.temperature)
        (height, width), (rows, columns) = image1.size, image1.grid
        return centres[best] + shift * shift.new_tensor([width / columns, height / rows])


def _window(
    similarity: Float[Tensor, "b n1"], image1: PatchImage, best: Int[Tensor, " b"], radius: int
) -> Float[Tensor, "b d d"]:
    """The similarities of patches within ``radius`` rows and columns of the best one.

    -inf where the graph has no patch.
    """
    rows, columns = image1.grid
    whole = similarity.new_full((len(similarity), rows * columns), -torch.inf)
    whole[:, image1.patches] = similarity
    step = torch.arange(-radius, radius + 1, device=similarity.device)
    centre = image1.patches[best]
    row = (centre // columns)[:, None, None] + step[:, None]
    column = (centre % columns)[:, None, None] + step
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    index = torch.where(inside, row * columns + column, 0)
    found = whole.gather(1, index.flatten(1)).view(index.shape)
    return found.masked_fill(~inside, -torch.inf)


def _window_means(logits: Float[Tensor, "b d d"]) -> Float[Tensor, "b 2"]:
    """The mean shift xy, in patches from the middle of the window, under the softmax of the window."""
    radius = logits.shape[1] // 2
    step = torch.arange(-radius, radius + 1, device=logits.device).to(logits.dtype)
    weight = logits.flatten(1).softmax(dim=1).view(logits.shape)
    return torch.stack([weight.sum(dim=1) @ step, weight.sum(dim=2) @ step], dim=1)


def _parabola_tops(near: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 2"]:
    """The shift xy, in patches, to the top of the parabolas through the middle and its neighbours.

    0 along an axis that lacks one.
    """
    before = torch.stack([near[:, 1, 0], near[:, 0, 1]], dim=1)
    after = torch.stack([near[:, 1, 2], near[:, 2, 1]], dim=1)
    bend = before + after - 2 * near[:, 1, 1, None]
    fits = before.isfinite() & after.isfinite() & (bend < 0)
    shift = torch.where(fits, before - after, 0) / torch.where(fits, 2 * bend, 1)
    return shift.clamp(-0.5, 0.5)
