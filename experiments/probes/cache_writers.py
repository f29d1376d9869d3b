"""What many processes compute that want the same shapes of an empty cache at once:
``python experiments/probes/cache_writers.py --processes 20``.

Prints how often a shape was prepared (without locks: by every process), and how long all took together.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from numpy import ndarray

from pullback.data.mesh import shapes
from pullback.data.mesh.readers.source import FileMesh
from pullback.data.mesh.shapes import PreparationSettings, load_shape

HUMANS = Path(__file__).resolve().parents[2] / "data" / "humans" / "off"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=20)
    parser.add_argument("--shapes", type=int, default=3)
    parser.add_argument("--k", type=int, default=100)
    options = parser.parse_args()
    torch.set_num_threads(1)
    meshes = sorted(HUMANS.glob("*.off"))[: options.shapes]
    with tempfile.TemporaryDirectory() as folder:
        begun = time.monotonic()
        arguments = (meshes, PreparationSettings(k=options.k), Path(folder))
        processes = [
            multiprocessing.get_context("fork").Process(target=_want, args=arguments) for _ in range(options.processes)
        ]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
        seconds, prepared = time.monotonic() - begun, (Path(folder) / "prepared.txt").read_text().split()
        failed = sum(process.exitcode != 0 for process in processes)
        left = [
            path
            for path in (Path(folder) / "cache" / "operators").iterdir()
            if path.suffix != ".npz" or path.name.startswith(".")
        ]
    print(
        f"{options.processes} processes that each wanted {len(meshes)} shapes prepared {len(prepared)} in "
        f"{seconds:.1f} s"
    )
    print(f"{failed} processes failed, {len(left)} files besides the entries were left")


def _want(meshes: list[Path], settings: PreparationSettings, folder: Path) -> None:
    prepare = shapes._prepare

    def counted(path: Path, read: Callable[[], FileMesh], settings: PreparationSettings) -> dict[str, ndarray]:
        with open(folder / "prepared.txt", "a") as file:
            file.write(f"{path.name}\n")
        return prepare(path, read, settings)

    shapes._prepare = counted
    for mesh in meshes:
        load_shape(mesh, settings, folder / "cache")


if __name__ == "__main__":
    main()
