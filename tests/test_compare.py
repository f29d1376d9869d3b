"""One table of several runs: their figures, what made them, and a mark where protocols differ."""

import json

import pytest
import yaml
from experiments.compare import main

PROTOCOL = {"pairs": "all", "pck_reference": "image1", "mode": "closed_form", "solver": "closed_form: rows", "fusion": "a + b", "seed": 0}


def run(folder, *, pck=0.5, solver="closed_form", overrides=(), **protocol):
    """A folder as an evaluation on photographs leaves it."""
    metrics = {"pck@0.10": pck, "epe": 12.345, "keypoint_mse": None}
    parts = {"cars": {"pairs": 3, "failed": 0, "metrics": metrics}, "things": {"pairs": 1, "failed": 0, "metrics": {**metrics, "epe": 2.0}}}
    result = {
        **{"dataset": "tss", "split": "test", "pairs": 4, "failed": 0, "protocol": PROTOCOL | protocol},
        **{"metrics": metrics, "metrics_unweighted": metrics | {"pck@0.10": 0.25}, "subsets": parts},
    }
    (folder / ".hydra").mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"results": [result]}))
    (folder / "config.yaml").write_text(yaml.safe_dump({"solver": {"_target_": "x.PatchMatching", "optimiser": {"mode": "paper"}}}))
    choices = {"hydra": {"runtime": {"choices": {"fusion": "dinov2_sd", "solver": solver}}}}
    (folder / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump(choices))
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(["dataset=tss", *overrides]))
    return folder


def mesh_run(folder):
    protocol = {"pairs": "unordered", "geodesics": "dijkstra", "refinement": "none", "checkpoint": "last, step 6, trained on humans"}
    metrics = {"geodesic_error_x100": 3.02, "pck@0.10": 0.991}
    result = {"dataset": "humans", "split": "test", "pairs": 45, "failed": 1, "protocol": protocol, "metrics": metrics, "pck_curve": None}
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"results": [result]}))
    return folder


def table(capsys, *arguments) -> list[list[str]]:
    main([str(argument) for argument in arguments])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_run_has_a_line_with_what_made_it(tmp_path, capsys):
    one = run(tmp_path / "one", pck=0.5)
    two = run(tmp_path / "two", pck=0.75, solver="release", mode="release", overrides=["fusion.basis.layer=9"])
    head, _, first, second = table(capsys, one, two)
    assert head == ["run", "data set", "method", "pairs", "pck@0.10, %", "epe"]
    assert first == ["one", "tss (test)", "dinov2_sd, closed_form", "4", "50.0", "12.35"]
    assert second == ["two", "tss (test)", "dinov2_sd, release, fusion.basis.layer=9", "4", "75.0", "12.35"]


def test_the_jobs_of_a_sweep_come_in_the_order_of_their_numbers(tmp_path, capsys):
    for job in (10, 9, 1):
        run(tmp_path / str(job))
    assert [line[0] for line in table(capsys, tmp_path)[2:]] == ["1", "9", "10"]


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path, capsys):
    lines = table(capsys, run(tmp_path / "a" / "0"), run(tmp_path / "b" / "0"))
    assert [line[0] for line in lines[2:]] == ["a/0", "b/0"]


def test_a_run_under_other_rules_is_marked_and_another_method_is_not(tmp_path, capsys):
    runs = [run(tmp_path / "a"), run(tmp_path / "b", mode="paper", seed=7), run(tmp_path / "c", pck_reference="both")]
    main([str(path) for path in runs])
    text = capsys.readouterr().out
    assert "| c [1] |" in text and "[1]" not in text.split("| c [1]")[0]
    assert "[1] another protocol than a: pck_reference 'both' instead of 'image1'" in text


def test_the_solver_of_a_run_without_hydras_folder_is_read_from_its_configuration(tmp_path, capsys):
    folder = run(tmp_path / "a", mode="")
    (folder / ".hydra" / "hydra.yaml").unlink()
    assert table(capsys, folder)[2][2] == "a + b, PatchMatching (paper)"


def test_subsets_and_their_plain_mean_are_shown_when_asked_for(tmp_path, capsys):
    lines = table(capsys, run(tmp_path / "a"), "--subsets", "--metrics", "epe,pck@0.10")[2:]
    names = ["tss (test)", "tss (test): cars", "tss (test): things", "tss (test): mean of subsets"]
    assert [line[1] for line in lines] == names
    assert [line[3:] for line in lines] == [["4", "12.35", "50.0"], ["3", "12.35", "50.0"], ["1", "2.00", "50.0"], ["4", "12.35", "25.0"]]


def test_meshes_are_compared_too(tmp_path, capsys):
    head, _, line = table(capsys, mesh_run(tmp_path / "faust"))
    assert head[4:] == ["geodesic_error_x100", "pck@0.10, %"]
    assert line == ["faust", "humans (test)", "last, trained on humans", "45 (+1 failed)", "3.02", "99.1"]


def test_latex_escapes_what_it_must(tmp_path, capsys):
    main([str(run(tmp_path / "a_b")), "--latex", "--metrics", "pck@0.10"])
    text = capsys.readouterr().out
    assert r"a\_b & tss (test) & dinov2\_sd, closed\_form & 4 & 50.0 \\" in text
    assert r"\begin{tabular}{lllrr}" in text and r"pck@0.10, \%" in text


def test_a_folder_without_runs_and_an_unknown_metric_are_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"no metrics\.json in .* or below it"):
        main([str(tmp_path)])
    with pytest.raises(SystemExit, match=r"no run has the metric pck@0.15; there are pck@0.10, epe"):
        main([str(run(tmp_path / "a")), "--metrics", "pck@0.15"])
