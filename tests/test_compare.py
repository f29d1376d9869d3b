"""One table of several runs: their figures, what made them, and a mark where protocols differ."""

import json

import yaml
from tests.run_folders import LOSS
from tests.run_folders import mesh_run as meshes
from tests.told import told

from pullback.comparison.compare import main

PROTOCOL = {
    "pairs": "all",
    "pck_reference": "image1",
    "mode": "closed_form",
    "solver": "closed_form: rows",
    "fusion": "a + b",
    "seed": 0,
}


def run(folder, *, pck=0.5, solver="closed_form", overrides=(), recipe=None, **protocol):
    """A folder as an evaluation on photographs leaves it."""
    metrics = {"pck@0.10": pck, "epe": 12.345, "keypoint_mse": None}
    parts = {
        "cars": {"pairs": 3, "failed": 0, "metrics": metrics},
        "things": {"pairs": 1, "failed": 0, "metrics": {**metrics, "epe": 2.0}},
    }
    result = {
        **{"dataset": "tss", "split": "test", "pairs": 4, "failed": 0, "protocol": PROTOCOL | protocol},
        **{"metrics": metrics, "metrics_unweighted": metrics | {"pck@0.10": 0.25}, "subsets": parts},
    }
    (folder / ".hydra").mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"results": [result]}))
    (folder / "config.yaml").write_text(
        yaml.safe_dump({"solver": {"_target_": "x.PatchMatching", "optimiser": {"mode": "paper"}}})
    )
    choices = {"hydra": {"runtime": {"choices": {"fusion": "dinov2_sd", "solver": solver, "recipe": recipe}}}}
    (folder / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump(choices))
    (folder / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(["dataset=tss", *overrides]))
    return folder


def mesh_run(folder):
    protocol = {
        "pairs": "unordered",
        "geodesics": "dijkstra",
        "refinement": "none",
        "checkpoint": "last, step 6, trained on humans",
    }
    metrics = {"geodesic_error_x100": 3.02, "pck@0.10": 0.991}
    result = {
        "dataset": "humans",
        "split": "test",
        "pairs": 45,
        "failed": 1,
        "protocol": protocol,
        "metrics": metrics,
        "pck_curve": None,
    }
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


def test_settings_that_were_typed_for_all_runs_set_none_apart(tmp_path, capsys):
    typed = ["data.samples=[100, 200]", "solver.blur=0.1"], ["data.samples=[100, 200]", "solver.blur=0.2"]
    runs = [run(tmp_path / str(i), overrides=some) for i, some in enumerate(typed)]
    assert [line[2] for line in table(capsys, *runs)[2:]] == [
        "dinov2_sd, closed_form, solver.blur=0.1",
        "dinov2_sd, closed_form, solver.blur=0.2",
    ]
    assert table(capsys, runs[0])[2][2] == "dinov2_sd, closed_form, data.samples=[100, 200], solver.blur=0.1"


def test_recipes_are_named_where_they_differ(tmp_path, capsys):
    lines = table(capsys, run(tmp_path / "a", recipe="fast"), run(tmp_path / "b", recipe="paper"))
    assert [line[2].split(", ")[-1] for line in lines[2:]] == ["recipe=fast", "recipe=paper"]


def test_a_folder_without_results_costs_the_others_nothing(tmp_path, capsys, caplog):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.log").touch()
    run(tmp_path / "a")
    assert [line[0] for line in table(capsys, *sorted(tmp_path.iterdir()))[2:]] == ["a"]
    assert f"left out: no metrics.json in {tmp_path / 'a.log'}, {tmp_path / 'b'} or below" in caplog.text


def test_a_run_is_named_by_its_metrics_too(tmp_path, capsys):
    assert table(capsys, run(tmp_path / "a") / "metrics.json")[2][0] == "a"


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


def test_the_graph_of_photographs_is_a_part_of_the_method_and_no_rule(tmp_path, capsys):
    runs = [run(tmp_path / "a", mode="raw", notes=""), run(tmp_path / "b", notes="graph release, none, k 30")]
    main([str(path) for path in runs])
    assert "another protocol" not in capsys.readouterr().out


def test_the_solver_of_a_run_without_hydras_folder_is_read_from_its_configuration(tmp_path, capsys):
    folder = run(tmp_path / "a", mode="")
    (folder / ".hydra" / "hydra.yaml").unlink()
    assert table(capsys, folder)[2][2] == "a + b, PatchMatching (paper)"


def test_an_evaluated_checkpoint_has_the_solver_of_its_training_unless_another_is_typed(tmp_path, capsys):
    training, again, typed = run(tmp_path / "train", solver="two_branch"), run(tmp_path / "a"), run(tmp_path / "b")
    for evaluation, words in ((again, []), (typed, ["solver=closed_form"])):
        config = {"ckpt": str(training / "checkpoints" / "best.ckpt"), "solver": {"_target_": "x.TwoBranch"}}
        (evaluation / "config.yaml").write_text(yaml.safe_dump(config))
        (evaluation / ".hydra" / "overrides.yaml").write_text(yaml.safe_dump(words))
    lines = table(capsys, again, typed, "--metrics", "epe")[2:]
    assert [line[2].split(", ")[1] for line in lines] == ["two_branch (closed_form)", "closed_form"]
    (training / "config.yaml").unlink()
    assert table(capsys, again)[2][2] == "dinov2_sd, TwoBranch (closed_form)"


def choose(folder, *, typed=(), **choices):
    """Leaves a run of meshes with what Hydra wrote of it."""
    config = {key: choices.pop(key) for key in ("ckpt", "weights_settle", "run") if key in choices}
    meshes(folder, typed=typed, config=config, checkpoint=config.get("ckpt"))
    (folder / ".hydra" / "hydra.yaml").write_text(yaml.safe_dump({"hydra": {"runtime": {"choices": choices}}}))
    return folder


def test_parts_that_nobody_typed_are_called_as_they_were_chosen_where_they_come_from(tmp_path, capsys):
    defaults = {"backbone": "diffusion_net", "solver": "diff_zoomout"}
    trained = choose(tmp_path / "trained", backbone="diffusion_net_xyz", solver="two_branch")
    ckpt = str(trained / "checkpoints" / "best.ckpt")
    runs = [
        choose(tmp_path / "later", ckpt=ckpt, **defaults),
        choose(tmp_path / "other", ckpt=ckpt, typed=["solver=zoomout"], **{**defaults, "solver": "zoomout"}),
        choose(tmp_path / "theirs", weights_settle=["solver=dpfm", "backbone.network.width=16"], **defaults),
        choose(tmp_path / "scored", run=["score"], **defaults),
    ]
    _, _, later, other, theirs, scored = table(capsys, *runs)
    assert later[2].startswith("simplified, diffusion_net_xyz, two_branch, ")
    assert other[2].startswith("simplified, diffusion_net_xyz, zoomout, ")
    assert theirs[2].startswith("simplified, diffusion_net, dpfm, ")
    assert scored[2].startswith("simplified, DiffZoomOut, ")


def test_subsets_and_their_plain_mean_are_shown_when_asked_for(tmp_path, capsys):
    lines = table(capsys, run(tmp_path / "a"), "--subsets", "--metrics", "epe,pck@0.10")[2:]
    names = ["tss (test)", "tss (test): cars", "tss (test): things", "tss (test): mean of subsets"]
    assert [line[1] for line in lines] == names
    assert [line[3:] for line in lines] == [
        ["4", "12.35", "50.0"],
        ["3", "12.35", "50.0"],
        ["1", "2.00", "50.0"],
        ["4", "12.35", "25.0"],
    ]


def test_meshes_are_compared_too(tmp_path, capsys):
    head, _, line = table(capsys, mesh_run(tmp_path / "faust"))
    assert head[4:] == ["geodesic_error_x100", "pck@0.10, %"]
    assert line == ["faust", "humans (test)", "last, trained on humans", "45 (+1 failed)", "3.02", "99.1"]


def test_latex_escapes_what_it_must(tmp_path, capsys):
    main([str(run(tmp_path / "a_b")), "--latex", "--metrics", "pck@0.10"])
    text = capsys.readouterr().out
    assert r"a\_b & tss (test) & dinov2\_sd, closed\_form & 4 & 50.0 \\" in text
    assert r"\begin{tabular}{lllrr}" in text and r"pck@0.10, \%" in text


def test_a_folder_without_runs_and_an_unknown_metric_are_refused(tmp_path, capsys):
    assert f"no metrics.json in {tmp_path} or below" in told(capsys, main, tmp_path)
    message = told(capsys, main, run(tmp_path / "a"), "--metrics", "pck@0.15")
    assert "no run has the metric pck@0.15; there are pck@0.10, epe" in message


def test_runs_that_differ_by_their_seed_alone_get_a_line_with_mean_and_spread(tmp_path, capsys):
    errors = {0: 2.0, 1: 3.0, 2: 4.0}
    runs = [meshes(tmp_path / str(seed), error=error, seed=seed) for seed, error in errors.items()]
    other = meshes(tmp_path / "other", error=9.0, seed=1, config={"solver": {"_target_": "x.DiffZoomOut", "blur": 0.5}})
    lines = table(capsys, *runs, other, "--metrics", "geodesic_error_x100,pck@0.10")
    names = ["0", "1", "2", "mean ± spread of 3 runs, seeds 0, 1, 2", "other"]
    assert [line[0] for line in lines[2:]] == names
    assert lines[5][4:] == ["3.00 ± 1.00", "90.0 ± 0.0"] and lines[6][4:] == ["9.00", "90.0"]


def test_mean_and_spread_can_take_the_place_of_the_runs(tmp_path, capsys):
    runs = [meshes(tmp_path / str(seed), seed=seed) for seed in (3, 5)]
    lines = table(capsys, *runs, meshes(tmp_path / "lone", dataset="scape"), "--seeds")
    assert [line[0] for line in lines[2:]] == ["mean ± spread of 2 runs, seeds 3, 5", "lone"]


def test_two_runs_with_one_seed_are_no_spread_over_seeds(tmp_path, capsys):
    assert [line[0] for line in table(capsys, meshes(tmp_path / "a"), meshes(tmp_path / "b"))[2:]] == ["a", "b"]


def test_evaluated_checkpoints_take_seed_and_settings_from_their_trainings(tmp_path, capsys):
    evaluations = []
    for name, seed, loss in (("a", 0, LOSS), ("b", 1, LOSS), ("c", 2, {})):
        training = meshes(tmp_path / "train" / name, seed=seed, config={"loss": loss})
        checkpoint = str(training / "checkpoints" / "best.ckpt")
        evaluations.append(meshes(tmp_path / name, dataset="scape", seed=0, checkpoint=checkpoint))
    lines = table(capsys, *evaluations, "--seeds")
    assert [line[0] for line in lines[2:]] == ["mean ± spread of 2 runs, seeds 0, 1", "c"]


def test_checkpoints_whose_trainings_are_gone_are_not_taken_for_seeds(tmp_path, capsys):
    runs = [
        meshes(tmp_path / name, checkpoint=f"gone/{name}/checkpoints/best.ckpt", seed=i) for i, name in enumerate("ab")
    ]
    assert [line[0] for line in table(capsys, *runs)[2:]] == ["a", "b"]


def test_a_method_and_its_fine_tuning_are_named(tmp_path, capsys):
    line = table(capsys, meshes(tmp_path / "a", method="ulrssm", fine_tuning="12 Adam steps a pair"))[2]
    assert line[2].startswith("ulrssm, ") and "fine-tuned (12 Adam steps a pair)" in line[2]
