"""Spaces in which patches of two photographs compare: raw features, carried features, spectral rows."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from pullback.mapping.fmap import spectral_embeddings
from pullback.types import PatchPair

BLOCKS = ("spectral", "adjoint", "transferred_basis", "transferred_descriptors", "basis", "descriptors")
FMAP_BLOCKS = BLOCKS[:4]
NORMALISATIONS = ("none", "patch", "centred_patch")


def patch_embeddings(
    pair: PatchPair,
    fmap12: Float[Tensor, "k2 k1"] | None,
    blocks: Sequence[str],
    *,
    weights: Sequence[float] | None = None,
    normalise: str = "none",
) -> tuple[Float[Tensor, "n2 p"], Float[Tensor, "n1 p"]]:
    """``(query, reference)``: patches of images 2 and 1 in one space; the nearest reference row is the match 2 → 1.

    The columns of the named blocks side by side, each normalised on its own and multiplied by its weight. Blocks:
    "basis", "descriptors": raw features of that branch. "transferred_basis", "transferred_descriptors": image 1's
    features carried to image 2 by ``Φ2 fmap12 Φ1ᵀ``, against the raw ones of image 1 (as the published code).
    "spectral": rows of Φ2 against rows of ``Φ1 fmap12ᵀ``; "adjoint": rows of ``Φ2 fmap12`` against rows of Φ1, the
    same for an orthogonal map.
    ``normalise``: "none"; "patch", each row to unit length; "centred_patch", rows of unit length, their mean over both
    images taken off, to unit length again. Centred features are carried; others are carried as they are, and normalised
    then (as the published code). Raises ValueError for an unknown word, or a block that needs a functional map where
    there is none.
    """
    check_embedding(blocks, weights, normalise)
    parts = []
    for block, weight in zip(blocks, weights or [1.0] * len(blocks), strict=True):
        query, reference = _block(pair, fmap12, block, normalise)
        parts.append((weight * query, weight * reference))
    queries, references = zip(*parts, strict=True)
    return torch.cat(queries, dim=1), torch.cat(references, dim=1)


def check_embedding(blocks: Sequence[str], weights: Sequence[float] | None, normalise: str) -> None:
    """Raises ValueError unless all words exist and there is one weight for each block."""
    unknown = [block for block in blocks if block not in BLOCKS]
    if isinstance(blocks, str) or unknown or not blocks:
        raise ValueError(f"embedding={blocks!r}: expected a list of one or more of {', '.join(BLOCKS)}")
    if weights is not None and len(weights) != len(blocks):
        raise ValueError(
            f"weights={list(weights)} but there are {len(blocks)} blocks, {', '.join(blocks)}; give one weight for each"
        )
    if normalise not in NORMALISATIONS:
        raise ValueError(f"normalise={normalise!r} is unknown: choose {', '.join(NORMALISATIONS)}")


def _normalised(
    query: Float[Tensor, "n2 p"], reference: Float[Tensor, "n1 p"], normalise: str
) -> tuple[Float[Tensor, "n2 p"], Float[Tensor, "n1 p"]]:
    if normalise == "none":
        return query, reference
    query, reference = normalize(query, dim=1), normalize(reference, dim=1)
    if normalise == "centred_patch":
        mean = (query.sum(dim=0) + reference.sum(dim=0)) / (len(query) + len(reference))
        query, reference = normalize(query - mean, dim=1), normalize(reference - mean, dim=1)
    return query, reference


def _block(
    pair: PatchPair, fmap12: Float[Tensor, "k2 k1"] | None, block: str, normalise: str
) -> tuple[Float[Tensor, "n2 p"], Float[Tensor, "n1 p"]]:
    image1, image2 = pair.image1, pair.image2
    if block in ("basis", "transferred_basis"):
        feat1, feat2 = image1.basis_feat, image2.basis_feat
    else:
        feat1, feat2 = image1.feat, image2.feat
    if block in ("basis", "descriptors"):
        return _normalised(feat2, feat1, normalise)
    if fmap12 is None:
        raise ValueError(
            f"embedding {block!r} needs a functional map, and {pair.name} has none; choose basis or descriptors"
        )
    if block == "spectral":
        query, reference = spectral_embeddings(fmap12, image1.basis, image2.basis)
        # fmap12ᵀ fmap12 is area2 / area1 for a true map, and areas count patches: rows of both come to one length.
        return _normalised(query, reference * (image1.basis.mass.sum() / image2.basis.mass.sum()), normalise)
    k2, k1 = fmap12.shape
    basis1, basis2 = image1.basis.first(k1), image2.basis.first(k2)
    if block == "adjoint":
        return _normalised(basis2.evecs @ fmap12, basis1.evecs, normalise)
    if normalise == "centred_patch":
        _, feat1 = _normalised(feat2, feat1, normalise)
        return normalize(basis2.synthesise(fmap12 @ basis1.project(feat1)), dim=1), feat1
    return _normalised(basis2.synthesise(fmap12 @ basis1.project(feat1)), feat1, normalise)
