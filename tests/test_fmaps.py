"""A sheet of the functional maps of several runs: which pair, which titles, how wide, and what is told of them."""

import numpy as np
import pytest
import torch
from tests.test_compare import run
from tests.told import told

from pullback.comparison.fmaps import FoundFmap, columns_of, main, shared_pairs, titles_of
from pullback.comparison.records import labels, records_of, run_folders
from pullback.figures.fmap_sheet import NamedFmap, fmap_sheet
from pullback.tasks.store import PredictionStore

XY = torch.zeros(3, 2)


def matched(folder, fmaps, *, evals=None, **settings):
    """A run whose predictions hold the functional maps of some pairs."""
    run(folder, **settings)
    store = PredictionStore(folder / "predictions" / "tss", {"of": folder.name})
    for name, fmap12 in fmaps.items():
        store.save(name, torch.arange(3), xy21=XY, fmap12=fmap12, evals1=evals, evals2=evals)
    return folder


def records(*folders):
    runs = run_folders(folders)
    return [record for label, run in zip(labels(runs), runs, strict=True) for record in records_of(run, label)]


def test_the_sheet_is_written_and_the_means_over_shared_pairs_are_told(tmp_path, capsys):
    evals = torch.arange(4.0)
    matched(tmp_path / "a", {"x": torch.eye(4), "y": torch.zeros(4, 4)}, evals=evals)
    matched(tmp_path / "b", {"x": torch.ones(4, 4), "z": torch.eye(4)}, fusion="other")
    main([str(tmp_path), "--names", "first,second", "--out", str(tmp_path / "sheet.png")])
    said = capsys.readouterr().out
    assert (tmp_path / "sheet.png").stat().st_size > 5_000
    assert "Mean over 1 pair," in said
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in said.splitlines() if line[:2] == "| "]
    assert ["first", "1.000", "0.000", "0.000"] in rows
    assert ["second", "0.250", f"{np.linalg.norm(np.full((4, 4), 4) - np.eye(4)) / 2:.3f}", "–"] in rows


def test_only_the_block_that_is_shown_is_measured(tmp_path, capsys):
    fmap12 = torch.ones(4, 4)
    fmap12[:2, :2] = torch.eye(2)
    matched(tmp_path / "a", {"x": fmap12})
    main([str(tmp_path / "a"), "--block", "2", "--out", str(tmp_path / "sheet.png")])
    assert "1.000" in capsys.readouterr().out


def test_the_pair_that_is_asked_for_comes_first(tmp_path):
    one = FoundFmap(torch.eye(2), None, None)
    found = [{"x": one, "y": one}, {"y": one, "x": one}]
    some = records(run(tmp_path / "a"), run(tmp_path / "b"))
    assert shared_pairs(some, found, None) == ["x", "y"]
    assert shared_pairs(some, found, "y") == ["y", "x"]


def test_a_title_names_what_sets_a_run_apart(tmp_path):
    folders = [
        run(tmp_path / name, overrides=[f"solver.optimiser.lam={name}", "graph.k=100"], fusion="a + b")
        for name in ("0", "1")
    ]
    assert titles_of(records(*folders)) == ["lam=0", "lam=1"]


def test_there_is_a_column_for_each_fusion_where_runs_fill_them(tmp_path):
    folders = [run(tmp_path / f"{i}", fusion="ab"[i % 2]) for i in range(6)]
    assert columns_of(records(*folders)) == 2
    assert columns_of(records(*folders[:5])) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pair", "nobody"], "no pair nobody that all runs matched; there are x"),
        (["--names", "a,b"], "2 names for 1 maps"),
    ],
)
def test_what_cannot_be_drawn_is_told(options, said, tmp_path, capsys):
    matched(tmp_path / "a", {"x": torch.eye(4)})
    assert said in told(capsys, main, tmp_path / "a", *options)


def test_a_baseline_without_functional_maps_is_named(tmp_path, capsys):
    run(tmp_path / "a")
    PredictionStore(tmp_path / "a" / "predictions" / "tss", {}).save("x", torch.arange(3), xy21=XY)
    assert "found no functional map of photographs on tss" in told(capsys, main, tmp_path / "a")


def test_each_map_has_the_scale_of_its_own_largest_entries():
    figure = fmap_sheet([NamedFmap("small", 1e-3 * np.eye(3)), NamedFmap("large", 5 * np.eye(3))], columns=2, block=2)
    scales = [axes.images[0].get_clim() for axes in figure.axes]
    assert [scale[0] for scale in scales] == [0, 0]
    assert [scale[1] for scale in scales] == pytest.approx([1e-3, 5])
    assert [axes.images[0].get_array().shape for axes in figure.axes] == [(2, 2), (2, 2)]
