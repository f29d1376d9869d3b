import csv

import matplotlib
import numpy as np
import pytest
import torch

from pullback.figures.curves import (
    Curve,
    cumulative_figure,
    curves_of_results,
    pck_figure,
    read_training_log,
    training_figure,
)
from pullback.figures.plot import figure_svg, inline_svg, save_figure


def write_log(path, rows, columns=("epoch", "step", "train/loss/orthogonality", "val/humans/geodesic_error")):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    return path


def test_a_training_log_gives_each_column_its_steps_without_the_gaps(tmp_path):
    path = write_log(tmp_path / "metrics.csv", [(0, 0, 5.0, ""), (0, 1, 4.0, ""), (0, 1, "", 0.3), (1, 2, "nan", "")])
    log = read_training_log(path)
    assert set(log) == {"train/loss/orthogonality", "val/humans/geodesic_error"}
    np.testing.assert_array_equal(log["train/loss/orthogonality"], [[0, 1], [5, 4]])
    np.testing.assert_array_equal(log["val/humans/geodesic_error"], [[1], [0.3]])


def test_steps_that_a_resumed_run_did_again_count_once(tmp_path):
    path = write_log(tmp_path / "metrics.csv", [(0, 0, 5.0, ""), (0, 1, 4.0, ""), (0, 1, 3.5, ""), (0, 2, 3.0, "")])
    np.testing.assert_array_equal(read_training_log(path)["train/loss/orthogonality"], [[0, 1, 2], [5, 3.5, 3]])


def test_a_last_line_that_is_still_being_written_does_no_harm(tmp_path):
    path = write_log(tmp_path / "metrics.csv", [(0, 0, 5.0, ""), (0, 1, 4.0, "")])
    path.write_text(path.read_text() + "0,2,3.1e")
    np.testing.assert_array_equal(read_training_log(path)["train/loss/orthogonality"], [[0, 1], [5, 4]])


def test_a_missing_or_foreign_log_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv"):
        read_training_log(tmp_path / "nothing.csv")
    foreign = write_log(tmp_path / "pairs.csv", [("a", 1)], columns=("pair", "error"))
    with pytest.raises(ValueError, match=r"pairs\.csv has the columns .*pair.*'step'"):
        read_training_log(foreign)


def series(values):
    return np.arange(len(values), dtype=float), np.array(values, dtype=float)


def panels(figure):
    return {
        axes.get_title(loc="left"): [line for line in axes.get_lines() if not line.get_label().startswith("_")]
        for axes in figure.axes
    }


def test_loss_terms_share_a_panel_and_data_sets_share_that_of_their_metric():
    names = [
        "train/loss",
        "train/loss/consistency",
        "val/humans/coverage",
        "val/faust/coverage",
        "val/geodesic_error",
        "lr-Adam",
    ]
    shown = panels(training_figure({name: series([3, 2, 1]) for name in names}))
    labels = {title: {line.get_label() for line in lines} for title, lines in shown.items() if lines}
    assert labels == {
        "train loss": {"total", "consistency"},
        "val coverage": {"humans", "faust"},
        "val error": {"geodesic error"},
        "lr-Adam": {"lr-Adam"},
    }


def test_losses_over_many_magnitudes_get_a_logarithmic_axis():
    figure = training_figure({"train/loss/a": series([1e3, 1, 1e-3]), "val/coverage": series([1e3, 1, 1e-3])})
    assert {axes.get_title(loc="left"): axes.get_yscale() for axes in figure.axes} == {
        "train loss": "log",
        "val coverage": "linear",
    }


def test_a_long_noisy_series_is_smoothed_without_moving_its_level():
    noise = np.random.default_rng(0).normal(0, 1, 600)
    noise[300] = 1e6
    (line,) = panels(training_figure({"val/x/error": series(50 + noise)}))["val error"]
    drawn = line.get_ydata()
    assert len(drawn) == 600 and abs(drawn - 50).max() < 1 and drawn.std() < 0.5


def test_pck_curves_are_drawn_in_percent_over_errors_times_a_hundred():
    thresholds = torch.linspace(0, 0.2, 5)
    figure = pck_figure({"a": (thresholds, torch.linspace(0.5, 1, 5)), "b": ([0.0, 0.1], [0.1, 0.2])})
    first, second = figure.axes[0].get_lines()
    np.testing.assert_allclose(first.get_xdata(), [0, 5, 10, 15, 20], rtol=1e-6)
    np.testing.assert_allclose(second.get_ydata(), [10, 20])
    assert first.get_color() != second.get_color() and first.get_linestyle() != second.get_linestyle()


def test_no_two_of_a_dozen_lines_look_alike():
    figure = pck_figure({f"run {i}": ([0.0, 0.1], [0.0, i / 12]) for i in range(12)})
    assert len({(line.get_color(), str(line._unscaled_dash_pattern)) for line in figure.axes[0].get_lines()}) == 12


def test_results_without_ground_truth_have_no_curve():
    curve = {"thresholds": [0.0, 0.1], "pck": [0.2, 0.9]}
    rows = [
        {"dataset": "faust", "split": "test", "pck_curve": curve},
        {"dataset": "mine", "split": "test", "pck_curve": None},
    ]
    assert curves_of_results(rows) == {"faust test": ([0.0, 0.1], [0.2, 0.9])}


def test_nothing_to_draw_is_an_error():
    with pytest.raises(ValueError, match="at least one curve"):
        pck_figure({})
    with pytest.raises(ValueError, match="no values yet"):
        training_figure({})


@pytest.fixture
def figure():
    return pck_figure({"a <b> & c": ([0.0, 0.1], [0.1, 0.2])})


def test_drawing_leaves_matplotlib_as_it_was(figure, tmp_path):
    before = dict(matplotlib.rcParams)
    save_figure(figure, tmp_path / "a.svg")
    save_figure(figure, tmp_path / "a.png")
    assert dict(matplotlib.rcParams) == before
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_equal_figures_give_equal_files(figure):
    assert figure_svg(figure) == figure_svg(pck_figure({"a <b> & c": ([0.0, 0.1], [0.1, 0.2])}))


def test_an_inline_plot_names_no_address_and_shares_no_identifier_with_another(figure):
    first, second = inline_svg(figure, prefix="one"), inline_svg(figure, prefix="two")
    assert "http" not in first and first.startswith("<svg") and "var(--ink" in first and "var(--series1" in first
    identifiers = [set(part.split('"')[0] for part in svg.split(' id="')[1:]) for svg in (first, second)]
    assert identifiers[0] and not identifiers[0] & identifiers[1]
    used = {part.split(")")[0] for part in first.split("url(#")[1:]} | {
        part.split('"')[0] for part in first.split('href="#')[1:]
    }
    assert used and used <= identifiers[0]
    assert "a &lt;b&gt; &amp; c" in first


def test_a_figure_of_unknown_kind_is_refused(figure, tmp_path):
    with pytest.raises(ValueError, match=r"'a\.docx'"):
        save_figure(figure, tmp_path / "a.docx")


def test_panels_stand_side_by_side_and_a_line_keeps_its_look():
    curve, other = ([0.0, 0.1, 0.2], [0.1, 0.5, 0.9]), ([0.0, 0.1, 0.2], [0.2, 0.6, 1.0])
    figure = cumulative_figure(
        {"A": {"x": Curve(*curve), "y": Curve(*other)}, "B": {"y": Curve(*other, style=1)}}, limit=0.1
    )
    first, second = figure.axes
    assert [axes.get_title(loc="left") for axes in (first, second)] == ["A", "B"]
    assert first.get_lines()[1].get_color() == second.get_lines()[0].get_color() != first.get_lines()[0].get_color()
    assert first.get_xlim() == (0, 10)


def test_a_band_lies_around_its_curve():
    curve = Curve([0.0, 0.1], [0.2, 0.5], band=([0.1, 0.4], [0.3, 0.7]))
    (axes,) = cumulative_figure({"": {"x": curve}}).axes
    edges = axes.collections[0].get_paths()[0].vertices
    assert {tuple(point) for point in edges.round(6)} >= {(0, 10), (10, 40), (10, 70), (0, 30)}


def test_a_figure_for_a_paper_is_a_pdf_that_repeats_exactly(figure, tmp_path):
    paths = [save_figure(figure, tmp_path / name) for name in ("a.pdf", "b.pdf")]
    assert paths[0].read_bytes().startswith(b"%PDF") and paths[0].read_bytes() == paths[1].read_bytes()
