"""The per-pair optimisation of Cheng et al. (2024), as printed."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from pullback.mapping.fmap import eigenvalue_difference
from pullback.mapping.latent import latent_bases
from pullback.mapping.patch_batch import PaddedPatches, pad_patches, stack_padded
from pullback.ranges import at_least
from pullback.solvers.pair_descriptors import PairDescriptors
from pullback.solvers.pair_losses import PairLoss, Unknowns
from pullback.solvers.pair_solver import PairFmap, PairSolver, natural_scale, projector
from pullback.solvers.seeding import pair_generator
from pullback.types import PatchPair

PRECISIONS = {"float32": None, "float16": torch.float16, "bfloat16": torch.bfloat16}


@runtime_checkable
class FeatureRefiner(Protocol):
    """A network for each pair of a batch, such as :class:`pullback.nn.refiner.Refiner`."""

    def draw_weights(self, channels: int, generators: Sequence[torch.Generator]) -> dict[str, Tensor]:
        """Initial weights with a leading pair dimension, on the CPU."""
        ...

    def prepare(self, patches: PaddedPatches, generators: Sequence[torch.Generator]) -> Any:
        """One photograph of each pair, as the network takes it."""
        ...

    def __call__(
        self, weights: dict[str, Tensor], side1: Any, side2: Any
    ) -> tuple[Float[Tensor, "p n1 c"], Float[Tensor, "p n2 c"]]:
        """The refined features of both photographs."""
        ...


class Unrefined:
    """No refiner: features stay what they are."""

    def draw_weights(self, channels: int, generators: Sequence[torch.Generator]) -> dict[str, Tensor]:
        return {}

    def prepare(self, patches: PaddedPatches, generators: Sequence[torch.Generator]) -> Float[Tensor, "p n c"]:
        return patches.feat

    def __call__(
        self, weights: dict[str, Tensor], side1: Float[Tensor, "p n1 c"], side2: Float[Tensor, "p n2 c"]
    ) -> tuple[Float[Tensor, "p n1 c"], Float[Tensor, "p n2 c"]]:
        return side1, side2


class Problem(NamedTuple):
    """What stays fixed while a batch of pairs is optimised."""

    side1: Any  # as the refiner prepared them
    side2: Any
    project1: Float[Tensor, "p k1 n1"]
    project2: Float[Tensor, "p k2 n2"]
    constants1: Float[Tensor, "p k1 s"]  # coefficients of the constant function, s = 1, or none of it, s = 0
    constants2: Float[Tensor, "p k2 s"]
    delta: Float[Tensor, "p k2 k1"]


class PairOptimiser(PairSolver):
    """Adam on the map C, the refiner gR and the latent bases Z1, Z2 together, from a fresh start for each pair.

    The terms, their weights, and what the printed equations imply are told at :class:`PairLoss`. Added to the paper,
    beside the options there: descriptors are normalised before the refiner; coefficients are those of unit-area bases;
    ``latent_dim`` says how many columns Z has (None: as many as the smaller basis has functions, which makes ``cons``
    soft orthogonality of all of C); C starts from ``initial``, another solver, because eigenfunctions of two
    photographs agree in neither sign nor order (None: the identity), and Z at the consensus of that C. A trained
    refiner can also make the photographs agree by forgetting what tells patches apart, or by writing down positions
    instead of content: ``lr_refiner`` and ``steps`` are the only brakes, 0 freezes it, and ``refiner=None`` does
    without. A frozen one that starts at the identity (``skip``) is none.

    ``precision`` is that of the refiner on a GPU. All pairs of a batch are optimised at once.
    """

    mode: ClassVar[str] = "paper"
    terms: ClassVar[tuple[str, ...]] = PairLoss.terms

    def __init__(
        self,
        refiner: FeatureRefiner | None,
        *,
        descriptors: PairDescriptors | None = None,
        loss: PairLoss | None = None,
        initial: PairSolver | None = None,
        latent_dim: int | None = None,
        steps: int = 2000,
        lr_fmap: float = 1e-3,
        lr_refiner: float = 1e-4,
        lr_latent: float = 1e-3,
        precision: str = "float32",
        seed: int = 0,
        max_pairs: int = 8,
    ):
        super().__init__(max_pairs=max_pairs)
        at_least(0, lr_fmap=lr_fmap, lr_refiner=lr_refiner, lr_latent=lr_latent, steps=steps, seed=seed)
        at_least(1, latent_dim=latent_dim)
        if precision not in PRECISIONS:
            raise ValueError(f"precision={precision!r} is unknown; use one of {', '.join(PRECISIONS)}")
        self.refiner: FeatureRefiner = refiner or Unrefined()
        self.descriptors = descriptors or PairDescriptors()
        self.loss = loss or PairLoss()
        self.initial = initial
        self.latent_dim = latent_dim
        self.steps = steps
        self.rates = {"fmap": lr_fmap, "refiner": lr_refiner, "latent": lr_latent}
        self.precision = precision
        self.seed = seed

    def solve(self, pairs: Sequence[PatchPair]) -> list[PairFmap]:
        generators = [pair_generator(pair.name, self.seed) for pair in pairs]
        problem = self.problem(pairs, generators)
        start = self._initial_maps(pairs)
        unknowns = Unknowns(
            *(tensor.requires_grad_() for tensor in (start.clone(), *latent_bases(start, self._latent_dim(start))))
        )
        channels = self.descriptors.features(pairs[0])[0].shape[1]
        drawn = self.refiner.draw_weights(channels, generators)
        weights = {name: weight.to(start).requires_grad_() for name, weight in drawn.items()}
        losses = self._optimise(problem, unknowns, weights)
        scales = [natural_scale(pair) for pair in pairs]
        return [
            PairFmap(s * c, s * c0, terms)
            for s, c, c0, terms in zip(scales, unknowns.fmap12.detach(), start, losses, strict=True)
        ]

    def problem(self, pairs: Sequence[PatchPair], generators: Sequence[torch.Generator]) -> Problem:
        """The constants of a batch, on the device of its features."""
        feats = [self.descriptors.features(pair) for pair in pairs]
        constants = [self.descriptors.constants(pair) for pair in pairs]
        columns = slice(None) if self.descriptors.constant else slice(0)
        side1, side2 = (
            self.refiner.prepare(
                pad_patches([(p.image1, p.image2)[i] for p in pairs], [feat[i] for feat in feats]), generators
            )
            for i in (0, 1)
        )
        project1, project2 = (stack_padded([projector(pair, side).T for pair in pairs]).mT for side in (1, 2))
        delta = [eigenvalue_difference(pair.image1.basis.evals, pair.image2.basis.evals) for pair in pairs]
        fixed1, fixed2 = (torch.stack([constant[i] for constant in constants])[..., columns] for i in (0, 1))
        return Problem(side1, side2, project1, project2, fixed1, fixed2, torch.stack(delta))

    def coefficients(
        self, problem: Problem, weights: dict[str, Tensor]
    ) -> tuple[Float[Tensor, "p k1 c"], Float[Tensor, "p k2 c"]]:
        """Coefficients of the refined descriptors of both photographs."""
        with self._autocast(problem.delta.device):
            refined1, refined2 = self.refiner(weights, problem.side1, problem.side2)
        dtype = problem.project1.dtype
        return (
            torch.cat([problem.project1 @ refined1.to(dtype), problem.constants1], dim=2),
            torch.cat([problem.project2 @ refined2.to(dtype), problem.constants2], dim=2),
        )

    def _optimise(self, problem: Problem, unknowns: Unknowns, weights: dict[str, Tensor]) -> Float[Tensor, "p terms"]:
        groups = {
            "fmap": [unknowns.fmap12],
            "latent": [unknowns.latent1, unknowns.latent2],
            "refiner": list(weights.values()),
        }
        active = [{"params": params, "lr": self.rates[name]} for name, params in groups.items() if self.rates[name] > 0]
        adam = torch.optim.Adam(active)
        with torch.no_grad():
            frozen = None if weights and self.rates["refiner"] else self.coefficients(problem, weights)
        with torch.enable_grad():
            for step in range(self.steps):
                adam.zero_grad(set_to_none=True)
                coeffs = frozen or self.coefficients(problem, weights)
                self.loss(unknowns, *coeffs, problem.delta, step=step).sum().backward()
                adam.step()
        with torch.no_grad():
            return self.loss(unknowns, *(frozen or self.coefficients(problem, weights)), problem.delta, step=self.steps)

    def _latent_dim(self, fmap12: Float[Tensor, "p k2 k1"]) -> int:
        return self.latent_dim or min(fmap12.shape[1:])

    def _initial_maps(self, pairs: Sequence[PatchPair]) -> Float[Tensor, "p k2 k1"]:
        if self.initial is None:
            evecs = pairs[0].image1.basis.evecs
            eye = torch.eye(pairs[0].image2.basis.k, pairs[0].image1.basis.k, dtype=evecs.dtype, device=evecs.device)
            return eye.repeat(len(pairs), 1, 1)
        return torch.stack(
            [found.fmap12 / natural_scale(pair) for found, pair in zip(self.initial(pairs), pairs, strict=True)]
        )

    def _autocast(self, device: torch.device) -> AbstractContextManager[Any]:
        dtype = PRECISIONS[self.precision]
        return torch.autocast("cuda", dtype=dtype) if dtype is not None and device.type == "cuda" else nullcontext()
