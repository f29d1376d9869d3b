"""Writers of checkpoints and predictions as a stranger might make them: whole in form, hostile in what they say."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tests.composing import composed

from pullback.runtime.settings import instantiate, to_plain
from pullback.tasks.store import PredictionStore

TINY = ["backbone.network.width=8", "backbone.network.n_blocks=1", "backbone.network.k=12", "backbone.descriptor.k=12"]
TINY += ["backbone.descriptor.channels=8", "backbone.network.out_channels=8", "data.k=12"]
TINY += ["solver.k_init=6", "solver.step=2", "solver.n_steps=1"]


@cache
def honest_checkpoint() -> Mapping[str, Any]:
    """What ``train.py`` would keep of a small network."""
    cfg = composed("train", *TINY)
    backbone = instantiate(cfg.backbone)
    weights = {f"backbone.{name}": values.clone() for name, values in backbone.state_dict().items()}
    told = {
        key: to_plain(cfg)[key]
        for key in ("backbone", "solver", "loss", "dataset", "data", "method_name", "monitor", "weights", "seed")
    }
    return {"state_dict": weights, "config": told, "global_step": 5}


def changed(config: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of nested dictionaries with one value changed, ``solver.readout`` being a path."""
    first, _, rest = key.partition(".")
    return {**config, first: changed(config.get(first) or {}, rest, value) if rest else value}


def write_checkpoint(path: Path, key: str | None = None, value: Any = None, **entries: Any) -> Path:
    """A checkpoint with one value of its configuration changed, and with other entries."""
    checkpoint = {**honest_checkpoint(), **entries}
    if key is not None:
        checkpoint["config"] = changed(checkpoint["config"], key, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, path)
    return path


def write_predictions(folder: Path, fingerprint: Mapping[str, Any]) -> Path:
    """A folder of predictions with that fingerprint, rightly signed."""
    PredictionStore(folder, fingerprint)
    return folder


def calls(canary: Path) -> dict[str, dict[str, Any]]:
    """Nodes of a configuration that would leave a file ``canary`` if anything called them,
    and some that would do other harm.
    """
    text = f"__import__('pathlib').Path({str(canary)!r}).touch()"
    shell = f"touch {canary}"
    cpp = {"name": "x", "cpp_sources": "int x;", "build_directory": str(canary.parent)}
    return {
        "sympify": {"_target_": "sympy.sympify", "a": text},
        "write_text": {"_target_": "pathlib.Path.write_text", "_args_": [str(canary), "x"]},
        "touch": {"_target_": "pathlib.Path.touch", "_args_": [str(canary)]},
        "numpy.load": {"_target_": "numpy.load", "file": str(canary), "allow_pickle": True},
        "numpy.save": {"_target_": "numpy.save", "file": str(canary), "arr": [1]},
        "load_inline": {"_target_": "torch.utils.cpp_extension.load_inline", **cpp},
        "torch.load": {"_target_": "torch.load", "f": str(canary), "weights_only": False},
        "torch.save": {"_target_": "torch.save", "obj": 1, "f": str(canary)},
        "torch.hub": {"_target_": "torch.hub.load", "repo_or_dir": str(canary.parent), "model": "x", "source": "local"},
        "os.system": {"_target_": "os.system", "command": shell},
        "posix.system": {"_target_": "posix.system", "command": shell},
        "subprocess.run": {"_target_": "subprocess.run", "args": ["touch", str(canary)]},
        "subprocess.Popen": {"_target_": "subprocess.Popen", "args": shell, "shell": True},
        "builtins.exec": {"_target_": "builtins.exec", "_args_": [text]},
        "builtins.eval": {"_target_": "builtins.eval", "_args_": [text]},
        "builtins.open": {"_target_": "builtins.open", "file": str(canary), "mode": "w"},
        "timeit": {"_target_": "timeit.timeit", "stmt": text, "number": 1},
        "runpy": {"_target_": "runpy.run_path", "path_name": str(canary)},
        "code": {"_target_": "code.InteractiveInterpreter.runsource", "_args_": [None, text]},
        "pickle": {"_target_": "pickle.loads", "data": "x"},
        "shutil": {"_target_": "shutil.copy", "src": "/etc/hostname", "dst": str(canary)},
        "rmtree": {"_target_": "shutil.rmtree", "path": str(canary.parent)},
        "import_module": {"_target_": "importlib.import_module", "name": "antigravity"},
        "get_method": {"_target_": "hydra.utils.get_method", "path": "os.system"},
        "get_object": {"_target_": "hydra.utils.get_object", "path": "os.system"},
        "instantiate": {"_target_": "hydra.utils.instantiate", "config": {"_target_": "os.system", "command": shell}},
        "call": {"_target_": "hydra.utils.call", "config": {"_target_": "os.system", "command": shell}},
        "_locate": {"_target_": "hydra._internal.utils._locate", "path": "os.system"},
        "partial": {
            "_target_": "functools.partial",
            "_args_": [{"_target_": "hydra.utils.get_method", "path": "os.system"}, shell],
        },
        "reduce": {"_target_": "functools.reduce", "_args_": ["x"]},
        "made": {
            "_target_": "pullback.runtime.settings.instantiate",
            "cfg": {"_target_": "os.system", "command": shell},
        },
        "write_atomically": {"_target_": "pullback.writing.write_atomically", "path": str(canary), "write": "x"},
        "our import of torch": {"_target_": "pullback.tasks.training.weights.torch.save", "obj": 1, "f": str(canary)},
        "our import of subprocess": {
            "_target_": "pullback.tasks.provenance.subprocess.run",
            "args": ["touch", str(canary)],
        },
        "our import of a class": {"_target_": "pullback.runtime.match_meshes.Path.touch", "_args_": [str(canary)]},
        "a method": {"_target_": "pullback.solvers.zoomout.ZoomOut.__init__.__globals__.get", "key": "x"},
        "a method of a class": {"_target_": "pullback.nn.diffusion_net.DiffusionNet.load_state_dict", "x": 1},
        "re-exported": {"_target_": "pullback.solvers.sampled_zoomout.DiffZoomOut"},
        "store": {"_target_": "pullback.tasks.store.PredictionStore", "directory": str(canary), "fingerprint": {}},
        "trainer": {"_target_": "lightning.pytorch.Trainer"},
        "optimiser": {"_target_": "torch.optim.Adam", "params": []},
        "data set": {"_target_": "pullback.data.mesh.sets.folder.Folder", "root": str(canary.parent)},
        "space before": {"_target_": " os.system", "command": shell},
        "relative": {"_target_": ".os.system", "command": shell},
        "a list": {"_target_": ["os.system"], "command": shell},
        "a mapping": {"_target_": {"_target_": "os.system", "command": shell}},
        "none": {"_target_": None, "command": shell},
        "interpolated": {"_target_": "${oc.decode:os.system}", "command": shell},
        "upper case": {"_TARGET_": "os.system", "command": shell},
        "key with space": {"_target_ ": "os.system", "command": shell},
        "partial key": {"_target_": "pullback.solvers.zoomout.ZoomOut", "_partial_": True},
        "args key": {"_target_": "pullback.solvers.zoomout.ZoomOut", "_args_": [1]},
        "convert key": {"_target_": "pullback.solvers.zoomout.ZoomOut", "_convert_": "none"},
        "recursive key": {"_target_": "pullback.solvers.zoomout.ZoomOut", "_recursive_": False},
        "mode key": {"_target_": "pullback.solvers.zoomout.ZoomOut", "_mode_": "call"},
        "dunder key": {"_target_": "pullback.solvers.zoomout.ZoomOut", "__class__": "x"},
        "unknown option": {"_target_": "pullback.solvers.zoomout.ZoomOut", "hook": shell},
    }
