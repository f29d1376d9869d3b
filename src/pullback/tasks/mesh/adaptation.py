"""Adaptation at test time: a network fits its losses to one pair, matches it, and forgets it again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from pullback.ranges import above, at_least
from pullback.solvers.seeding import pair_generator

Loss = Callable[[], Float[Tensor, ""]]


@runtime_checkable
class Adaptation(Protocol):
    """What is done to a network before it matches a test pair."""

    def __call__(self, module: nn.Module, loss: Loss, *, name: str) -> AbstractContextManager[None]:
        """A context in which the module is adapted to the pair ``name``.

        Left in any way, the module is what it was before.

        ``loss()`` is the loss of that pair under the module's weights of the moment. It knows no ground truth.
        """
        ...


class FineTuning:
    """``steps`` optimiser steps on the training's losses for each pair, from the trained weights.

    ``optimizer`` is a factory. The norm of the gradient is clipped to ``gradient_clip`` (None: not at all). Dropout and
    augmentation stay off, so that what is tuned is what is matched; ``train_mode`` turns them on, and draws from a
    generator that belongs to the pair and to ``seed``. Nothing passes from one pair to the next: neither weights, nor
    moments of the optimiser, nor random numbers.

    Introduced for functional maps by Cao et al. 2023 (ULRSSM), who take 12 to 15 steps. Raises ValueError for options
    out of range.
    """

    def __init__(
        self,
        optimizer: Callable[..., Optimizer],
        *,
        steps: int = 15,
        gradient_clip: float | None = 1.0,
        train_mode: bool = False,
        seed: int = 0,
    ):
        at_least(1, steps=steps)
        above(0, gradient_clip=gradient_clip)
        at_least(0, seed=seed)
        self.optimizer = optimizer
        self.steps = steps
        self.gradient_clip = float("inf") if gradient_clip is None else float(gradient_clip)
        self.train_mode = train_mode
        self.seed = seed

    @classmethod
    def describe(cls, options: Mapping[str, Any], *, terms: Sequence[str]) -> str:
        """What is done with these options, in a line: ``15 Adam steps a pair, lr 0.001, on consistency``."""
        optimizer = options["optimizer"]
        steps = f"{options['steps']} {optimizer['_target_'].rsplit('.', 1)[-1]} steps a pair, lr {optimizer['lr']}"
        tail = ["with dropout and augmentation"] if options["train_mode"] else []
        return ", ".join([steps, f"on {' + '.join(terms)}", *tail])

    @contextmanager
    def __call__(self, module: nn.Module, loss: Loss, *, name: str) -> Iterator[None]:
        """A context with tuned weights.

        Raises RuntimeError where gradients cannot be, and when one of them is not finite.
        """
        if torch.is_inference_mode_enabled():
            raise RuntimeError(
                "fine-tuning needs gradients, which inference mode rules out; use Trainer(inference_mode=False)"
            )
        with _restored(module):
            with (
                _training_mode(module, self.train_mode),
                _own_random_numbers(module, name, self.seed),
                torch.enable_grad(),
            ):
                self._tune(module, loss)
            yield

    def _tune(self, module: nn.Module, loss: Loss) -> None:
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        optimizer = self.optimizer(parameters)
        for _ in range(self.steps):
            optimizer.zero_grad()
            loss().backward()
            clip_grad_norm_(parameters, self.gradient_clip, error_if_nonfinite=True)
            optimizer.step()
        optimizer.zero_grad()


@contextmanager
def _restored(module: nn.Module) -> Iterator[None]:
    """Weights and buffers are the same afterwards, bit for bit."""
    before = {name: values.detach().clone() for name, values in module.state_dict().items()}
    try:
        yield
    finally:
        module.load_state_dict(before)


@contextmanager
def _training_mode(module: nn.Module, mode: bool) -> Iterator[None]:
    """All parts of the module in one mode, and each in its own again."""
    before = [(part, part.training) for part in module.modules()]
    module.train(mode)
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


@contextmanager
def _own_random_numbers(module: nn.Module, name: str, seed: int) -> Iterator[None]:
    """Random numbers of the pair within, those of the process undisturbed after."""
    devices = {parameter.device for parameter in module.parameters() if parameter.is_cuda}
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(pair_generator(name, seed).initial_seed())
        yield
