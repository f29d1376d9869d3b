"""What a solver is: the call, and what it says of itself to the programs that run it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from pullback.ranges import at_least
from pullback.types import Eigenbasis, Match, PatchMatch, PatchPair


class MeshSolver(ABC):
    """Features at the vertices of two meshes in, a match out.

    The class attributes are read from the source of the class before anything is loaded (``pullback.declared``): they
    must be plain values there. A callable of the same arguments that is no subclass is taken as well, with the values
    that stand here.
    """

    kind: ClassVar[str] = "mesh"  # of the pairs that it matches: mesh | image
    differentiable: ClassVar[bool] = True  # whether gradients reach the features
    # Options that must not be null for that, each with a usual value.
    gradients_need: ClassVar[Mapping[str, Any]] = {}
    # Values of options with which gradients reach the features through the refined map as well.
    refined_gradients_need: ClassVar[Mapping[str, Any]] = {}
    # How many eigenfunctions of each shape are taken, by options: a name, or sums and products of names.
    eigenfunctions: ClassVar[str] = ""

    @abstractmethod
    def __call__(
        self, feat1: Float[Tensor, "n1 c"], feat2: Float[Tensor, "n2 c"], basis1: Eigenbasis, basis2: Eigenbasis
    ) -> Match:
        """The match of a pair from features of its points. Raises ValueError for a basis that is too short."""

    def matched(
        self, feat1: Float[Tensor, "n1 c"], feat2: Float[Tensor, "n2 c"], basis1: Eigenbasis, basis2: Eigenbasis
    ) -> Match:
        """The match where nothing is learned from it: ``map21`` is read off ``fmap12``.

        What losses alone read may be missing.
        """
        return self(feat1, feat2, basis1, basis2)

    @classmethod
    def describe(cls, options: Mapping[str, Any]) -> str:
        """What a solver with these options does, in a line for the protocol of results.

        Left out is what changes the time and not the map.
        """
        idle = {"backend"} if options.get("two_way") else {"backend", "two_way"}
        return named_with(cls.__name__, {name: value for name, value in options.items() if name not in idle})


class GrowingSolver(MeshSolver):
    """A solver whose functional map grows from ``k_init`` eigenfunctions by ``step``, ``n_steps`` times."""

    eigenfunctions: ClassVar[str] = "k_init + step * n_steps"

    def __init__(self, *, k_init: int, step: int, n_steps: int):
        at_least(1, k_init=k_init, step=step)
        at_least(0, n_steps=n_steps)
        self.k_init = k_init
        self.sizes = [k_init + step * (i + 1) for i in range(n_steps)]

    @classmethod
    def describe(cls, options: Mapping[str, Any]) -> str:
        """The line with the sizes: ``ZoomOut 30 → 130 by 10``."""
        rest = dict(options)
        k, step, n_steps = (rest.pop(key, None) for key in ("k_init", "step", "n_steps"))
        name, bracket, numbers = super().describe(rest).partition(" (")
        sizes = f" {k} → {k + step * n_steps} by {step}" if n_steps and None not in (k, step) else ""
        return name + sizes + bracket + numbers


class ImageSolver(ABC):
    """Pairs of patch graphs in, one match for each out; a pair's result does not depend on its neighbours."""

    kind: ClassVar[str] = "image"

    @property
    def mode(self) -> str:
        """What makes the functional map, in a word; raw where there is none."""
        return type(self).__name__

    def describe(self) -> str:
        """What is done, in a line for the protocol of results."""
        return self.mode

    @abstractmethod
    def __call__(self, pairs: Sequence[PatchPair]) -> list[PatchMatch]:
        """The matches in the order of the pairs."""


def matching(solver: Callable[..., Match]) -> Callable[..., Match]:
    """How a solver matches where nothing is learned from it."""
    return solver.matched if isinstance(solver, MeshSolver) else solver


def named_with(name: str, options: Mapping[str, Any]) -> str:
    """``Name (option value, option value)``."""
    numbers = ", ".join(f"{key} {value}" for key, value in options.items())
    return f"{name} ({numbers})" if numbers else name
