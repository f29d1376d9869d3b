"""The drawing of the layers (design: architecture, section 2), enforced: who may import whom,
the one home of each heavy dependency, and no circle between files.
"""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "pullback"
ENTRY_POINTS = ("train.py", "eval.py", "match.py")  # at the top level: one line each
PROGRAMS = "runtime/programs/"  # imported before anything is checked, hence light

# A part may import parts of lower layers, never its neighbours.
LAYERS = {
    "brief": -2,
    "errors": -2,  # below everything: whatever reads or checks raises them
    "declared": -1,
    "locks": -2,
    "places": -2,
    "ranges": -1,
    "sheets": -2,
    "waiting": -2,
    "warned": -2,
    "writing": -1,
    "types": 0,
    "probe": 0.5,
    "files": 0,
    "moved": 0,
    "plain_data": 0,
    "stages": 0,
    "subnormal": 0,
    "threads": 0,
    **dict.fromkeys(["geometry", "mapping"], 1),
    **dict.fromkeys(["nn", "losses", "metrics", "solvers", "data", "figures"], 2),
    "tasks": 3,
    "runtime": 4,
    **dict.fromkeys(["comparison", "api"], 5),
    "__init__": 6,  # names what the package offers, and imports it when it is used
    "__main__": 6,  # names its commands, and imports the one that is typed
}
HOMES = {
    "hydra": ["runtime/"],
    "omegaconf": ["runtime/"],
    "lightning": ["runtime/", "tasks/", "data/mesh/datamodule.py", "data/image/datamodule.py"],
    "torchmetrics": ["metrics/"],
    "tensorboard": ["tasks/training/events.py"],
    "matplotlib": ["figures/"],
    "jinja2": ["figures/page.py"],
    "meshio": ["data/mesh/readers/vtu.py"],
    # its three.js; tests and the makers of data/humans use more
    "trimesh": ["data/mesh/writers/glb.py", "figures/three.py"],
    "potpourri3d": ["geometry/"],
    "robust_laplacian": ["geometry/"],
    "fast_simplification": ["geometry/"],
    "cholespy": ["geometry/factor.py"],
    "torch_geometric": ["geometry/grid.py"],
    "transformers": ["nn/vision_transformers.py", "nn/packaged_vit.py", "nn/stable_diffusion.py"],
    "onnx": ["nn/packaged_vit.py"],
    "diffusers": ["nn/stable_diffusion.py"],
    "PIL": [
        *("data/image/decoding.py", "data/image/pixels.py", "data/image/io.py", "data/image/tiff_values.py"),
        *("data/image/textures.py", "data/mesh/writers/glb.py"),
    ],
    "pillow_heif": ["data/image/decoding.py"],
    "pykeops": ["mapping/softmap_keops.py"],
    "triton": ["mapping/triton_kernels"],
    "wandb": [],  # only named in configs/logger/wandb.yaml
}
# Written in the language of Triton, hence importing it at once: imported themselves when they are needed, by nobody but
# each other.
KERNELS = "mapping/triton_kernels"
# Imported by the code that needs them, when it needs them.
OPTIONAL = {
    *("pillow_heif", "meshio", "cholespy", "robust_laplacian", "pykeops", "triton", "wandb"),
    *("torch_geometric", "transformers", "diffusers", "onnx"),
}


class Import(NamedTuple):
    module: str
    in_function: bool
    for_types: bool  # under TYPE_CHECKING: never runs

    @property
    def at_import_time(self) -> bool:
        return not (self.in_function or self.for_types)


@cache
def imports_of(source: str) -> tuple[Import, ...]:
    """Every import of a file; those inside a function or under TYPE_CHECKING do not run when the file is imported."""

    def visit(node: ast.AST, in_function: bool, for_types: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(alias.name, in_function, for_types) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                module = "." * child.level + (child.module or "")
                yield from (Import(f"{module}.{alias.name}", in_function, for_types) for alias in child.names)
            yield from visit(
                child,
                in_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef),
                for_types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)),
            )

    return tuple(visit(ast.parse(source), False, False))


def part_of(path: str) -> str:
    """``nn/backbone.py`` → nn, ``losses.py`` → losses."""
    return path.split("/")[0].removesuffix(".py")


def violations(path: str, source: str) -> list[str]:
    """What a file of the package, or an entry point, breaks of the drawing;
    ``path`` is relative to the package (or to the root).
    """
    part = "entry point" if path in ENTRY_POINTS else part_of(path)
    found = []
    for imported in imports_of(source):
        module, at_import_time = imported.module, imported.at_import_time
        top, *below = module.split(".")
        if top == "pullback" and below and below[0] in LAYERS:
            found += [f"{path}: {part} may not import pullback.{below[0]}"] * (not may_import(part, below[0]))
        elif top in HOMES and not any(path.startswith(home) for home in HOMES[top]):
            found.append(f"{path}: {top} has its home in {', '.join(HOMES[top]) or 'the configuration only'}")
        if ".".join(below).startswith(KERNELS.replace("/", ".")) and at_import_time and not path.startswith(KERNELS):
            found.append(
                f"{path}: {'.'.join(below[:2])} imports triton and must be imported inside the function that needs it"
            )
        if top in OPTIONAL and at_import_time and not (top == "triton" and path.startswith(KERNELS)):
            found.append(f"{path}: {top} is optional and must be imported inside the function that needs it")
        if not top:
            found.append(f"{path}: {module} is written from where the file stands; write it from pullback on")
        if path.startswith(PROGRAMS) and top in ("torch", "lightning") and at_import_time:
            found.append(f"{path}: {top} is slow to import; import it inside the task, so that --help stays fast")
    return found


def may_import(part: str, other: str) -> bool:
    if part == "entry point":
        return other == "__main__"
    return part == other or LAYERS[other] < LAYERS[part]


def files() -> list[tuple[str, Path]]:
    package = [(path.relative_to(PACKAGE).as_posix(), path) for path in sorted(PACKAGE.rglob("*.py"))]
    return [*package, *((name, ROOT / name) for name in ENTRY_POINTS)]


def imported_files(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """For each file of the package, by its path, the files that it imports: at once or inside a function, but not those
    that only the type checker sees.
    """
    paths = {"pullback." + name_of(path): path for path in sources} | {"pullback": "__init__.py"}

    def file_of(module: str) -> str | None:
        return paths.get(module) or paths.get(module.rpartition(".")[0])

    return {
        path: {file for found in imports_of(source) if not found.for_types and (file := file_of(found.module))}
        for path, source in sources.items()
    }


def name_of(path: str) -> str:
    """``nn/backbone.py`` → nn.backbone, ``nn/__init__.py`` → nn."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def circle(sources: Mapping[str, str]) -> list[str]:
    """Files of the package of which each imports the next, the last the same as the first; empty where there are
    none.
    """
    importers: dict[str, list[str]] = {}
    for path, imported in imported_files(sources).items():
        for file in imported:
            importers.setdefault(file, []).append(path)
    try:
        TopologicalSorter(importers).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_every_file_keeps_to_the_drawing():
    homeless = [name for name, _ in files() if name not in ENTRY_POINTS and part_of(name) not in LAYERS]
    assert homeless == [], "these files are in no room of the house"
    assert [violation for name, path in files() for violation in violations(name, path.read_text())] == []


def test_no_files_import_each_other_in_a_circle():
    assert circle({name: path.read_text() for name, path in files() if name not in ENTRY_POINTS}) == []


GROUND = {"types.py": "import torch", "mapping/__init__.py": "from pullback.mapping.fmap import solve"}


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"losses.py": "from pullback.losses import term"}, ["losses.py"]),
        (
            {
                "mapping/fmap.py": "from pullback.mapping.softmap import soft_map",
                "mapping/softmap.py": "def f():\n    from pullback.mapping import fmap",
            },
            ["mapping/fmap.py", "mapping/softmap.py"],
        ),
        (
            {
                "mapping/fmap.py": "import pullback.mapping.a",
                "mapping/a.py": "from pullback.mapping.b import x",
                "mapping/b.py": "from pullback.mapping import fmap",
            },
            ["mapping/a.py", "mapping/b.py", "mapping/fmap.py"],
        ),
        ({"mapping/fmap.py": "from pullback.mapping import solve"}, ["mapping/__init__.py", "mapping/fmap.py"]),
        (
            {"__init__.py": "from pullback.api import match", "api.py": "from pullback import __version__"},
            ["__init__.py", "api.py"],
        ),
    ],
)
def test_files_that_import_each_other_in_a_circle_are_found(sources, expected):
    found = circle(GROUND | sources)
    assert found[0] == found[-1] and sorted(found[1:]) == expected


def test_a_file_may_name_the_types_of_those_that_import_it():
    types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pullback.mapping.softmap import SoftMap"
    assert circle(GROUND | {"mapping/fmap.py": types, "mapping/softmap.py": "from pullback.mapping import fmap"}) == []


@pytest.mark.parametrize(
    ("path", "source", "message"),
    [
        ("mapping/fmap.py", "from .softmap import soft_map", "write it from pullback on"),
        ("geometry/mesh.py", "from pullback.mapping.fmap import x", "geometry may not import pullback.mapping"),
        ("nn/backbone.py", "from pullback import losses", "nn may not import pullback.losses"),
        (
            "solvers/zoomout.py",
            "def f():\n    import pullback.tasks.mesh.module",
            "solvers may not import pullback.tasks",
        ),
        ("train.py", "from pullback.tasks import mesh", "entry point may not import pullback.tasks"),
        ("tasks/mesh/module.py", "import omegaconf", "omegaconf has its home in runtime/"),
        ("data/mesh/shapes.py", "from lightning.pytorch import Trainer", "lightning has its home in"),
        ("tasks/training/callbacks.py", "def f():\n    import wandb", "wandb has its home in the configuration only"),
        ("mapping/softmap_keops.py", "import pykeops.torch", "must be imported inside the function"),
        ("mapping/softmap_triton.py", "def f():\n    import triton", "triton has its home in mapping/triton_kernels"),
        (
            "mapping/softmap_triton.py",
            "from pullback.mapping import triton_kernels",
            "imports triton and must be imported inside",
        ),
        (
            "nn/cnn.py",
            "from pullback.mapping.triton_kernels_launch import forward",
            "imports triton and must be imported inside",
        ),
        ("runtime/programs/train.py", "import torch", "is slow to import"),
    ],
)
def test_a_file_that_leaves_the_drawing_is_found(path, source, message):
    assert any(message in violation for violation in violations(path, source))


def test_lower_layers_and_lazy_optional_imports_are_allowed():
    assert (
        violations("mapping/softmap_keops.py", "from pullback.types import SoftMap\ndef f():\n    import pykeops") == []
    )
    assert violations("tasks/mesh/module.py", "import lightning\nfrom pullback.solvers.zoomout import ZoomOut") == []
