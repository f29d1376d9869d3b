"""Matching meshes with functional maps, as Lightning runs it: one pair a step, the same match for training and test."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from jaxtyping import Float
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from pullback.metrics.geodesic import check_point_map, geodesic_errors
from pullback.nn.finite import check_features
from pullback.solvers.solver import matching
from pullback.tasks.mesh.adaptation import Adaptation
from pullback.tasks.mesh.alignment import tell_misaligned
from pullback.tasks.mesh.landmarks import Points, known_points
from pullback.tasks.mesh.recent import Features, RecentFeatures
from pullback.tasks.store import PredictionStore
from pullback.tasks.stored_arrays import check_map
from pullback.tasks.validation import ValidatedPairs
from pullback.types import Eigenbasis, Match, Shape, ShapePair

log = logging.getLogger(__name__)

Solver = Callable[[Float[Tensor, "n1 c"], Float[Tensor, "n2 c"], Eigenbasis, Eigenbasis], Match]
Term = Callable[[Match, ShapePair], Float[Tensor, ""]]


class MeshMatching(LightningModule):
    """Features from a backbone, a match from a solver, a loss from weighted terms.

    ``optimizer`` and ``scheduler`` are factories; the scheduler counts optimiser steps. ``adaptation`` changes the
    network for each pair of ``predict_step``; ``landmarks`` is how many ground-truth points of a pair a backbone made
    for them gets (None: none). ``config`` is the resolved configuration in plain containers, which every checkpoint
    carries; ``stores`` take the predictions, one for each test data set. Raises ValueError when there is nothing that
    could be adapted.
    """

    # of the refined map, and of the features' nearest neighbours
    error_names = ("geodesic_error", "feature_geodesic_error")

    def __init__(
        self,
        backbone: nn.Module,
        solver: Solver,
        losses: Mapping[str, Term] | None = None,
        *,
        optimizer: Callable[..., Optimizer] | None = None,
        scheduler: Callable[[Optimizer], LRScheduler] | None = None,
        adaptation: Adaptation | None = None,
        landmarks: int | None = None,
    ):
        super().__init__()
        self.backbone = backbone
        self.solver = solver
        self.losses = dict(losses or {})
        self.optimizer_factory = optimizer
        self.scheduler_factory = scheduler
        self.adaptation = adaptation
        self.landmarks = landmarks
        self.config: Mapping[str, Any] = {}
        self.before: Mapping[str, Any] = {}  # what the weights had learned from when the training began
        self.stores: Sequence[PredictionStore] = ()
        self.recent = RecentFeatures()
        self.validating = False
        self.validated = ValidatedPairs()
        if landmarks is not None and landmarks < 1:
            raise ValueError(f"landmarks={landmarks} is no number of points; use landmarks=6, or null for none")
        if adaptation is not None:
            self.check_adaptable()

    def check_adaptable(self) -> None:
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise ValueError(f"{type(self.backbone).__name__} has no weights to adapt to a pair; use adaptation=null")
        if not self.losses:
            raise ValueError(
                "there is no loss to adapt by: give ckpt=… for those of its training, or choose some: "
                "loss=[consistency]"
            )

    def match(self, pair: ShapePair, *, features: Features | None = None, learning: bool = False) -> Match:
        """The match of a pair. Mixed precision ends with the features: distances of embeddings do not survive it.

        ``features`` takes the place of the backbone, for one that remembers. A network that gives every point the same
        features has no match, but one that is ``learning`` may come away from there. Raises NotFiniteError and
        DeadFeaturesError.
        """
        given1, given2 = self.landmarks_of(pair)
        features = features or self.backbone
        feat1, feat2 = features(pair.shape1, *given1), features(pair.shape2, *given2)
        for feat, shape in ((feat1, pair.shape1), (feat2, pair.shape2)):
            check_features(feat, of=shape.name, varied=not learning)
        solve = self.solver if learning else matching(self.solver)
        with self.full_precision():
            return solve(feat1.float(), feat2.float(), pair.shape1.basis, pair.shape2.basis)

    def landmarks_of(self, pair: ShapePair) -> tuple[Sequence[Points], Sequence[Points]]:
        """What the backbone gets of either shape beside its geometry."""
        if self.landmarks is None:
            return (), ()
        points1, points2 = known_points(pair, self.landmarks)
        return (points1,), (points2,)

    def loss_terms(self, match: Match, pair: ShapePair) -> dict[str, Float[Tensor, ""]]:
        """The weighted terms of the loss by name."""
        with self.full_precision():
            return {name: term(match, pair) for name, term in self.losses.items()}

    def full_precision(self) -> AbstractContextManager:
        return torch.autocast(self.device.type, enabled=False)

    def training_step(self, pair: ShapePair, batch_idx: int) -> dict[str, Any]:
        terms = self.loss_terms(self.match(pair, learning=True), pair)
        loss = total(terms, pair)
        self.log_dict({f"train/loss/{name}": term for name, term in terms.items()}, batch_size=1)
        self.log("train/loss", loss, batch_size=1, prog_bar=True)
        return {"loss": loss, "values": {"loss": loss.detach()} | {name: term.detach() for name, term in terms.items()}}

    def validation_step(self, pair: ShapePair, batch_idx: int) -> dict[str, Any]:
        features = self.recent.of("val", self.backbone) if self.validating else None
        match = self.match(pair, features=features, learning=True)  # an early one may be bad: the training goes on
        terms = self.loss_terms(match, pair)
        values = {"loss": total(terms, pair), **terms, **self.errors(match, pair)}
        figures = {f"val/loss/{name}" if name in terms else f"val/{name}": value for name, value in values.items()}
        self.validated.add(batch_idx, {name: float(value) for name, value in figures.items()})
        return {"values": values}

    def on_validation_epoch_end(self) -> None:
        pairs = self.trainer.val_dataloaders
        self.log_dict(self.validated.means(len(pairs.dataset)) if pairs else {}, batch_size=1)

    def setup(self, stage: str) -> None:
        """Once the data are prepared, before the first pair."""
        tell_misaligned(self.backbone, getattr(self._trainer, "datamodule", None))

    def predict_step(self, pair: ShapePair, batch_idx: int, dataloader_idx: int = 0) -> str:
        """Stores the match of a pair, unless it is there already.

        A pair that cannot be matched costs no other one its result.
        """
        store = self.stores[dataloader_idx]
        features = self.recent.of(str(store.directory), self.backbone) if self.landmarks is None else None
        try:
            if not _is_stored(store, pair):
                store.save(pair.name, **self.predicted(pair, features=features))
        except (RuntimeError, ValueError, ArithmeticError) as error:
            log.error("the pair %s could not be matched: %s", pair.name, error)
            store.save_failure(pair.name, str(error))
        return pair.name

    def on_validation_start(self) -> None:
        self.recent.clear()
        self.validating = self.landmarks is None  # the weights stay, and with them the features of a shape

    def on_validation_end(self) -> None:
        self.recent.clear()
        self.validating = False

    def on_predict_start(self) -> None:
        self.recent.clear()

    def on_predict_end(self) -> None:
        self.recent.clear()

    def match_for_test(self, pair: ShapePair, *, features: Features | None = None) -> Match:
        """The match of a test pair by a network that was adapted to it, if it is to be.

        What adapts it sees no ground truth.
        """
        if self.adaptation is None:
            return self.match(pair, features=features)
        blind = ShapePair(pair.shape1, pair.shape2)

        def loss() -> Float[Tensor, ""]:
            with self.full_precision():  # autocast would go on with the copies it made of the first step's weights
                return total(self.loss_terms(self.match(blind, learning=True), blind), blind)

        with self.adaptation(self, loss, name=pair.name):
            return self.match(pair)

    def predicted(self, pair: ShapePair, *, features: Features | None = None) -> dict[str, Any]:
        """What is stored of a pair: the point map 2 → 1, both functional maps, and the seconds it took.

        Those of the network count for the first pair in which it meets a shape.
        """
        start = time.perf_counter()
        match = self.match_for_test(pair, features=features)
        with self.full_precision():  # some maps are found when they are first read
            p2p21 = match.p2p21.cpu()  # waits for the device
            check_map(p2p21, match.fmap12, of=pair.name)
        seconds = time.perf_counter() - start
        return {"p2p21": p2p21, "fmap12": match.fmap12, "fmap12_init": match.fmap12_init, "seconds": seconds}

    @torch.no_grad()
    def features(self, shape: Shape) -> Float[Tensor, "n c"]:
        """The features of a shape, for pictures."""
        return self.eval().backbone(shape.to(self.device)).float().cpu()

    def errors(self, match: Match, pair: ShapePair) -> dict[str, Float[Tensor, ""]]:
        """Mean geodesic errors of a pair in units of √area; none where the pair has no ground truth."""
        if pair.corr1 is None or pair.geodesics1 is None:
            return {}
        with self.full_precision():
            maps = (match.p2p21, match.map21_init.nearest())
        return {name: geodesic_errors(p2p21, pair).mean() for name, p2p21 in zip(self.error_names, maps, strict=True)}

    def configure_optimizers(self) -> Any:
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        if not parameters:
            raise ValueError(
                f"{type(self.backbone).__name__} has nothing to train; evaluate "
                "it with: python eval.py ckpt=null backbone=…"
            )
        if self.optimizer_factory is None:
            raise ValueError("there is no optimiser to train with; give MeshMatching the factory of one")
        optimizer = self.optimizer_factory(parameters)
        if self.scheduler_factory is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.scheduler_factory(optimizer), "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["config"] = dict(self.config)
        if self.before:
            checkpoint["before"] = dict(self.before)


def _is_stored(store: PredictionStore, pair: ShapePair) -> bool:
    """Whether the store has a map that fits the shapes of the pair; one that does not is made anew, with a warning."""
    prediction = store.load(pair.name)
    if prediction is None:
        return False
    try:
        check_point_map(prediction.p2p21, pair)
    except ValueError as error:
        log.warning("%s: %s; the pair is matched anew", store.path(pair.name), error)
        return False
    return True


def total(terms: Mapping[str, Float[Tensor, ""]], pair: ShapePair) -> Float[Tensor, ""]:
    """The sum of the terms. Raises FloatingPointError naming the pair when it is not finite."""
    loss = torch.stack(list(terms.values())).sum()
    if not torch.isfinite(loss):
        shown = ", ".join(f"{name}={term.item():g}" for name, term in terms.items())
        raise FloatingPointError(f"the loss of the pair {pair.name} is not finite: {shown}")
    return loss
