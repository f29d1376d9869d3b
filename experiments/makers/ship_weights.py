"""Make the file of shipped weights from a checkpoint of train.py.

    python experiments/makers/ship_weights.py RUN/checkpoints/best.ckpt --out src/pullback/weights/humans.ckpt

Keeps the weights, in half precision, and what a run takes from a checkpoint's configuration; leaves out the optimiser,
the folders of the machine, and noise in training. The solver becomes plain ZoomOut, for which nothing was trained.
"""

import argparse
import io
from pathlib import Path

import torch

from pullback.tasks.training.weights import load_checkpoint
from pullback.writing import write_atomically

SOLVER = {"_target_": "pullback.solvers.zoomout.ZoomOut", "k_init": 30, "step": 10, "n_steps": 10, "two_way": False}


def shipped(checkpoint, *, solver):
    """What the file holds."""
    config = checkpoint["config"]
    read = {key: config["backbone"]["descriptor"][key] for key in ("channels", "k")}
    descriptor = {"_target_": "pullback.nn.descriptor.WKS", **read}
    names = [one["name"] for one in config["dataset"].values()]
    return {
        "state_dict": {name: value.half() for name, value in checkpoint["state_dict"].items()},
        "global_step": checkpoint["global_step"],
        "config": {
            "kind": config["kind"],
            "backbone": config["backbone"] | {"descriptor": descriptor},
            "solver": solver,
            "loss": config["loss"],
            "data": {"k": 200, "laplacian": "cotangent", "select_on_test": False},
            "monitor": config["monitor"],
            "method_name": config["method_name"],
            "weights": None,
            "dataset": {name: {"name": name} for name in names},
        },
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, default=Path("src/pullback/weights/humans.ckpt"))
    parser.add_argument("--k-init", type=int, default=SOLVER["k_init"], help="eigenfunctions in ZoomOut's first map")
    settings = parser.parse_args()
    solver = SOLVER | {"k_init": settings.k_init, "n_steps": (130 - settings.k_init) // SOLVER["step"]}
    content = io.BytesIO()
    torch.save(shipped(load_checkpoint(settings.checkpoint), solver=solver), content)
    settings.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(settings.out, lambda file: file.write(content.getbuffer()))
    print(f"{settings.out}: {settings.out.stat().st_size / 2**20:.2f} MB")


if __name__ == "__main__":
    main()
