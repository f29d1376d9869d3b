"""The loss of the per-pair optimisation (Cheng et al. 2024, equations 9–14): terms, and their weighted sum."""

from typing import ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.mapping.latent import consensus, orthonormality, printed_trace, two_way_consensus
from pullback.ranges import at_least

UNITS = ("normalised", "features", "printed")
TRACES = {"printed": printed_trace, "two_way": two_way_consensus}


def feature_error(
    fmap12: Float[Tensor, "*p k2 k1"], coeffs1: Float[Tensor, "*p k1 c"], coeffs2: Float[Tensor, "*p k2 c"]
) -> Float[Tensor, "*p"]:
    """``‖fmap12 A - B‖²``: how far the carried descriptors of photograph 1 lie from those of photograph 2."""
    return (fmap12 @ coeffs1 - coeffs2).square().sum(dim=(-2, -1))


def diagonal(fmap12: Float[Tensor, "*p k2 k1"], delta: Float[Tensor, "*p k2 k1"]) -> Float[Tensor, "*p"]:
    """``Σ (Δ fmap12)²``: zero for a map that joins only eigenfunctions of equal eigenvalues."""
    return (delta * fmap12).square().sum(dim=(-2, -1))


class Unknowns(NamedTuple):
    """What the loss ties together, for p pairs."""

    fmap12: Float[Tensor, "p k2 k1"]
    latent1: Float[Tensor, "p k1 r"]
    latent2: Float[Tensor, "p k2 r"]


class PairLoss:
    """The weighted terms; a weight of 0 switches a term off.

    ======================  ======================================================================
    feature                 ``‖C A - B‖²``, A and B coefficients of the refined descriptors
    diag                    ``Σ ((λ2_a - λ1_b) C_ab)²``
    cons (from a step on)   ``‖C Z1 - Z2‖²``
    latent                  ``tr Zᵀ W Z``; with ``trace="printed"`` ``tr Z1ᵀ(I + CᵀC)Z1 + tr Z2ᵀ(I + CCᵀ)Z2``
    orthonormal             ``‖Z1ᵀZ1 - I‖² + ‖Z2ᵀZ2 - I‖²``
    ======================  ======================================================================

    units: in which the weights of the two first terms count. ``"printed"``: as the equations stand; 5 then means
    nothing without the size of the features and of the eigenvalues, neither of which the paper tells (nor whether its
    cons = 1e-3 belongs to the same).
    ``"normalised"``: the feature term is multiplied by ``k2 / ‖B‖²``, as if B had the norm of an orthogonal map, and
    ``(λ2_a - λ1_b)²`` is divided by its mean over a and b: weights mean the same for all features, graphs and basis
    sizes, and a refiner cannot lower the term by shrinking its output. ``"features"``: the feature term alone; with
    the graph of a photograph, whose mean squared difference is about 0.0075, diag = 5 is then 0.04 normalised.

    Z is "primary rather than C" in the trace: C is held fixed there, as in the authors' code, and ``cons`` alone makes
    C consistent. With ``latent_bends_map`` the trace pulls at C as well, whatever ``cons`` says.

    What the printed equations imply. For square orthogonal Z the trace is ``const + 2‖C‖²``, weight decay, and ``cons``
    optimised over Z is ``Σ (σ_i - 1)²``; hence Z with fewer columns than rows. Still, with ``latent = orthonormal = 1``
    a latent function belonging to the singular value σ settles at length² ``(1 - σ²) / 2``: for an orthogonal C the
    printed trace draws all of Z to zero, and with it ``cons``. ``"two_way"`` adds the blocks of W beside the diagonal,
    whose minimum is consensus instead.
    """

    terms: ClassVar[tuple[str, ...]] = ("feature", "diag", "cons", "latent", "orthonormal")

    def __init__(
        self,
        *,
        feature: float = 1.0,
        diag: float = 1.0,
        cons: float = 10.0,
        latent: float = 1.0,
        orthonormal: float = 1.0,
        cons_from: int = 0,
        units: str = "normalised",
        trace: str = "two_way",
        latent_bends_map: bool = False,
    ):
        if units not in UNITS:
            raise ValueError(f"units={units!r} is unknown; use one of {', '.join(UNITS)}")
        if trace not in TRACES:
            raise ValueError(f"trace={trace!r} is unknown; use one of {', '.join(TRACES)}")
        self.weights = dict(zip(self.terms, (feature, diag, cons, latent, orthonormal), strict=True))
        at_least(0, **self.weights, cons_from=cons_from)
        self.cons_from = cons_from
        self.units = units
        self.trace = trace
        self.latent_bends_map = latent_bends_map

    def __call__(
        self,
        unknowns: Unknowns,
        coeffs1: Float[Tensor, "p k1 c"],
        coeffs2: Float[Tensor, "p k2 c"],
        delta: Float[Tensor, "p k2 k1"],
        *,
        step: int,
    ) -> Float[Tensor, "p terms"]:
        """The weighted terms at an iteration, counted from 0."""
        fmap12 = unknowns.fmap12
        values = {
            "feature": lambda: self._feature(fmap12, coeffs1, coeffs2),
            "diag": lambda: self._diagonal(fmap12, delta),
            "cons": lambda: consensus(*unknowns),
            "latent": lambda: TRACES[self.trace](
                fmap12 if self.latent_bends_map else fmap12.detach(), unknowns.latent1, unknowns.latent2
            ),
            "orthonormal": lambda: orthonormality(unknowns.latent1) + orthonormality(unknowns.latent2),
        }
        weights = self.weights if step >= self.cons_from else {**self.weights, "cons": 0.0}
        off = fmap12.new_zeros(len(fmap12))
        return torch.stack([weights[name] * values[name]() if weights[name] else off for name in self.terms], dim=1)

    def _feature(
        self, fmap12: Float[Tensor, "p k2 k1"], coeffs1: Float[Tensor, "p k1 c"], coeffs2: Float[Tensor, "p k2 c"]
    ) -> Float[Tensor, " p"]:
        error = feature_error(fmap12, coeffs1, coeffs2)
        if self.units == "printed":
            return error
        return error * coeffs2.shape[1] / coeffs2.square().sum(dim=(1, 2)).clamp_min(torch.finfo(error.dtype).tiny)

    def _diagonal(self, fmap12: Float[Tensor, "p k2 k1"], delta: Float[Tensor, "p k2 k1"]) -> Float[Tensor, " p"]:
        value = diagonal(fmap12, delta)
        if self.units != "normalised":
            return value
        return value / delta.square().mean(dim=(1, 2)).clamp_min(torch.finfo(value.dtype).tiny)
