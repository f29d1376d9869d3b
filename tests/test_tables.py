"""Tables 1 and 2 of the paper with our figures beside the published ones."""

import json
import re
from pathlib import Path

import pytest
import yaml
from tests.run_folders import LOSS, SOLVER, mesh_run
from tests.told import told

from pullback.comparison.published import Published
from pullback.comparison.tables import main

PAPERS = "A_B.map as T: A → B at every vertex of A, errors on B, without shape 40"  # as shrec19.py says it


def printed(capsys, *arguments) -> str:
    main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def rows_of(text: str) -> dict[tuple[str, str, str], str]:
    """The cells of all tables by heading of the table, label of the row and heading of the column."""
    cells, title, heads = {}, "", []
    for line in text.splitlines():
        title = line[3:] if line.startswith("## ") else title
        heads = [] if line.startswith("## ") else heads
        if not line.startswith("|") or line.startswith(("| --", "|--")):
            continue
        words = [word.strip() for word in line.strip("|").split("|")]
        if not heads:
            heads = words
            continue
        cells |= {(title.split(":")[0], words[0], head): word for head, word in zip(heads[1:], words[1:], strict=True)}
    return cells


def remarks_of(text: str, cell: str) -> str:
    """The remarks behind the letters of a cell and those on all figures of its table."""
    letters = re.search(r"\[([a-z,]+)\]", cell)
    lines = re.findall(r"^- \[([a-z]+)\] (.*)$", text, flags=re.M)
    ours = [remark for letter, remark in lines if letters and letter in letters[1].split(",")]
    return " ".join([*ours, *re.findall(r"^- All figures of ours: (.*)$", text, flags=re.M)])


def test_the_published_tables_are_complete():
    published = Published()
    by_name = {sheet["name"]: sheet for sheet in published.sheets}
    ours = next(row for row in by_name["table 1"]["rows"] if row["label"] == "Ours")
    assert ours["figures"] == {"F": [1.9, 2.4, 4.2], "S": [1.9, 2.4, 6.9], "F+S": [1.9, 2.3, 3.6]}
    assert [len(sheet["rows"]) for sheet in published.sheets] == [4, 10, 6]
    for sheet in published.sheets:
        for row in sheet["rows"]:
            assert list(row["figures"]) == list(sheet["training"])
            assert all(len(figures) == len(sheet["tests"]) for figures in row["figures"].values())


def test_our_figure_stands_beside_the_published_one_of_its_training_and_test(tmp_path, capsys):
    runs = [
        mesh_run(tmp_path / "a", error=1.853),
        mesh_run(tmp_path / "b", error=4.75, method="ulrssm", trained_on=("scape", "faust")),
    ]
    cells = rows_of(printed(capsys, *runs))
    assert cells["Table 1", "Ours", "F → F"].startswith("1.9 / **1.85**")
    assert cells["Table 1", "Ours", "F → S"] == "2.4"
    assert cells["Table 1", "ULRSSM", "F+S → F"].startswith("1.5 / **4.75**")
    assert cells["Table 1", "ULRSSM", "F → F"] == "1.6"


def test_a_stand_in_takes_the_column_of_the_set_and_says_so(tmp_path, capsys):
    rules = {"pairs": "listed", "notes": f"{PAPERS} | given 6 landmarks"}
    text = printed(
        capsys, mesh_run(tmp_path / "a", dataset="shrec19_subset", trained_on=("faust", "scape_acvd"), **rules)
    )
    cell = rows_of(text)["Table 1", "Ours", "F+S → S19"]
    assert cell.startswith("3.6 / **2.00**")
    said = remarks_of(text, cell)
    assert (
        "tested on shrec19_subset, not shrec19: 39 of the 407 pairs" in said
        and "trained on scape_acvd, not scape" in said
    )
    assert "given 6 landmarks" in said and PAPERS not in said and "pairs listed" not in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"geodesics": "heat"}, "heat-method distances (published: fast-marching distances)"),
        ({"pairs": "ordered_self"}, "pairs ordered_self"),
        ({"pairs": "listed", "notes": "A_B.map as T: B → A"}, "A_B.map as T: B → A"),
        ({"averaging": "micro: all landmarks"}, "averaging micro"),
        ({"notes": "5 of 190 pairs, drawn with seed 3"}, "5 of 190 pairs, drawn with a seed"),
        ({"pairs_scored": 60}, "60 of 190 pairs"),
        ({"pairs_scored": 188, "failed": 2}, "2 pairs failed"),
        ({"fine_tuning": "15 Adam steps a pair"}, "tuned to each test pair: 15 Adam steps a pair"),
        ({}, "1,000 training steps on meshes simplified to 1,500 vertices"),
        (
            {},
            "checkpoint: best val/loss on pairs of held-out training shapes "
            "(published: best error on SHREC'19, a test set)",
        ),
    ],
)
def test_what_differs_from_the_published_protocol_is_remarked(tmp_path, capsys, change, words):
    assert words in printed(capsys, mesh_run(tmp_path / "a", **change))


def test_the_published_protocol_needs_no_remark(tmp_path, capsys):
    text = printed(capsys, mesh_run(tmp_path / "a", geodesics="fast_marching", trained_on=(), method="zoomout"))
    assert rows_of(text)["Table 1", "ZoomOut", "F"] == "6.1 / **2.00**"
    assert "All figures of ours" not in text and "- [a]" not in text


def test_letters_are_given_where_runs_differ_and_one_line_serves_all_where_they_do_not(tmp_path, capsys):
    runs = [mesh_run(tmp_path / "a"), mesh_run(tmp_path / "b", dataset="scape", notes="given 6 landmarks")]
    text = printed(capsys, *runs)
    cells = rows_of(text)
    assert (
        cells["Table 1", "Ours", "F → F"] == "1.9 / **2.00**"
        and cells["Table 1", "Ours", "F → S"] == "2.4 / **2.00** [a]"
    )
    assert "- [a] given 6 landmarks" in text and "- All figures of ours: edge-graph" in text


def test_fine_tuned_figures_have_a_row_of_their_own(tmp_path, capsys):
    runs = [
        mesh_run(tmp_path / "a", method="ulrssm", error=3.0),
        mesh_run(tmp_path / "b", method="ulrssm", error=1.0, fine_tuning="12 Adam steps a pair"),
    ]
    cells = rows_of(printed(capsys, *runs))
    assert cells["Table 1", "ULRSSM", "F → F"].startswith("1.6 / **3.00**")
    assert cells["Table 1", "ULRSSM + fine-tuning", "F → F"].startswith("1.6 / **1.00**")


def test_seeds_become_one_figure_with_its_spread(tmp_path, capsys):
    text = printed(capsys, *(mesh_run(tmp_path / str(seed), seed=seed, error=1.0 + seed) for seed in range(3)))
    cell = rows_of(text)["Table 1", "Ours", "F → F"]
    assert cell.startswith("1.9 / **2.00 ± 1.00**")
    assert "standard deviation over the seeds 0, 1, 2" in remarks_of(text, cell)


def test_the_newer_of_two_equal_runs_counts_and_the_older_is_named(tmp_path, capsys):
    runs = [
        mesh_run(tmp_path / "new", error=1.0, started="2026-03-01"),
        mesh_run(tmp_path / "old", error=9.0, started="2026-01-01"),
    ]
    text = printed(capsys, *runs)
    assert rows_of(text)["Table 1", "Ours", "F → F"].startswith("1.9 / **1.00**")
    assert "new (older: old)" in text


def test_an_ablation_stands_in_a_row_that_says_what_it_lacks(tmp_path, capsys):
    runs = [
        mesh_run(tmp_path / "a", error=2.0),
        mesh_run(tmp_path / "b", error=5.0, config={"loss": LOSS}, typed=["loss=[orthogonality]", "paths.cache_dir=x"]),
        mesh_run(
            tmp_path / "c", error=3.0, config={"solver": {"_target_": "x.FeatureNearest"}}, typed=["solver=nearest"]
        ),
        mesh_run(tmp_path / "d", error=4.0, config={"solver": SOLVER | {"blur": 0.05}}, typed=["solver.blur=0.05"]),
    ]
    cells = rows_of(printed(capsys, *reversed(runs)))
    assert cells["Table 1", "Ours", "F → F"].startswith("1.9 / **2.00**")  # what was typed least, whatever comes first
    assert cells["Table 1", "Ours: without loss.consistency", "F → F"].startswith("– / **5.00**")
    assert cells["Table 1", "Ours: solver FeatureNearest", "F → F"].startswith("– / **3.00**")
    assert cells["Table 1", "Ours: solver.blur 0.05", "F → F"].startswith("– / **4.00**")


def test_a_variant_with_many_changes_has_a_number_and_the_name_of_its_recipe(tmp_path, capsys):
    usual, other = ({"solver": SOLVER | {f"an_option_with_a_long_name_{i}": x for i in range(3)}} for x in (1, 2))
    runs = [
        mesh_run(tmp_path / "a", error=2.0, config=usual),
        mesh_run(tmp_path / "b", error=4.0, config=other, typed=["recipe=paper"]),
    ]
    cells = rows_of(printed(capsys, *runs))
    assert cells["Table 1", "Ours, variant 1 (recipe=paper)", "F → F"].startswith("– / **4.00**")


def test_a_checkpoint_tested_later_stands_in_the_row_of_its_training(tmp_path, capsys):
    training = mesh_run(tmp_path / "train", config={"loss": LOSS})
    best = str(training / "checkpoints" / "best.ckpt")
    later = mesh_run(tmp_path / "eval", error=3.0, dataset="scape", config={"loss": {}}, checkpoint=best)
    others = [
        mesh_run(tmp_path / "full"),
        mesh_run(tmp_path / "full2", dataset="scape"),
        mesh_run(tmp_path / "full3", dataset="shrec19"),
    ]
    cells = rows_of(printed(capsys, *others, training, later))
    assert cells["Table 1", "Ours: without loss.consistency", "F → S"].startswith("– / **3.00**")


def test_a_table_tells_of_test_shapes_that_were_seen_and_of_weights_begun_with(tmp_path, capsys):
    seen = "last, step 9, trained on faust, their test shapes among them, without ground truth"
    before = "last, step 9, trained on faust, begun with the weights of a.ckpt (trained on scape, before its step 3 …)"
    for name, rule in (("a", seen), ("b", before)):
        text = printed(capsys, mesh_run(tmp_path / name, weights=rule))
        said = remarks_of(text, rows_of(text)["Table 1", "Ours", "F → F"])
        wanted = "on the test shapes too, without ground truth" if name == "a" else "begun with the weights of a.ckpt"
        assert f"{wanted} (published" in said


def test_weights_from_elsewhere_get_no_training_of_ours(tmp_path, capsys):
    rule = "u.pth from elsewhere (names of ulrssm, sha256 ab), fed WKS of 128 channels"
    said = printed(capsys, mesh_run(tmp_path / "a", weights=rule, config={"trainer": {"max_steps": 30000}}))
    assert "u.pth from elsewhere" in said and "30,000" not in said and "1,500 vertices" not in said


def test_two_runs_of_one_method_and_cell_are_both_shown(tmp_path, capsys):
    longer = mesh_run(tmp_path / "b", error=1.5, config={"trainer": {"max_steps": 3000}})
    cells = rows_of(printed(capsys, mesh_run(tmp_path / "a"), longer))
    assert cells["Table 1", "Ours", "F → F"].startswith("1.9 / **2.00**")
    assert cells["Table 1", "Ours: trainer.max_steps 3000", "F → F"].startswith("– / **1.50**")


def test_older_runs_are_placed_by_what_they_say_and_marked(tmp_path, capsys):
    text = printed(capsys, mesh_run(tmp_path / "a", trained_on=None))
    cell = rows_of(text)["Table 1", "Ours", "F → F"]
    assert cell.startswith("1.9 / **2.00**")
    assert "did not write its method down" in remarks_of(text, cell) and "whether weights were tuned" in remarks_of(
        text, cell
    )


def test_an_untrained_network_is_not_the_method(tmp_path, capsys):
    text = printed(
        capsys, mesh_run(tmp_path / "a", trained_on=(), weights="none: untrained, seed 0", method="simplified")
    )
    cells = rows_of(text)
    assert cells["Table 1", "Ours", "F → F"] == "1.9"
    assert cells["Table 1", "Ours, untrained network", "F"].startswith("– / **2.00**")


def test_what_the_paper_has_no_cell_for_comes_with_figures_of_others(tmp_path, capsys):
    runs = [
        mesh_run(tmp_path / "a", dataset="smal", trained_on=("smal",)),
        mesh_run(tmp_path / "b", dataset="smal", error=40.0),
    ]
    runs += [mesh_run(tmp_path / "c", dataset="faust", trained_on=("humans",))]
    text = printed(capsys, *runs)
    cells, title = rows_of(text), "Other sets and trainings, for which the paper has no table"
    assert cells[title, "Ours, trained on smal → smal", "error"].startswith("– / **2.00**")
    assert cells[title, "Ours, trained on faust → smal", "error"].startswith("42.1 / **40.00**")
    assert cells[title, "Ours, trained on humans → faust", "error"].startswith("– / **2.00**")
    assert "- Published on smal, at second hand: ULRSSM + fine-tuning 3.9 (2023);" in text


def test_runs_that_fit_no_table_are_named(tmp_path, capsys):
    blind = mesh_run(tmp_path / "blind")
    content = json.loads((blind / "metrics.json").read_text())
    content["results"][0]["metrics"]["geodesic_error_x100"] = None
    (blind / "metrics.json").write_text(json.dumps(content))
    assert "In no table: blind, faust: no ground truth" in printed(capsys, blind, mesh_run(tmp_path / "a"))


def test_latex_holds_the_same_figures_and_both_files_are_written(tmp_path, capsys):
    run = mesh_run(tmp_path / "runs" / "a_b", error=1.85, notes="given 6 landmarks & 100 %")
    mesh_run(tmp_path / "runs" / "c", dataset="scape")
    text = printed(capsys, run, tmp_path / "runs" / "c", "--latex", "--out", tmp_path / "out")
    assert r"1.9 / \textbf{1.85}$^{a}$" in text and r"given 6 landmarks \& 100 \%" in text
    assert r"\cmidrule(lr){2-4} \cmidrule(lr){5-7} \cmidrule(lr){8-10}" in text
    for table in text.split(r"\begin{tabular}")[1:]:
        body = table.split(r"\end{tabular}")[0]
        columns = len(re.match(r"\{([lr]+)\}", body)[1])
        rows = [line for line in body.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
        assert all(len(re.findall(r"(?<!\\)&", row)) == columns - 1 for row in rows)
    assert (tmp_path / "out" / "tables.tex").read_text().strip() == text.split("% written")[0].strip()
    assert "| Ours" in (tmp_path / "out" / "tables.md").read_text()


def test_a_folder_without_runs_is_named(tmp_path, capsys):
    assert f"no metrics.json in {tmp_path}" in told(capsys, main, tmp_path)


def test_every_method_of_the_configuration_has_a_name_in_the_tables():
    folder = Path(__file__).parents[1] / "configs" / "method"
    names = {yaml.safe_load(path.read_text()).get("method_name", path.stem) for path in folder.glob("*.yaml")}
    assert names <= set(Published().names)
