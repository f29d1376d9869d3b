"""Weights and configuration from a checkpoint, read without executing anything in it."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from zipfile import is_zipfile

from torch import Tensor, nn

from pullback.data.kinds import FOREIGN, kind_of_file
from pullback.errors import UserError
from pullback.moved import with_present_names
from pullback.nn.descriptor import Descriptor
from pullback.nn.finite import check_weights
from pullback.nn.foreign_weights import ForeignWeightsError, FoundNetwork, find_network, load_foreign
from pullback.nn.weight_files import MoreThanTensorsError, WeightsFileError, read_tensors, tensors_of
from pullback.plain_data import plain_data
from pullback.tasks.training.shipped import weights_file

log = logging.getLogger(__name__)

# What makes a file of tensors alone of a pickled network, of ULRSSM's checkpoints and of Lightning's.
_UNPACKED = (
    "c = torch.load(FILE, weights_only=False); torch.save(c.state_dict() if hasattr(c, 'state_dict') else "
    "c.get('networks', c.get('state_dict', c.get('model_state_dict'))), 'weights.pth')"
)


class CheckpointError(UserError, ValueError):
    """A file is no checkpoint of this project, is damaged, or holds the weights of another network."""


class NoCheckpoint(UserError, FileNotFoundError):
    """There is no file of that name."""


def load_checkpoint(path: str | Path) -> Mapping[str, Any]:
    """A checkpoint of this project, or the shipped one of that name: weights and plain data, whoever wrote it.

    Nothing in it is executed, unpacked beyond its size, or believed: ``state_dict`` holds dense tensors of finite
    numbers, ``config`` plain containers (see `plain_data`). Raises NoCheckpoint, CheckpointError, PlainDataError or
    NotFiniteError, naming the file.
    """
    path = weights_file(path)
    if not path.is_file():
        raise NoCheckpoint(
            f"there is no checkpoint {path}; give ckpt=RUN/checkpoints/best.ckpt of a run, or ckpt=null for none"
        )
    try:
        checkpoint = read_tensors(path)
    except WeightsFileError as error:
        raise CheckpointError(f"{path} is no checkpoint of plain tensors, or is damaged ({error})") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "config"} <= checkpoint.keys():
        raise CheckpointError(f"{path} was not written by train.py: it holds no state_dict and config")
    if type(checkpoint.get("global_step", 0)) is not int:
        raise CheckpointError(f"{path} was not written by train.py: its global_step is no number")
    try:
        weights = dict(tensors_of(checkpoint["state_dict"], flat=True))
    except WeightsFileError as error:
        raise CheckpointError(f"{path}: its state_dict {error}") from None
    check_weights(weights, source=str(path))
    config = plain_data(checkpoint["config"], what=f"{path}: its configuration")
    if not isinstance(config, dict):
        raise CheckpointError(f"{path}: its configuration is no mapping; it was not written by train.py")
    return {**checkpoint, "state_dict": weights, "config": with_present_names(config)}


def load_to_resume(path: str | Path) -> Mapping[str, Any]:
    """A checkpoint from which a training may go on. Raises CheckpointError, and as ``load_checkpoint``.

    Lightning deletes the checkpoints that a better one replaces by the names that stand in the file: they must lie
    beside one another.
    """
    checkpoint = load_checkpoint(path)
    callbacks = checkpoint.get("callbacks") or {}
    for state in callbacks.values() if isinstance(callbacks, Mapping) else ():
        if not isinstance(state, Mapping) or "dirpath" not in state:
            continue
        best = state.get("best_k_models")
        named = [
            *(best if isinstance(best, Mapping) else ()),
            state.get("kth_best_model_path"),
            state.get("last_model_path"),
        ]
        for name in filter(None, named):
            if Path(str(name)).parent != Path(str(state["dirpath"])) or ".." in Path(str(name)).parts:
                raise CheckpointError(
                    f"{path} would have {name} replaced, which is none of its checkpoints; begin anew with resume=null"
                )
    return checkpoint


def load_weights(module: nn.Module, checkpoint: Mapping[str, Any]) -> None:
    """Puts the checkpoint's weights into the module. Raises CheckpointError when they are those of another network."""
    check_fit(module, checkpoint["state_dict"])
    module.load_state_dict(checkpoint["state_dict"])


def check_fit(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Raises CheckpointError unless the weights have the names and shapes of the module's."""
    ours = module.state_dict()
    problems = [
        f"{name} does not exist in the {'checkpoint' if name in ours else 'network'}"
        for name in ours.keys() ^ weights.keys()
    ]
    for name in ours.keys() & weights.keys():
        if ours[name].shape != weights[name].shape:
            there, here = tuple(weights[name].shape), tuple(ours[name].shape)
            problems.append(f"size mismatch for {name}: {there} in the checkpoint, {here} in the network")
    if problems:
        more = f" ({len(problems) - 1} more of the kind)" if len(problems) > 1 else ""
        raise CheckpointError(
            "the weights of the checkpoint do not fit the backbone; drop the backbone overrides, and the "
            "checkpoint's own is taken. "
            f"{min(problems)}{more}"
        )


def load_weights_of_others(module: nn.Module, path: str | Path) -> str:
    """Puts the DiffusionNet weights of another code base, or of a checkpoint, into ``module.backbone``.

    Returns in words where they come from, for the protocol of results; logs what else the file holds, which is ignored.
    Raises NoCheckpoint, NotFiniteError, or ForeignWeightsError naming the file, the layer, both shapes and the
    overrides that would fit.
    """
    path, backbone = weights_file(path), cast(nn.Module, module.backbone)
    content = _content_of(path)
    try:
        found = load_foreign(backbone, content, source=f"weights={path}")
    except WeightsFileError as error:
        raise ForeignWeightsError(f"weights={path} {error}") from None
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    log.info(
        "%s: %s with the names of %s; ignored around it: %s",
        path,
        found.prefix.rstrip(".") or "the network",
        found.layout,
        found.ignored() or "nothing",
    )
    descriptor = cast(Descriptor, backbone.descriptor)
    inputs = f"{type(descriptor).__name__} of {descriptor.channels} channels"
    if found.inputs is None or not type(descriptor).__name__.endswith(found.inputs):
        log.warning(
            "%s: which input features they were trained with is not in the file%s; this backbone gives them %s",
            path,
            f", whose {found.channels} channels are usually {found.inputs}" if found.inputs else "",
            inputs,
        )
    return f"{path.name} from elsewhere (names of {found.layout}, sha256 {digest}), fed {inputs}"


def network_in(path: Path) -> FoundNetwork:
    """The DiffusionNet in a file of weights by others. Raises as ``load_weights_of_others``."""
    content = _content_of(path)
    try:
        return find_network(content)
    except WeightsFileError as error:
        raise ForeignWeightsError(f"weights={path} {error}") from None


def _content_of(path: Path) -> Any:
    if not path.is_file():
        raise NoCheckpoint(
            f"weights={path} does not exist; give a file with the weights of a DiffusionNet, or weights=null"
        )
    try:
        return read_tensors(path)
    except MoreThanTensorsError as error:
        raise ForeignWeightsError(
            f"weights={path} holds more than tensors and plain data ({error}), which is not read because it "
            f"could execute code; where you trust it: {_UNPACKED}, with the code of its authors at hand"
        ) from error
    except WeightsFileError as error:
        what, advice = _instead_of_weights(path)
        raise ForeignWeightsError(f"weights={path} is {what} ({error}): {advice}") from error


def _instead_of_weights(path: Path) -> tuple[str, str]:
    """What a file is that holds no tensors, and what to do."""
    kind = kind_of_file(path)
    if kind in ("a web page", "a pointer of Git LFS", "a compressed file (gzip)") or is_zipfile(path):
        kind = kind or "a ZIP archive"
        return kind, FOREIGN[kind].replace("picture inside", "file of weights inside").replace("picture", "file")
    return "damaged, or no file of weights", "download it again, or give another"
