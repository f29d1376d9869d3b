"""What is not imported where it is not used: the package and its first answers come at once."""

import subprocess
import sys

import pytest
from tests.composing import ROOT
from tests.fakes import write_mesh

# Slow to import, and of no use to a map between two meshes before its report is drawn.
HEAVY = (
    *("lightning", "torchmetrics", "tensorboard", "rich", "pandas", "IPython"),
    *("matplotlib", "PIL", "jinja2", "scipy.ndimage", "scipy.stats", "scipy.optimize"),
    *("transformers", "diffusers", "torch_geometric", "torchvision", "torch._dynamo", "torch._inductor", "sympy"),
    *("pykeops", "triton", "trimesh", "pyvista", "meshio", "fast_simplification", "robust_laplacian"),
)


def imported_by(code: str, *arguments: str, of: tuple[str, ...] = HEAVY) -> list[str]:
    """Those of the modules that a fresh process holds after ``code``."""
    code = f"import sys\n{code}\nprint(*[name for name in {of!r} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT / "src", capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.splitlines()[-1].split()


def test_importing_the_package_imports_no_library():
    others = ("torch", "numpy", "scipy", "hydra", "omegaconf", "jaxtyping", "yaml", *HEAVY)
    assert imported_by("import pullback; dir(pullback); pullback.__all__", of=others) == []


def test_what_is_typed_is_checked_without_torch():
    code = "import pullback.runtime.programs.match, pullback.runtime.input_checks, pullback.runtime.hydra_errors"
    assert imported_by(code, of=("torch", "numpy", "scipy", *HEAVY)) == []


@pytest.mark.slow
def test_a_match_without_a_report_imports_nothing_that_draws_or_trains(tmp_path, icosphere, permuted_twin):
    write_mesh(tmp_path / "a.off", *icosphere)
    write_mesh(tmp_path / "b.off", *permuted_twin[:2])
    code = (
        "import pullback; pullback.match(*sys.argv[1:3], options={'paths.cache_dir': sys.argv[3], 'data.k': 60,"
        " 'backbone.descriptor.k': 60, 'solver.n_steps': 1})"
    )
    assert imported_by(code, *(str(tmp_path / name) for name in ("a.off", "b.off", "cache"))) == []


def test_trying_a_checkpoint_without_memory_imports_no_compiler():
    code = (
        "import torch\nfrom pullback.nn.diffusion_net import DiffusionNet\n"
        "with torch.device('meta'): DiffusionNet(8, 8, width=8, n_blocks=1, time_init='log_uniform')"
    )
    assert imported_by(code, of=("torch._dynamo", "sympy", "triton")) == []
