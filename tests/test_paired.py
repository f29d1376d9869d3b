"""Two runs over the same pairs: differences with intervals, a test, and what is refused."""

import json

import numpy as np
import pytest
from tests.later import later
from tests.run_folders import all_pairs, mesh_run, write_pairs
from tests.told import told

from pullback.comparison.bootstrap import bootstrap_over_pairs, bootstrap_over_shapes
from pullback.comparison.paired import compare, main

stats = later("scipy.stats")

PAIRS = all_pairs(8)
DRAWS = {"resamples": 500, "seed": 0}


def two_runs(tmp_path, errors_a, errors_b, **protocol):
    a, b = mesh_run(tmp_path / "a"), mesh_run(tmp_path / "b", method="ulrssm", refinement="two branches", **protocol)
    return write_pairs(a, dict(zip(PAIRS, errors_a, strict=True))), write_pairs(
        b, dict(zip(PAIRS, errors_b, strict=True))
    )


def test_difference_counts_and_test_are_those_of_the_pairs(tmp_path):
    errors = np.random.default_rng(0).uniform(1, 4, size=(2, len(PAIRS))).round(3)
    (found,) = compare(*two_runs(tmp_path, *errors), **DRAWS)
    difference = errors[1] - errors[0]
    assert (
        found.pairs == 28
        and found.mean_a == pytest.approx(errors[0].mean())
        and found.difference == pytest.approx(difference.mean())
    )
    assert (found.better, found.ties, found.worse) == ((difference < 0).sum(), 0, (difference > 0).sum())
    assert found.p_value == pytest.approx(stats.wilcoxon(errors[0], errors[1]).pvalue)
    assert found.over_pairs[0] < found.difference < found.over_pairs[1]


def test_small_differences_can_be_called_ties(tmp_path):
    (found,) = compare(*two_runs(tmp_path, np.full(28, 2.0), [1.95] * 10 + [2.5] * 18), tie=0.1, **DRAWS)
    assert (found.better, found.ties, found.worse) == (0, 10, 18)


def test_a_higher_coverage_is_better(tmp_path):
    (found,) = compare(*two_runs(tmp_path, np.full(28, 2.0), [3.0] * 28), metric="coverage", **DRAWS)
    assert (found.better, found.worse) == (28, 0)


def test_equal_runs_show_no_difference(tmp_path):
    (found,) = compare(*two_runs(tmp_path, np.arange(28.0), np.arange(28.0)), **DRAWS)
    assert found.difference == 0 and found.p_value == 1 and found.over_pairs == (0, 0) and found.over_shapes == (0, 0)
    assert found.ties == 28


def test_the_interval_over_pairs_is_that_of_the_normal_law():
    differences = np.random.default_rng(1).normal(0.3, 1.0, size=400)
    low, high = bootstrap_over_pairs(differences, resamples=4000, seed=0)
    half = stats.norm.ppf(0.975) * differences.std() / 20
    assert [low, high] == pytest.approx([differences.mean() - half, differences.mean() + half], abs=0.1 * half)


def test_the_interval_over_shapes_is_wider_where_shapes_decide():
    effect = np.array([-2.0, -1.0, -0.5, 0.0, 0.0, 0.5, 1.0, 2.0])
    ends = np.array([(i, j) for i in range(8) for j in range(i + 1, 8)])
    differences = effect[ends].sum(axis=1)
    pairs, shapes = bootstrap_over_pairs(differences, **DRAWS), bootstrap_over_shapes(differences, ends, **DRAWS)
    assert shapes[1] - shapes[0] > 1.5 * (pairs[1] - pairs[0])


def test_a_pair_weighs_as_often_as_both_its_shapes_are_drawn():
    ends = np.array([(0, 1), (0, 2), (1, 2)])
    low, high = bootstrap_over_shapes(np.array([0.0, 0.0, 3.0]), ends, resamples=2000, seed=0)
    assert (low, high) == (0, 3)  # draws such as (1, 1, 2) hold the last pair only, (0, 0, 1) only the first
    assert bootstrap_over_shapes(np.array([1.0]), np.array([(0, 1)]), resamples=10, seed=0) is None


def test_intervals_are_repeated_exactly(tmp_path):
    runs = two_runs(tmp_path, np.arange(28.0), np.arange(28.0)[::-1])
    assert compare(*runs, **DRAWS) == compare(*runs, **DRAWS)
    assert compare(*runs, **DRAWS)[0].over_pairs != compare(*runs, resamples=500, seed=1)[0].over_pairs


def test_failed_pairs_of_either_run_are_left_out_and_counted(tmp_path):
    (found,) = compare(*two_runs(tmp_path, [None] + [2.0] * 27, [1.0] * 27 + [None]), **DRAWS)
    assert found.pairs == 26 and found.left_out == 2 and found.mean_b == 1.0


def test_other_pairs_are_refused(tmp_path):
    a, b = two_runs(tmp_path, np.ones(28), np.ones(28))
    write_pairs(b, dict.fromkeys([*PAIRS[1:], ("s0", "other")], 1.0))
    with pytest.raises(ValueError, match=r"faust: 2 pairs are in one run only.*other.*same pairs"):
        compare(a, b, **DRAWS)


@pytest.mark.parametrize("change", [{"geodesics": "heat"}, {"notes": "given 6 landmarks"}, {"pairs": "ordered"}])
def test_another_protocol_is_refused(tmp_path, change):
    key, value = next(iter(change.items()))
    with pytest.raises(ValueError, match=f"protocols differ.*{key} .* in A, '{value}' in B"):
        compare(*two_runs(tmp_path, np.ones(28), np.ones(28), **change), **DRAWS)


def test_runs_on_different_sets_and_unknown_columns_are_refused(tmp_path):
    a, b = two_runs(tmp_path, np.ones(28), np.ones(28))
    other = mesh_run(tmp_path / "c", dataset="scape")
    with pytest.raises(ValueError, match=r"faust.*scape: there is nothing to compare"):
        compare(a, other, **DRAWS)
    with pytest.raises(ValueError, match="no epe of a pair of faust; choose another column"):
        compare(a, b, metric="epe", **DRAWS)
    with pytest.raises(ValueError, match="holds 3 runs"):
        compare(tmp_path, a, **DRAWS)


def test_the_command_prints_a_table_a_sentence_or_json(tmp_path, capsys):
    runs = [str(run) for run in two_runs(tmp_path, np.arange(28.0) + 2, np.arange(28.0) + 1)]
    main([*runs, "--resamples", "100"])
    text = capsys.readouterr().out
    assert "| faust    | geodesic_error_x100 | 15.500 | 14.500 | -1.000 |" in text
    assert "B is better in 28 of 28 pairs" in text and "the interval leaves 0 out" in text
    main([*runs, "--resamples", "100", "--json"])
    assert json.loads(capsys.readouterr().out)[0]["better"] == 28
    assert f"there is no folder {tmp_path / 'nowhere'}" in told(capsys, main, runs[0], tmp_path / "nowhere")


def test_many_runs_are_each_set_against_the_first_of_their_data_set(tmp_path, capsys):
    for name, error, dataset, geodesics in (
        ("0", 2.0, "faust", "dijkstra"),
        ("1", 2.5, "faust", "dijkstra"),
        ("2", 3.0, "scape", "dijkstra"),
        ("3", 1.5, "faust", "heat"),
        ("4", 4.0, "scape", "dijkstra"),
    ):
        run = mesh_run(tmp_path / name, dataset=dataset, method=f"m{name}", geodesics=geodesics)
        write_pairs(run, dict.fromkeys(PAIRS, error), dataset=dataset)
    main([str(tmp_path), "--resamples", "200"])
    out = capsys.readouterr().out
    assert "| 0 → 1 |" in out and "| 2 → 4 |" in out and "+0.500" in out and "+1.000" in out
    assert "left out: 3 against 0: faust: the protocols differ" in out
    main([str(tmp_path), "--resamples", "200", "--json"])
    assert [(each["a"], each["b"]) for each in json.loads(capsys.readouterr().out)] == [("0", "1"), ("2", "4")]
    assert "no two of the runs share a data set" in told(capsys, main, tmp_path / "0")
