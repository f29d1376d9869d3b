"""Cumulative error curves of several runs in one plot."""

import numpy as np
import pytest
from tests.run_folders import all_pairs, mesh_run, write_pairs
from tests.told import told

from pullback.comparison.curves import main, panels_of
from pullback.comparison.records import labels, records_of


def records(*runs):
    return [record for run, label in zip(runs, labels(runs), strict=True) for record in records_of(run, label)]


def test_a_panel_for_each_set_and_a_line_for_each_run_that_looks_the_same_in_all(tmp_path):
    runs = [mesh_run(tmp_path / "a", error=2.0), mesh_run(tmp_path / "b", error=4.0, method="ulrssm")]
    later = mesh_run(tmp_path / "c", error=4.0, dataset="scape")
    panels = panels_of(records(*runs, later))
    assert {title: list(lines) for title, lines in panels.items()} == {
        "faust (test)": ["a  2.00", "b  4.00"],
        "scape (test)": ["c  4.00"],
    }
    assert [line.style for lines in panels.values() for line in lines.values()] == [0, 1, 2]
    np.testing.assert_allclose(panels["faust (test)"]["b  4.00"].share, [0.0, 0.8, 1.0])


def test_seeds_become_their_mean_in_a_band(tmp_path):
    panels = panels_of(
        records(*(mesh_run(tmp_path / str(seed), seed=seed, error=error) for seed, error in enumerate([1.0, 2.0, 6.0])))
    )
    ((label, curve),) = panels["faust (test)"].items()
    assert label == "0 (3 seeds)  3.00"
    np.testing.assert_allclose([curve.band[0][1], curve.share[1], curve.band[1][1]], [0.7, 0.85, 0.95])


def test_pairs_are_counted_by_their_means(tmp_path):
    run = write_pairs(mesh_run(tmp_path / "a"), dict(zip(all_pairs(4), [1.0, 3.0, 5.0, 5.0, 30.0, None], strict=True)))
    (curve,) = panels_of(records(run), of="pairs")["faust (test)"].values()
    shares = dict(zip((100 * curve.thresholds).round(2), curve.share, strict=True))
    assert [shares[limit] for limit in (0.95, 1.05, 4.0, 5.05, 20.0)] == pytest.approx([0, 0.2, 0.4, 0.8, 0.8])


def test_lines_can_be_named(tmp_path):
    runs = [mesh_run(tmp_path / "a"), mesh_run(tmp_path / "b", method="ulrssm")]
    assert list(panels_of(records(*runs), names=["Ours", "ULRSSM"])["faust (test)"]) == ["Ours  2.00", "ULRSSM  2.00"]
    with pytest.raises(ValueError, match="1 names for 2 lines: a; b"):
        panels_of(records(*runs), names=["Ours"])


def test_the_command_writes_three_files_or_the_one_that_is_named(tmp_path, capsys):
    runs = [str(mesh_run(tmp_path / "a")), str(mesh_run(tmp_path / "b", method="ulrssm", geodesics="heat"))]
    main([*runs, "--out", str(tmp_path / "out" / "faust.v1")[:-3]])
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["faust.pdf", "faust.png", "faust.svg"]
    assert "b on faust (test): see [1]" in capsys.readouterr().out  # another protocol
    main([*runs, "--out", str(tmp_path / "one.svg"), "--limit", "10"])
    assert "ulrssm" not in (tmp_path / "one.svg").read_text() and "b  2.00" in (tmp_path / "one.svg").read_text()
    assert not (tmp_path / "one.png").exists()


def test_sets_without_a_curve_and_unknown_endings_are_refused(tmp_path, capsys):
    run = mesh_run(tmp_path / "a")
    assert "no error curve of scape; there are curves of faust" in told(capsys, main, run, "--datasets", "scape")
    assert "'a.docx'" in told(capsys, main, run, "--out", tmp_path / "a.docx")
