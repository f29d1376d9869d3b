"""From a checked configuration to the objects of a run."""

import logging
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import lightning
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from omegaconf import DictConfig, OmegaConf

from pullback.data.mesh.datamodule import PairDataModule
from pullback.figures.picture import Picture
from pullback.figures.report import ReportContent
from pullback.runtime.learned import Before, trained_on
from pullback.runtime.options import options_at_fault
from pullback.runtime.origin import description_of, rule_of, weights_from_elsewhere
from pullback.runtime.processes import plugins_of, with_own_launcher
from pullback.runtime.processor import has_bfloat16_units, warn_of_slow_precision
from pullback.runtime.settings import as_yaml, instantiate, to_plain
from pullback.runtime.truth_checks import check_ground_truth, check_known_points
from pullback.tasks.training.checkpoint import AtomicCheckpointIO
from pullback.tasks.training.weights import load_weights
from pullback.writing import sweep, write_text_atomically

log = logging.getLogger(__name__)


@dataclass
class Run:
    """Everything that a program works with.

    ``weights`` says where those of the module come from, for the protocol of its results.
    """

    cfg: DictConfig
    config: Mapping[str, Any]  # the same, resolved, in plain containers
    data: Any  # PairDataModule or ImagePairDataModule
    module: Any  # MeshMatching or ImageMatching; None where stored predictions are scored
    trainer: Trainer
    evaluation: Any  # MeshEvaluation or ImageEvaluation
    weights: str
    started: float  # time.time()
    trained_on: list[str] = field(default_factory=list)  # names of the data sets that the weights have seen
    training: dict[str, Any] | None = None  # steps and seconds of a training that this process did
    pictures: list[Picture] = field(default_factory=list)  # of the report, for trackers

    @property
    def folder(self) -> Path:
        return Path(self.cfg.paths.output_dir)

    def show(self, content: ReportContent) -> None:
        """Keeps what trackers get of a report."""
        self.pictures = content.pictures

    @property
    def title(self) -> str:
        return " + ".join(self.data.test_names)


def build(cfg: DictConfig, checkpoint: Mapping[str, Any] | None = None) -> Run:
    """Data, module (with the weights of the checkpoint) and trainer.

    Leaves the resolved configuration in the run's folder.

    Raises MissingDataError when the data are not where they are looked for, and OptionError for what a part refuses.
    """
    with options_at_fault():
        return _build(cfg, checkpoint)


def _build(cfg: DictConfig, checkpoint: Mapping[str, Any] | None) -> Run:
    started = time.time()
    quieten()
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    data = instantiate(cfg.data)
    cfg = with_monitor(cfg, data) if "monitor" in cfg else cfg
    if cfg.get("landmarks") is not None:
        check_known_points(
            cfg, [name for name, pairs in zip(data.test_names, data.test_sets, strict=True) if not pairs.have_truth()]
        )
    config = to_plain(cfg)
    module = instantiate(cfg.module) if needs_module(cfg) else None
    if module is not None:
        module.config = config
    if checkpoint is not None and module is not None:
        load_weights(module, checkpoint)
    elsewhere = None if module is None else weights_from_elsewhere(cfg, module)
    trainer = trainer_of(cfg)
    weights = (elsewhere or rule_of(cfg, module, checkpoint)) if module is not None else "of the stored predictions"
    run = Run(
        cfg, config, data, module, trainer, evaluation=instantiate(cfg.evaluation), weights=weights, started=started
    )
    if module is not None and elsewhere is not None:
        module.before = Before.of_weights(cfg.weights).plain()
        run.trained_on = list(module.before["sets"])
    elif checkpoint is not None:
        with description_of(str(cfg.ckpt)):
            run.trained_on = trained_on(checkpoint)
    sweep(run.folder)
    write_text_atomically(run.folder / "config.yaml", as_yaml(config))
    return run


def needs_module(cfg: DictConfig) -> bool:
    """Whether networks are at work: stored predictions are scored without any."""
    return bool(cfg.get("optimizer")) or "match" in cfg.run or (cfg.kind == "image" and "prepare" in cfg.run)


def trainer_of(cfg: DictConfig) -> Trainer:
    """Lightning's trainer, with gradients where test pairs are tuned: inference mode would rule them out."""
    gradients = {"inference_mode": False} if cfg.get("adaptation") is not None else {}
    loggers = list(instantiate(cfg.get("logger") or {}).values())
    plugins = [AtomicCheckpointIO(), *plugins_of(cfg.trainer.devices)]
    trainer = instantiate(cfg.trainer, callbacks=callbacks_of(cfg), logger=loggers, plugins=plugins, **gradients)
    warn_of_slow_precision(trainer, units=has_bfloat16_units())
    return with_own_launcher(trainer)


def quieten() -> None:
    """Silences Lightning's advertisements and torch's warnings about it, on which no user can act."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*LeafSpec.*",
        ".*is smaller than the logging interval.*",
        "Experiment logs directory .* exists and is not empty",
        "It is recommended to use .*sync_dist",  # the figures of validated pairs are gathered, each counted once
        "Using `DistributedSampler` with the dataloaders",
        "Total length of `.*` across ranks is zero",  # no validation, which was asked for
        "The `srun` command is available on your system but is not used",
    ):
        warnings.filterwarnings("ignore", message=message)


def with_monitor(cfg: DictConfig, data: PairDataModule) -> DictConfig:
    """The configuration with the figure that selects the best checkpoint; null where nothing is validated."""
    if "match" in cfg.run:
        data.look_for_tests()
    trained = data.train_set.have_truth()
    validated = data.val_set.have_truth() and data.settings.geodesics is not None
    check_ground_truth(cfg, training=trained, validation=validated)
    monitor = cfg.monitor or ("val/geodesic_error" if validated else "val/loss")
    return cast(DictConfig, OmegaConf.merge(cfg, {"monitor": monitor if len(data.val_set) else None}))


def callbacks_of(cfg: DictConfig) -> list[Callback]:
    """The callbacks, except those that have nothing to do in this run."""
    callbacks = instantiate(cfg.get("callbacks") or {})
    if cfg.get("monitor") is None:
        callbacks.pop("best", None)
    if not cfg.trainer.enable_progress_bar:
        callbacks.pop("progress", None)
    return list(callbacks.values())
