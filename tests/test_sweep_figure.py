"""Figures over the values of a sweep."""

import pytest
from tests.run_folders import mesh_run
from tests.told import told

from pullback.comparison.sweep_figure import Sweep, draw_beside, main
from pullback.figures.sweep import sweep_figure


def sweep(folder, *typed, seeds=(0,)):
    """A sweep with errors 1, 2, …, a job for each list of overrides and each seed."""
    jobs = [(seed, text) for text in typed for seed in seeds]
    for i, (seed, text) in enumerate(jobs):
        mesh_run(folder / str(i), error=1.0 + i, seed=seed, typed=[*text.split(), f"seed={seed}", "hydra.run.dir=x"])
    return folder


def axes_of(folder, **options):
    found = Sweep.read([folder], **options)
    return sweep_figure(found.panels(), xlabel=found.along).axes[0]


def test_the_option_of_most_numbers_is_the_axis_and_the_others_set_lines_apart(tmp_path):
    folder = sweep(tmp_path, "a.w=1 b.k=0", "a.w=10 b.k=0", "a.w=100 b.k=0", "a.w=1 b.k=9", "a.w=10 b.k=9")
    found = Sweep.read([folder])
    assert found.along == "a.w"
    assert found.panels() == {
        "faust (test): geodesic_error_x100": {
            "b.k=0": {"1": [1.0], "10": [2.0], "100": [3.0]},
            "b.k=9": {"1": [4.0], "10": [5.0]},
        }
    }


def test_seeds_become_their_mean_in_a_band(tmp_path):
    axes = axes_of(sweep(tmp_path, "a.w=1", "a.w=2", seeds=(0, 1)))
    (line,) = axes.lines
    assert list(line.get_xdata()) == [1, 2] and list(line.get_ydata()) == [1.5, 3.5]
    corners = axes.collections[0].get_paths()[0].vertices
    assert {(1, 1), (1, 2), (2, 3), (2, 4)} <= {tuple(corner) for corner in corners}


def test_a_sweep_of_seeds_alone_is_drawn_over_the_seeds(tmp_path):
    assert Sweep.read([sweep(tmp_path, "a.w=1", seeds=(0, 1, 2))]).along == "seed"


@pytest.mark.parametrize(
    ("values", "scale", "places"),
    [
        (["0.05", "0.1", "0.4"], "log", [0.05, 0.1, 0.4]),
        (["30", "40", "50"], "linear", [30, 40, 50]),
        (["0", "0.01", "1"], "linear", [0, 1, 2]),  # zero has no logarithm: side by side
        (["sgd", "adam"], "linear", [0, 1]),  # words as they come
    ],
)
def test_values_stand_where_they_belong_or_side_by_side(tmp_path, values, scale, places):
    axes = axes_of(sweep(tmp_path, *(f"a.w={value}" for value in values)))
    assert axes.get_xscale() == scale and list(axes.lines[0].get_xdata()) == places
    assert [tick.get_text() for tick in axes.get_xticklabels()] == values


def test_no_line_joins_words(tmp_path):
    assert axes_of(sweep(tmp_path / "words", "a.w=sgd", "a.w=adam")).lines[0].get_linestyle() == "None"
    assert axes_of(sweep(tmp_path / "numbers", "a.w=1", "a.w=2")).lines[0].get_linestyle() == "-"


def test_what_was_not_typed_for_a_job_is_its_default(tmp_path):
    found = Sweep.read([sweep(tmp_path, "a.w=1", "a.w=2", "b.k=1")])
    assert found.along == "a.w"
    assert found.differing[tmp_path / "2"] == {"a.w": "default", "b.k": "1"}


def test_the_command_writes_the_metrics_that_are_named(tmp_path, capsys):
    folder = sweep(tmp_path / "s", "a.w=1", "a.w=2")
    main([str(folder), "--metrics", "pck@0.10", "--out", str(tmp_path / "v1.2")])
    assert sorted(path.name for path in tmp_path.glob("v1*")) == ["v1.2.pdf", "v1.2.png", "v1.2.svg"]
    assert "pck@0.10, %" in (tmp_path / "v1.2.svg").read_text()
    assert "written" in capsys.readouterr().out


def test_runs_that_do_not_differ_are_told(tmp_path, capsys):
    folder = sweep(tmp_path, "a.w=1")
    assert "finished runs (1) differ in no option: there is nothing to draw" in told(capsys, main, folder)
    draw_beside(folder)
    assert not (folder / "sweep.png").exists()
    mesh_run(folder / "9", typed=["a.w=2"])
    assert "differ in a.w: b.k cannot be the axis" in told(capsys, main, folder, "--along", "b.k")
