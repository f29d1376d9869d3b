"""Refinement of a functional map between photographs, coarse to fine, by soft maps of their patches."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pullback.mapping.embeddings import check_embeddings, full_precision
from pullback.mapping.patch_embeddings import FMAP_BLOCKS, check_embedding, patch_embeddings
from pullback.ranges import above, at_least
from pullback.types import PatchImage, PatchPair

# Damping of the least squares over the patches asked, relative to their share of all: some function may vanish on all
# of them.
_DAMPING = 1e-3

Blocks = list[tuple[str, float]]


class SoftMapRefinement:
    """ZoomOut with soft maps of features and of the map so far: ``Φ2 fmap12 ≈ R Φ1`` for each k of ``sizes``.

    R is a soft point map 2 → 1 from a similarity S: inner products of ``embedding``, rows multiplied by ``weights``
    (see ``patch_embeddings``; spectral and adjoint rows are those of the map before), divided by the mean squared
    length of image 1's rows: a weighted mean of the blocks' cosines. R is the row softmax of ``S / temperature`` times
    its column softmax, rows scaled to sum 1: both patches must prefer each other. Only k functions of each basis are
    kept of it: what neighbours do not confirm is gone, and the next S knows.

    Image 2 is asked at up to ``max_questions`` patches, every second (third, …) row and column if it has more.
    """

    def __init__(
        self,
        *,
        embedding: Sequence[str] = ("basis", "descriptors", "spectral", "adjoint"),
        weights: Sequence[float] | None = (1.0, 1.0, 0.5, 0.5),
        temperature: float = 0.1,
        sizes: Sequence[int] = (20, 50, 100),
        max_questions: int = 1500,
    ):
        check_embedding(embedding, weights, "centred_patch")
        above(0, temperature=temperature)
        at_least(1, max_questions=max_questions, sizes=min(sizes, default=0))
        blocks = list(zip(embedding, weights or [1.0] * len(embedding), strict=True))
        self.embedding = list(embedding)
        self.fixed = [(block, weight) for block, weight in blocks if block not in FMAP_BLOCKS]
        self.moving = [(block, weight) for block, weight in blocks if block in FMAP_BLOCKS]
        self.temperature, self.sizes, self.max_questions = temperature, list(sizes), max_questions

    @property
    def needs_fmap(self) -> bool:
        return bool(self.moving)

    def describe(self) -> str:
        """The similarity and the sizes in a few words."""
        return f"refined to {', '.join(map(str, self.sizes))} by {' + '.join(self.embedding)}"

    @torch.no_grad()
    def __call__(self, pair: PatchPair, fmap12: Float[Tensor, "k2 k1"] | None = None) -> Float[Tensor, "m2 m1"]:
        """The refined map; its sizes are the last of ``sizes`` or, where a basis is smaller, that basis's."""
        asked = spread(pair.image2, self.max_questions)
        with full_precision(pair.image1.feat.device):
            still, still_scale = self._similarity(pair, None, self.fixed, asked)
            for k in self.sizes:
                moving, scale = self._similarity(pair, fmap12, self.moving, asked)
                logits = (still + moving) / (self.temperature * (still_scale + scale))
                basis1, basis2 = (image.basis.first(min(k, image.basis.k)) for image in (pair.image1, pair.image2))
                carried = mutual_pull_back(logits, basis1.evecs)
                fmap12 = _least_squares(basis2.evecs[asked], carried, damping=_DAMPING * len(asked) / pair.image2.n)
        assert fmap12 is not None  # there is a size
        return fmap12

    def _similarity(
        self, pair: PatchPair, fmap12: Tensor | None, blocks: Blocks, asked: Int[Tensor, " q"]
    ) -> tuple[Tensor, Tensor]:
        """Inner products (q, n1) and the mean squared length of the reference rows; zeros without blocks."""
        if not blocks:
            zero = pair.image1.feat.new_zeros(())
            return zero, zero
        names, weights = zip(*blocks, strict=True)
        query, reference = patch_embeddings(pair, fmap12, names, weights=weights, normalise="centred_patch")
        check_embeddings(query, reference)
        return query[asked] @ reference.T, (reference**2).sum(dim=1).mean()


def spread(image: PatchImage, most: int) -> Int[Tensor, " q"]:
    """Places in ``image.patches`` of those on every s-th row and column of the grid.

    s is the smallest step that leaves at most ``most``.

    At least one; a thin mask may lose all of a step's patches, then the step before counts.
    """
    row, column = image.patches // image.grid[1], image.patches % image.grid[1]
    asked = torch.arange(image.n, device=image.patches.device)
    for step in range(2, max(image.grid) + 1):
        if len(asked) <= most:
            break
        fewer = ((row % step == step // 2) & (column % step == step // 2)).nonzero()[:, 0]
        asked = fewer if len(fewer) > 0 else asked
    return asked


def mutual_pull_back(logits: Float[Tensor, "q n1"], feat1: Float[Tensor, "n1 c"]) -> Float[Tensor, "q c"]:
    """``R feat1`` for the row softmax of the logits times their column softmax, rows scaled to sum 1 ("dual softmax").

    That product is ``exp(2 logits)`` divided by a number for each row, which the scaling drops, and by one for each
    column: again a row softmax, which cannot underflow as a whole.
    """
    return (2 * logits - logits.logsumexp(dim=0)).softmax(dim=1) @ feat1


def _least_squares(
    evecs2: Float[Tensor, "q m2"], carried: Float[Tensor, "q m1"], *, damping: float
) -> Float[Tensor, "m2 m1"]:
    """``argmin ‖evecs2 fmap12 - carried‖² + damping ‖fmap12‖²``; with all patches asked nearly a projection."""
    gram = evecs2.T @ evecs2
    gram.diagonal().add_(damping)
    return torch.cholesky_solve(evecs2.T @ carried, torch.linalg.cholesky(gram))
