"""Strangers' files through the programs themselves: nothing of them runs, leaks or breaks out of the report."""

import runpy
import sys
from html import unescape
from pathlib import Path

import pytest
import torch
from tests.composing import ROOT
from tests.fakes import write_mesh
from tests.foreign_files import TINY, calls, honest_checkpoint, write_checkpoint, write_predictions
from tests.meshes import sphere

from pullback.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
TETRAHEDRON = "OFF\n4 4 0\n0 0 0\n1 1 0\n1 0 1\n0 1 1\n3 0 1 2\n3 0 2 3\n3 0 3 1\n3 1 3 2\n"


def run(program: str, *arguments: str, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.setenv("SECRET", "hunter2")
        patch.setattr(sys, "argv", [f"{program}.py", *arguments, f"hydra.run.dir={folder}"])
        runpy.run_path(str(ROOT / f"{program}.py"), run_name="__main__")


@pytest.fixture(scope="module")
def meshes(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("meshes")
    verts, faces = sphere(2)
    for name, stretch in (("a", [1, 1.2, 1.5]), ("b", [1, 1.25, 1.45])):
        write_mesh(folder / f"{name}.off", verts * stretch, faces)
    return [f"source={folder / 'a.off'}", f"target={folder / 'b.off'}", f"paths.cache_dir={folder / 'cache'}"]


def test_words_of_a_checkpoint_stay_words_in_everything_that_a_match_leaves(meshes, tmp_path, capsys):
    words = "${oc.env:SECRET}<script>alert(1)</script>"
    checkpoint = write_checkpoint(tmp_path / "x.ckpt", "method_name", words)
    run("match", *meshes, f"ckpt={checkpoint}", folder=tmp_path / "run")
    left = {path: path.read_text(errors="replace") for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert not any("hunter2" in text for text in (*left.values(), *capsys.readouterr()))
    report = left[tmp_path / "run" / "report" / "index.html"]
    assert "<script" not in report and words in unescape(report)
    assert words in left[tmp_path / "run" / "config.yaml"]


@pytest.mark.parametrize("part", ["solver", "backbone"])
def test_a_match_with_a_hostile_checkpoint_is_refused_by_name(part, meshes, tmp_path):
    checkpoint = write_checkpoint(tmp_path / "x.ckpt", part, calls(tmp_path / "canary")["touch"])
    with pytest.raises(UserError, match=r"x\.ckpt: its configuration names pathlib\.Path\.touch"):
        run("match", *meshes, f"ckpt={checkpoint}", folder=tmp_path / "run")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (lambda values: values * torch.nan, r"x\.ckpt: the weights .* are of no use"),
        (torch.zeros_like, "the features of a are the same at all 162 points"),
        (lambda values: values * 1e30, "the features of a are NaN or infinite"),
    ],
)
def test_a_match_by_a_broken_network_is_an_error_and_no_map(weights, message, meshes, tmp_path):
    changed = {name: weights(values) for name, values in honest_checkpoint()["state_dict"].items()}
    with pytest.raises(UserError, match=message):
        run(
            "match",
            *meshes,
            f"ckpt={write_checkpoint(tmp_path / 'x.ckpt', state_dict=changed)}",
            folder=tmp_path / "run",
        )
    assert not (tmp_path / "run" / "p2p21.txt").exists()


def test_a_signature_that_is_no_number_is_an_error_and_no_map(tmp_path):
    (tmp_path / "tetrahedron.off").write_text(TETRAHEDRON)
    files = [f"{side}={tmp_path / 'tetrahedron.off'}" for side in ("source", "target")]
    small = ["data.k=3", "backbone.descriptor.k=3", "solver.k_init=2", "solver.step=1", "solver.n_steps=1"]
    with pytest.raises(
        UserError, match="tetrahedron: spectral descriptors need at least 2 different positive eigenvalues"
    ):
        run("match", *files, *small, f"paths.cache_dir={tmp_path / 'cache'}", folder=tmp_path / "run")
    assert not (tmp_path / "run" / "p2p21.txt").exists()


def test_scoring_predictions_with_a_hostile_fingerprint_is_refused_by_name(tmp_path):
    folder = write_predictions(tmp_path / "predictions" / "humans", {"solver": calls(tmp_path / "canary")["touch"]})
    with pytest.raises(UserError, match=r"humans/fingerprint\.json: its configuration names pathlib\.Path\.touch"):
        run("eval", "run=[score]", f"predictions={folder.parent}", folder=tmp_path / "run")
    assert not (tmp_path / "canary").exists()


def test_a_training_does_not_go_on_from_a_hostile_file(tmp_path):
    class Call:
        def __reduce__(self):
            return Path.touch, (tmp_path / "canary",)

    checkpoint = write_checkpoint(tmp_path / "x.ckpt", optimizer_states=[Call()])
    with pytest.raises(UserError, match=r"x\.ckpt is no checkpoint of plain tensors"):
        run(
            "train",
            *TINY,
            "trainer=cpu",
            f"resume={checkpoint}",
            f"paths.cache_dir={tmp_path / 'cache'}",
            folder=tmp_path / "run",
        )
    assert not (tmp_path / "canary").exists()
