"""Tests are slow by measure: the fast run takes as many cases as fit, and something of every file."""

import json
from types import SimpleNamespace

from tests.costs import Costs, as_json, costliest_file_first, exists, read_costs, slow_cases


def test_a_test_that_costs_more_than_its_share_is_slow():
    assert slow_cases(["a.py::x", "a.py::y"], {"a.py::x": 3.0}, share=1) == {"a.py::x"}


def test_of_many_cases_as_many_stay_as_fit_into_the_share():
    cases = [f"a.py::x[{i}]" for i in range(5)]
    assert slow_cases(cases, {"a.py::x": 0.4}, share=1) == set(cases[2:])


def test_of_a_file_of_slow_tests_the_cheapest_case_stays():
    cases = ["a.py::x", "a.py::y[1]", "a.py::y[2]", "b.py::z"]
    assert slow_cases(cases, {"a.py::x": 9.0, "a.py::y": 5.0, "b.py::z": 8.0}, share=1) == {"a.py::x", "a.py::y[2]"}


def test_the_costliest_file_begins_and_tests_of_a_file_keep_their_order():
    items = [SimpleNamespace(nodeid=nodeid) for nodeid in ("a.py::x", "b.py::y", "b.py::z", "c.py::w")]
    ordered = costliest_file_first(items, {"b.py::z": 2.0, "c.py::w": 9.0})
    assert [item.nodeid for item in ordered] == ["c.py::w", "b.py::y", "b.py::z", "a.py::x"]


def test_what_is_written_down_is_the_mean_of_the_cases_without_the_cheap_ones():
    written = as_json({}, {"a.py::x[1]": 1.0, "a.py::x[2]": 2.0, "a.py::y": 0.01})
    assert json.loads(written) == {"a.py::x": 1.5}


def test_many_cheap_cases_are_written_down_together():
    cases = {f"a.py::x[{i}]": 0.09 for i in range(12)} | {f"a.py::y[{i}]": 0.001 for i in range(12)}
    assert json.loads(as_json({}, cases)) == {"a.py::x": 0.09}


def test_what_was_not_measured_this_time_stays():
    assert json.loads(as_json({"a.py::x": 3.0, "a.py::y": 2.0}, {"a.py::y": 1.0})) == {"a.py::x": 3.0, "a.py::y": 1.0}


def test_every_test_that_was_measured_is_still_there():
    gone = [name for name in read_costs() if not exists(name)]
    assert gone == [], "renamed or deleted: take the lines out of tests/costs.json"


def test_a_test_that_outgrew_the_fast_run_is_found():
    config = SimpleNamespace(option=SimpleNamespace(markexpr="not slow"))
    costs = Costs(config)
    costs.costs = {"a.py::known": 5.0}
    costs.measured = {"a.py::known": 12.0, "a.py::new": 12.0, "a.py::quick": 0.1}
    assert costs.grown() == ["a.py::new"]
    config.option.markexpr = ""
    assert costs.grown() == []
