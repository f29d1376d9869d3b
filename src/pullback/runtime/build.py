"""From a checked configuration to the objects of a run."""

import logging
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf, open_dict

from pullback.data.datamodule import PairDataModule
from pullback.data.pairs import ShapePairDataset
from pullback.runtime.checks import check_ground_truth, chosen_terms
from pullback.runtime.origin import rule_of
from pullback.runtime.settings import made, plain
from pullback.tasks.weights import load_weights

log = logging.getLogger(__name__)


@dataclass
class Run:
    """Everything that a program works with. ``weights`` says where those of the module come from, for the protocol of its results."""

    cfg: DictConfig
    config: Mapping[str, Any]  # the same, resolved, in plain containers
    data: Any  # PairDataModule or ImagePairDataModule
    module: Any  # MeshMatching or ImageMatching; None where stored predictions are scored
    trainer: Trainer
    evaluation: Any  # MeshEvaluation or ImageEvaluation
    weights: str
    started: float  # time.time()
    training: dict[str, Any] | None = None  # steps and seconds of a training that this process did

    @property
    def folder(self) -> Path:
        return Path(self.cfg.paths.output_dir)

    @property
    def title(self) -> str:
        return " + ".join(self.data.test_names)


def build(cfg: DictConfig, checkpoint: Mapping[str, Any] | None = None) -> Run:
    """Data, module (with the weights of the checkpoint) and trainer. Leaves the resolved configuration in the run's folder.

    Raises MissingDataError when the data are not where they are looked for.
    """
    started = time.time()
    quieten()
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    data = made(cfg.data)
    cfg = without_leftovers(cfg)
    cfg = with_monitor(cfg, data) if "monitor" in cfg else cfg
    config = plain(cfg)
    module = made(cfg.module) if needs_module(cfg) else None
    if module is not None:
        module.config = config
    if checkpoint is not None and module is not None:
        load_weights(module, checkpoint)
    trainer = made(cfg.trainer, callbacks=callbacks_of(cfg), logger=list(made(cfg.logger).values()))
    weights = rule_of(cfg, module, checkpoint) if module is not None else "of the stored predictions"
    run = Run(cfg, config, data, module, trainer, evaluation=made(cfg.evaluation), weights=weights, started=started)
    run.folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(OmegaConf.create(config), run.folder / "config.yaml")
    return run


def needs_module(cfg: DictConfig) -> bool:
    """Whether networks are at work: stored predictions are scored without any."""
    return bool(cfg.get("optimizer")) or "match" in cfg.run or (cfg.kind == "photographs" and "prepare" in cfg.run)


def quieten() -> None:
    """Lightning's advertisements and torch's warnings about Lightning are nothing that a user could act on, or wrong here."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (".*LeafSpec.*", ".*is smaller than the logging interval.*", "Experiment logs directory .* exists and is not empty"):
        warnings.filterwarnings("ignore", message=message)


def without_leftovers(cfg: DictConfig) -> DictConfig:
    """The configuration without the values that a recipe holds for loss terms that were not chosen."""
    cfg, terms = cfg.copy(), chosen_terms(cfg)
    with open_dict(cfg):
        for name in [name for name in cfg.loss if name not in terms]:
            log.info("the loss term %s was not chosen; its values in the recipe do nothing", name)
            del cfg.loss[name]
    return cfg


def with_monitor(cfg: DictConfig, data: PairDataModule) -> DictConfig:
    """The configuration with the figure that selects the best checkpoint; null where nothing is validated."""
    validated = is_measured(data.val_set) and data.settings.geodesics is not None
    check_ground_truth(cfg, training=is_measured(data.train_set), validation=validated)
    monitor = cfg.monitor or ("val/geodesic_error" if validated else "val/loss")
    return OmegaConf.merge(cfg, {"monitor": monitor if len(data.val_set) else None})


def callbacks_of(cfg: DictConfig) -> list[Callback]:
    """The callbacks, but those that have nothing to do in this run."""
    callbacks = made(cfg.callbacks)
    if cfg.get("monitor") is None:
        callbacks.pop("best", None)
    if not cfg.trainer.enable_progress_bar:
        callbacks.pop("progress", None)
    return list(callbacks.values())


def is_measured(pairs: ShapePairDataset) -> bool:
    """Whether all pairs have ground truth."""
    return all(files.vts is not None for files in pairs.used())
