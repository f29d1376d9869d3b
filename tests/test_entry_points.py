"""The programs from end to end, on tiny data in the true on-disk format: train → resume → evaluate → score,
and two files in, a map out.
"""

import csv
import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.composing import ROOT
from tests.fakes import write_faust, write_mesh

from pullback.runtime.checks import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

SMALL = ["data.k=40", "data.val_shapes=3", "data.prepare_workers=1", "trainer=cpu", "trainer.enable_progress_bar=false"]
TINY_NETWORK = [
    "backbone.network.width=16",
    "backbone.network.n_blocks=1",
    "backbone.network.k=30",
    "backbone.descriptor.k=40",
]
TINY_SOLVER = ["solver.k_init=10", "solver.step=5", "solver.n_steps=2"]
SHORT = [
    "recipe=paper",
    "trainer.max_steps=8",
    "trainer.val_check_interval=3",
    "trainer.log_every_n_steps=1",
    "callbacks.last.minutes=0.0",
]


def run(program: str, *arguments: str, folder: Path | None = None, capsys=None) -> str:
    """What ``python {program}.py *arguments hydra.run.dir={folder}`` prints; errors come through as they are raised."""
    placed = [] if folder is None else [f"hydra.run.dir={folder}"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HYDRA_FULL_ERROR", "1")
        patch.setattr(sys, "argv", [f"{program}.py", *arguments, *placed])
        runpy.run_path(str(ROOT / f"{program}.py"), run_name="__main__")
    return capsys.readouterr().out if capsys else ""


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def figures(folder: Path) -> list[dict]:
    return [result["metrics"] for result in metrics(folder)["results"]]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with a small FAUST_r and a cache."""
    folder = tmp_path_factory.mktemp("home")
    write_faust(folder / "data" / "FAUST_r", [*range(6), *range(80, 83)])
    return folder


@pytest.fixture(scope="module")
def faust(home) -> list[str]:
    return [
        "dataset=faust",
        "dataset.faust.allow_missing=true",
        f"paths.data_dir={home / 'data'}",
        f"paths.cache_dir={home / 'cache'}",
    ]


@pytest.fixture(scope="module")
def trained(home, faust) -> Path:
    """The folder of a finished training."""
    run("train", *faust, *SMALL, *TINY_NETWORK, *TINY_SOLVER, *SHORT, folder=home / "whole")
    return home / "whole"


def test_a_training_leaves_everything_that_its_user_needs(trained):
    for file in (
        "metrics.json",
        "pairs.csv",
        "config.yaml",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "report/index.html",
    ):
        assert (trained / file).is_file(), file
    assert len(list((trained / "predictions" / "faust").glob("*.npz"))) == 3
    (result,) = metrics(trained)["results"]
    assert (result["dataset"], result["split"], result["pairs"]) == ("faust", "test", 3)
    assert 0 < result["metrics"]["geodesic_error_x100"] < 200
    assert result["protocol"]["checkpoint"].startswith(
        "best val/geodesic_error on pairs of held-out training shapes, step "
    )
    assert result["protocol"]["refinement"].startswith("DiffZoomOut 10 → 20 by 5 (blur 0.01")


def test_the_curves_begin_with_the_untrained_network(trained):
    with (trained / "logs" / "csv" / "metrics.csv").open() as file:
        validated = [int(row["step"]) for row in csv.DictReader(file) if row["val/geodesic_error"]]
    assert validated == [0, 2, 5]
    assert any((trained / "logs" / "tensorboard").iterdir())


def test_a_checkpoint_carries_the_configuration_it_was_trained_with(trained):
    checkpoint = torch.load(trained / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["config"]["backbone"]["network"]["width"] == 16
    assert checkpoint["config"]["dataset"]["faust"]["root"].endswith("data/FAUST_r")


def test_an_interrupted_run_that_is_resumed_equals_one_that_was_not(trained, home, faust):
    folder, overrides = home / "cut", [*faust, *SMALL, *TINY_NETWORK, *TINY_SOLVER, *SHORT, "resume=auto"]
    with pytest.raises(InterruptedError):
        run("train", *overrides, "+callbacks.stop={_target_:tests.interruption.StopAfter,pairs:4}", folder=folder)
    run("train", *overrides, "run=[match,score]", folder=folder)
    weights = [
        torch.load(path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for path in (folder, trained)
    ]
    for name, values in weights[1].items():
        torch.testing.assert_close(weights[0][name], values, rtol=0, atol=0)
    assert figures(folder) == figures(trained)
    assert metrics(folder)["training"]["resumed"] and not metrics(trained)["training"]["resumed"]


def test_evaluating_a_checkpoint_repeats_the_figures_of_its_training(trained, home, faust, capsys):
    overrides = [*faust, *SMALL, "run=[match,score]", f"ckpt={trained}/checkpoints/best.ckpt"]
    printed = run("eval", *overrides, folder=home / "again", capsys=capsys)
    assert figures(home / "again") == figures(trained)
    again, before = metrics(home / "again")["results"][0]["protocol"], metrics(trained)["results"][0]["protocol"]
    assert again == before
    assert printed.splitlines()[-1] == f"metrics: {home / 'again' / 'metrics.json'}"
    assert "faust (test)" in printed


def test_the_command_line_wins_over_the_checkpoint(trained, home, faust):
    run(
        "eval",
        *faust,
        *SMALL,
        f"ckpt={trained}/checkpoints/best.ckpt",
        "solver.n_steps=1",
        "run=[match,score]",
        folder=home / "shorter",
    )
    (result,) = metrics(home / "shorter")["results"]
    assert result["protocol"]["refinement"].startswith("DiffZoomOut 10 → 15 by 5")


def test_the_control_of_a_training_has_its_network_with_the_weights_of_step_0(trained, home, faust):
    run(
        "eval",
        *faust,
        *SMALL,
        f"ckpt={trained}/checkpoints/best.ckpt",
        "untrained=true",
        "run=[match,score]",
        folder=home / "control",
    )
    control, result = metrics(home / "control")["results"][0], metrics(trained)["results"][0]
    assert control["protocol"]["checkpoint"] == "none: untrained, seed 0"
    assert control["protocol"]["refinement"] == result["protocol"]["refinement"]
    assert not np.array_equal(first_fmap(home / "control"), first_fmap(trained))  # other weights, other maps


def first_fmap(folder: Path) -> np.ndarray:
    with np.load(min((folder / "predictions").rglob("*.npz"))) as stored:
        return stored["fmap12"]


def test_stored_predictions_are_scored_again_without_a_model(trained, home, faust):
    run("eval", *faust, *SMALL, "run=[score]", f"predictions={trained}/predictions", folder=home / "scored")
    assert figures(home / "scored") == figures(trained)
    assert metrics(home / "scored")["results"] == metrics(trained)["results"]


def test_pairs_that_were_matched_are_not_matched_again(home, faust):
    overrides, folder = (
        [*faust, *SMALL, *TINY_SOLVER, "backbone=raw_wks", "backbone.descriptor.k=40", "solver=zoomout"],
        home / "axiomatic",
    )
    overrides.append("run=[match,score]")
    run("eval", *overrides, folder=folder)
    assert metrics(folder)["results"][0]["protocol"]["checkpoint"] == "none: nothing to train"
    stored = sorted((folder / "predictions" / "faust").glob("*.npz"))
    stored[0].unlink()
    times = [path.stat().st_mtime_ns for path in stored[1:]]
    first = figures(folder)
    run("eval", *overrides, folder=folder)
    assert [path.stat().st_mtime_ns for path in stored[1:]] == times and stored[0].exists()
    assert figures(folder) == first


def test_a_folder_without_ground_truth_trains_and_selects_by_its_loss(home):
    write_faust(home / "own", range(8))
    for path in (home / "own" / "corres").iterdir():
        path.unlink()
    own = [
        "dataset=folder",
        f"dataset.folder.root={home / 'own'}",
        f"paths.cache_dir={home / 'cache'}",
        "data.val_shapes=2",
    ]
    short = ["trainer.max_steps=3" if option.startswith("trainer.max_steps") else option for option in SHORT]
    run("train", *own, *SMALL, *TINY_NETWORK, *TINY_SOLVER, *short, folder=home / "blind")
    (result,) = metrics(home / "blind")["results"]
    assert result["metrics"]["geodesic_error_x100"] is None and result["metrics"]["coverage"] > 0
    assert result["protocol"]["checkpoint"].startswith("best val/loss")
    assert (home / "blind" / "report" / "index.html").is_file()


def test_a_sweep_runs_each_of_its_values(home, faust):
    overrides = [*faust, *SMALL, *TINY_NETWORK, *TINY_SOLVER, *SHORT, "trainer.max_steps=1", "run=[]", "sweep=sigma"]
    run("train", *overrides, "hydra.sweeper.params={solver.init_blur:'0.01,0.1'}", f"hydra.sweep.dir={home / 'sweep'}")
    checkpoints = [torch.load(home / "sweep" / job / "checkpoints" / "last.ckpt", weights_only=True) for job in "01"]
    assert [checkpoint["config"]["solver"]["init_blur"] for checkpoint in checkpoints] == [0.01, 0.1]


def test_two_files_are_matched_in_the_vertex_numbers_of_the_files(home, icosphere, permuted_twin, capsys):
    verts, faces = icosphere
    twin, twin_faces, permutation = permuted_twin
    # vertex 0 belongs to no face
    write_mesh(home / "source.off", np.concatenate([[[9.0, 9.0, 9.0]], verts]), faces + 1)
    # nor does the last one; it lies on vertex 0
    write_mesh(home / "target.off", np.concatenate([twin, twin[:1]]), twin_faces)
    small = [
        "data.k=60",
        "backbone.descriptor.k=60",
        "solver.k_init=20",
        "solver.n_steps=3",
        f"paths.cache_dir={home / 'cache'}",
    ]
    printed = run(
        "match",
        f"source={home / 'source.off'}",
        f"target={home / 'target.off'}",
        *small,
        folder=home / "match",
        capsys=capsys,
    )
    stored = np.load(home / "match" / "match.npz")
    expected = 1 + np.append(permutation, permutation[0])
    np.testing.assert_array_equal(stored["p2p21"], expected)
    np.testing.assert_array_equal(np.loadtxt(home / "match" / "p2p21.txt", dtype=int), 1 + expected)
    assert stored["fmap12"].shape == (50, 50)
    assert "nothing was learned" in printed
    assert (home / "match" / "match.png").is_file()
    page = (home / "match" / "report" / "index.html").read_text()
    assert 'href="../target.ply"' in page and "target.ply" in metrics(home / "match")["exports"]
    assert f"for other programs, in {home / 'match'}: target.ply, source_posed.ply, confidence.txt" in printed


def test_two_files_are_matched_by_a_checkpoint(trained, home, capsys):
    meshes = [home / "data" / "FAUST_r" / "off" / f"tr_reg_{number:03d}.off" for number in (80, 81)]
    files = [f"source={meshes[0]}", f"target={meshes[1]}", f"paths.cache_dir={home / 'cache'}"]
    printed = run("match", *files, f"ckpt={trained}/checkpoints/best.ckpt", folder=home / "learned", capsys=capsys)
    assert "DiffusionNet, DiffZoomOut 10 → 20 by 5" in printed and "trained on faust" in printed
    predicted = np.load(trained / "predictions" / "faust" / "tr_reg_080-tr_reg_081.npz")["p2p21"]
    np.testing.assert_array_equal(np.load(home / "learned" / "match.npz")["p2p21"], predicted)


PROGRAMS = ("train", "eval", "match")


@pytest.fixture(scope="module")
def helped() -> dict[str, tuple[int, str, list[str]]]:
    """Of each program with ``--help``, one after the other in a process of their own: the exit code, what it prints,
    and what is imported by then.
    """
    script = (
        "import contextlib, io, json, runpy, sys\n"
        "found = {}\n"
        f"for program in {PROGRAMS}:\n"
        "    sys.argv, printed, code = [f'{program}.py', '--help'], io.StringIO(), 0\n"
        "    with contextlib.redirect_stdout(printed):\n"
        "        try:\n"
        "            runpy.run_path(f'{program}.py', run_name='__main__')\n"
        "        except SystemExit as end:\n"
        "            code = end.code or 0\n"
        "    found[program] = code, printed.getvalue(), sorted({name.split('.')[0] for name in sys.modules})\n"
        "print(json.dumps(found))"
    )
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": ""}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("program", PROGRAMS)
def test_help_is_quick_because_nothing_heavy_is_imported(program, helped):
    code, printed, imported = helped[program]
    assert code == 0 and not set(imported) & {"torch", "lightning", "numpy", "scipy", "matplotlib"}
    solvers = (
        "closed_form, concat, diff_zoomout, discrete, discrete_features, dpfm, nearest, paper, "
        "paper_closed, paper_cpu, raw_basis, raw_descriptors, regularised, release, "
        "sampled_zoomout, two_branch, two_branch_features, zoomout"
    )
    assert f"solver: {solvers}" in printed


@pytest.fixture(scope="module")
def landmark_pair(home, icosphere, permuted_twin) -> tuple[list[str], np.ndarray]:
    """Arguments that match a mesh, with a loose vertex in front, to its permuted twin by landmarks;
    the true map in file numbers.
    """
    verts, faces = icosphere
    twin, twin_faces, permutation = permuted_twin
    write_mesh(home / "first.off", np.concatenate([[[9.0, 9.0, 9.0]], verts]), faces + 1)
    write_mesh(home / "second.off", twin, twin_faces)
    targets = np.array([3, 100, 250, 400, 600])
    (home / "pairs.txt").write_text("# source target\n" + "".join(f"{permutation[j] + 2} {j + 1}\n" for j in targets))
    small = [
        "data.k=60",
        "backbone.descriptor.k=60",
        "solver.k_init=20",
        "solver.n_steps=3",
        f"paths.cache_dir={home / 'cache'}",
    ]
    files = [f"source={home / 'first.off'}", f"target={home / 'second.off'}", f"landmarks={home / 'pairs.txt'}"]
    return files + small, permutation + 1


def test_two_files_are_matched_from_landmarks_in_the_vertex_numbers_of_the_files(home, landmark_pair, capsys):
    arguments, expected = landmark_pair
    printed = run("match", *arguments, folder=home / "landmarks", capsys=capsys)
    np.testing.assert_array_equal(np.loadtxt(home / "landmarks" / "p2p21.txt", dtype=int), 1 + expected)
    assert (
        "LandmarkKernels" in printed
        and "the 5 landmarks land 0.0000 √area" in printed
        and "nothing was learned" not in printed
    )
    found = metrics(home / "landmarks")
    assert found["landmarks"]["each"] == [0.0] * 5 and found["coverage"] == pytest.approx(1, abs=1e-5)
    stages = [entry["stage"] for entry in found["stages"]]
    assert any("preparing the source, first.off" in name for name in stages)
    assert {"reading the file", "cleaning", "features", "refinement 3 of 3: 50 × 50", "pictures"} <= set(stages)
    page = (home / "landmarks" / "report" / "index.html").read_text()
    assert "Time and memory" in page and "The 5 landmarks land 0.000 √area" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["backbone=raw_wks"], "is of no use to the backbone WKS; use backbone=landmarks, or landmarks=null"),
        (["landmarks=null", "backbone=landmarks"], "give landmarks=FILE, or use backbone=raw_wks"),
    ],
)
def test_landmarks_and_features_that_contradict_each_other_are_refused(home, landmark_pair, arguments, message):
    with pytest.raises(ConfigError, match=message):
        run(
            "match",
            *landmark_pair[0][:2],
            *(arguments if "landmarks=null" in arguments else [landmark_pair[0][2], *arguments]),
        )


def test_landmarks_beside_a_checkpoint_are_refused(home, trained, landmark_pair):
    with pytest.raises(
        ConfigError, match=r"landmarks=.*pairs\.txt and ckpt=.* are two kinds of features; give one of them"
    ):
        run("match", *landmark_pair[0][:3], f"ckpt={trained}/checkpoints/best.ckpt")


def test_the_stages_of_a_long_match_are_shown_as_they_begin(home, landmark_pair, capsys, monkeypatch):
    monkeypatch.setattr("pullback.runtime.match_meshes._SHOWN_ABOVE", 0)
    run("match", *landmark_pair[0], folder=home / "shown")
    shown = capsys.readouterr()
    assert "preparing the source, first.off" in shown.err and "refinement 1 of 3" in shown.err
    assert "GiB of memory; stage by stage:" in shown.out
