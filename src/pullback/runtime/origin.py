"""Where weights and predictions come from: what a run takes from them, and how its results name them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from torch import nn

from pullback.errors import UserError
from pullback.runtime.learned import learned_by, learned_from
from pullback.runtime.offered import OFFERED, ForeignConfigError, check_offered
from pullback.runtime.parts import ConfigError, class_of
from pullback.runtime.settings import inherit, inherited, instantiate, located
from pullback.solvers.solver import named_with
from pullback.tasks.mesh.adaptation import FineTuning
from pullback.tasks.store import NoPredictions, PredictionStore
from pullback.tasks.training.weights import check_fit, load_checkpoint, load_weights_of_others

_LARGEST_NETWORK = 2**32  # bytes of weights that a checkpoint's configuration may ask for
# Where runs leave their stores, below a folder that holds several runs (that of ``eval.py -m shard=1/3,2/3,3/3``).
_OF_RUNS = ("*/predictions/{dataset}", "*/{dataset}")


def with_origin(cfg: DictConfig, overrides: Sequence[str]) -> tuple[DictConfig, Mapping[str, Any] | None]:
    """The configuration with what its checkpoint (or its stored predictions, where nothing is matched) was made with.

    The checkpoint.

    ``overrides`` are those of the command line: they win. With ``untrained`` the checkpoint lends its configuration
    only.
    """
    if cfg.ckpt is not None:
        methods = [override for override in overrides if override.startswith("method=") and override != "method=null"]
        if methods:
            raise ConfigError(
                f"ckpt={cfg.ckpt} brings its own method, {methods[0]} is another: "
                "drop one, or change a part with solver=NAME"
            )
        checkpoint = load_checkpoint(cfg.ckpt)
        result = inherit(cfg, checkpoint["config"], overrides, source=str(cfg.ckpt))
        check_buildable(result, checkpoint, inherited(cfg, checkpoint["config"], overrides), source=str(cfg.ckpt))
        return result, None if cfg.get("untrained") else checkpoint
    if "score" in cfg.get("run", []) and "match" not in cfg.run:
        from pullback.runtime.foreign_predictions import is_foreign, on_whole_photographs  # reads photographs: Pillow

        name, *others = [dataset.name for dataset in instantiate(cfg.dataset).values()]
        if is_foreign(cfg, [name, *others]):
            return on_whole_photographs(cfg, overrides), None
        store = stores_of(cfg, name)[0]
        return inherit(cfg, store.fingerprint, overrides, source=str(store.signature), built="prepare" in cfg.run), None
    return cfg, None


def stores_of(cfg: DictConfig, dataset: str) -> list[PredictionStore]:
    """The stored predictions of a data set: in ``predictions``, or in each of the runs below it.

    Raises NoPredictions where there are none.
    """
    top = Path(cfg.predictions)
    if not PredictionStore.is_in(top / dataset):
        below = [folder for pattern in _OF_RUNS for folder in sorted(top.glob(pattern.format(dataset=dataset)))]
        found = [folder for folder in below if PredictionStore.is_in(folder)]
        if found:
            return [PredictionStore.open(folder) for folder in found]
        if cfg.get("kind") == "image":
            raise NoPredictions(
                f"{top} holds neither stored predictions of {dataset} nor what other programs write: flows (.flo, "
                f".npy, .npz) or {dataset}.csv, {dataset}.json of keypoints. Give predictions= the folder predictions/ "
                "of a run, or that of the flows"
            )
    return [PredictionStore.open(top / dataset)]


def check_buildable(cfg: DictConfig, checkpoint: Mapping[str, Any], parts: Sequence[str], *, source: str) -> None:
    """Raises ForeignConfigError or CheckpointError where a checkpoint's parts or weights do not fit.

    Tried without memory for the weights, so that a network of any size costs nothing. ``parts`` are those that the
    checkpoint gave alone; what the command line had a part in is checked when it is built.
    """
    for part in ("backbone", "solver", "loss"):
        if part not in parts:
            continue
        with description_of(source), torch.device("meta"):
            built = instantiate(cfg[part])
        if part == "backbone":
            network = nn.ModuleDict({"backbone": built})
            size = sum(values.numel() * values.element_size() for values in network.state_dict().values())
            if size > _LARGEST_NETWORK:
                raise ForeignConfigError(
                    f"{source}: its network would take {size / 2**30:.0f} GiB; choose another with backbone=NAME"
                )
            if not cfg.get("untrained"):
                check_fit(network, checkpoint["state_dict"])


def check_described(made_by: Mapping[str, Any], config: Mapping[str, Any], *, source: str) -> None:
    """Raises ForeignConfigError where stored predictions tell of parts that the project does not offer.

    ``config`` is that of the run: the parts that are equal there were composed by its user, or checked before.
    """
    for part in OFFERED:
        if made_by.get(part) is not None and made_by[part] != config.get(part):
            check_offered(part, made_by[part], source=source, built=False)


@contextmanager
def description_of(source: str) -> Iterator[None]:
    """A context in which a file's configuration is read: what is missing or odd there is the file's fault.

    Raises ForeignConfigError naming it, for what reading a value of another kind raises; faults of any other sort come
    through.
    """
    try:
        yield
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        first = str(error).strip().split("\n")[0][:300]
        lacks = f"it has no {first}" if isinstance(error, KeyError) else f"{type(error).__name__}: {first}"
        raise ForeignConfigError(
            f"{source}: its configuration is none of this version's, or was edited ({lacks})"
        ) from error


def rule_of(cfg: DictConfig, module: nn.Module, checkpoint: Mapping[str, Any] | None) -> str:
    """How the weights of a module were chosen, for the protocol of its results."""
    if checkpoint is not None:
        return describe(checkpoint, cfg.ckpt)
    trainable = any(parameter.requires_grad for parameter in module.parameters())
    return f"none: untrained, seed {cfg.seed}" if trainable else "none: nothing to train"


def weights_from_elsewhere(cfg: DictConfig, module: nn.Module) -> str | None:
    """Fills ``module.backbone`` with the weights of others, or of another training.

    Says whose they are, what they have learned from where that is known, and what their file settled. None where none
    are given, or with ``untrained`` their network alone is. Raises as ``load_weights_of_others``.
    """
    if cfg.get("weights") is None or cfg.get("untrained"):
        return None
    told, settled = load_weights_of_others(module, cfg.weights), cfg.get("weights_settle") or ()
    known, _ = learned_by(cfg.weights)
    told = f"{told}, {known}" if known else told
    return f"{told}; settled by the file: {' '.join(settled)}" if settled else told


def describe(checkpoint: Mapping[str, Any], path: str | Path) -> str:
    """The rule that chose the weights of a checkpoint, for the protocol of its results."""
    with description_of(str(path)):
        return _described(checkpoint, Path(path).stem)


def _described(checkpoint: Mapping[str, Any], rule: str) -> str:
    config = checkpoint["config"]
    if rule == "best":
        on = (
            "test pairs (data.select_on_test=true)"
            if config["data"]["select_on_test"]
            else "pairs of held-out training shapes"
        )
        rule = f"best {config['monitor']} on {on}"
    return f"{rule}, step {checkpoint['global_step']}, {learned_from(checkpoint)}"


def fine_tuning(made_by: Mapping[str, Any]) -> str:
    """What was done to the weights for each pair before it was matched.

    ``off``, or for example ``15 Adam steps a pair, lr 0.001, on consistency``.

    ``made_by`` is the fingerprint of stored predictions.
    """
    adaptation = made_by.get("adaptation")
    if adaptation is None:
        return "off"
    options = {key: value for key, value in adaptation.items() if key != "_target_"}
    # what a file names is compared, not imported: adaptations are not on the list of what is built of files
    if adaptation["_target_"] == f"{FineTuning.__module__}.{FineTuning.__qualname__}":
        return FineTuning.describe(options, terms=list(made_by["loss"]))
    return named_with(class_of(adaptation), options)


def refinement(solver: Mapping[str, Any]) -> str:
    """What the solver does at test time, as its class says: ``DiffZoomOut 30 → 130 by 10 (blur 0.01, …)``."""
    options = {key: value for key, value in solver.items() if key != "_target_"}
    describe = getattr(located(solver["_target_"]), "describe", None)
    return describe(options) if describe is not None else named_with(class_of(solver), options)
