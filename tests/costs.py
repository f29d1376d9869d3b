"""What each test costs, in processor seconds, and which tests are ``slow`` by it.

``tests/costs.json`` holds what `make test-costs` measured: for every function that matters, the seconds of one case,
with those of the fixtures of its module. `make test-fast` runs what is not ``slow``: of each function as many cases as
fit into ``SHARE`` seconds, and of each file at least the cheapest case, so that no module goes without.
Processor seconds, of this process and of those that it started, mean the same beside other jobs. A test that grew
beyond its measure fails the fast run, which hence stays fast.
"""

import json
import resource
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

COSTS = Path(__file__).with_name("costs.json")
SHARE = 0.6  # seconds of one function in the fast run
WRITTEN = 0.1  # seconds of a case from which on it is written down
MANY = 10  # times so many seconds are written down, too, where it takes many cases to spend them
GROWN = 10.0  # seconds, and this many times its measure, at which a test of the fast run has grown too slow
_KEY = "processor_seconds"


def processor_seconds() -> float:
    """Of this process and of all that it started and that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def function_of(nodeid: str) -> str:
    """``tests/a.py::test_b[case]`` → ``tests/a.py::test_b``."""
    return nodeid.split("[")[0]


def slow_cases(nodeids: Iterable[str], costs: Mapping[str, float], *, share: float = SHARE) -> set[str]:
    """Those that the fast run leaves out."""
    files: dict[str, dict[str, list[str]]] = {}
    for nodeid in nodeids:
        files.setdefault(nodeid.split("::")[0], {}).setdefault(function_of(nodeid), []).append(nodeid)
    slow: set[str] = set()
    for functions in files.values():
        late = {name: cases[int(share / costs[name]) :] for name, cases in functions.items() if costs.get(name)}
        if all(len(late.get(name, ())) == len(cases) for name, cases in functions.items()):
            late[min(functions, key=lambda name: costs[name])].pop(0)
        slow.update(case for cases in late.values() for case in cases)
    return slow


def costliest_file_first(items: list[pytest.Item], costs: Mapping[str, float]) -> list[pytest.Item]:
    """Tests of a file stay together and in order; several processes end together if what takes long begins first."""
    files: dict[str, float] = {}
    for item in items:
        file = item.nodeid.split("::")[0]
        files[file] = files.get(file, 0.0) + costs.get(function_of(item.nodeid), WRITTEN / 2)
    return sorted(items, key=lambda item: -files[item.nodeid.split("::")[0]])


def read_costs() -> dict[str, float]:
    """Seconds of one case of each function that was written down."""
    return json.loads(COSTS.read_text(encoding="utf-8"))


class Costs:
    """The plugin: measures where tests run, gathers where they are reported."""

    def __init__(self, config: pytest.Config):
        self.config = config
        self.costs = read_costs()
        self.measured: dict[str, float] = {}  # by case
        self._shared: dict[str, float] = {}  # by fixture: seconds of those that belong to a module
        self._apart = 0.0  # seconds of such fixtures since the last phase ended
        self._last = processor_seconds()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        slow = slow_cases((item.nodeid for item in items), self.costs)
        for item in items:
            if item.nodeid in slow:
                item.add_marker(pytest.mark.slow)
        if hasattr(self.config, "workerinput"):
            items[:] = costliest_file_first(items, self.costs)

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        began, within = processor_seconds(), self._apart
        try:
            return (yield)
        finally:
            spent = processor_seconds() - began
            self._apart = within + spent
            if fixturedef.scope != "session":
                self._shared[f"{fixturedef.baseid}::{fixturedef.argname}"] = spent

    def pytest_runtest_logstart(self) -> None:
        self._last, self._apart = processor_seconds(), 0.0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        report = yield
        now = processor_seconds()
        spent = now - self._last - self._apart
        self._last, self._apart = now, 0.0
        if report.when == "setup":
            file = item.nodeid.split("::")[0]
            names = getattr(item, "fixturenames", ())
            spent += max((self._shared.get(f"{file}::{name}", 0.0) for name in names), default=0.0)
        report.user_properties.append((_KEY, spent))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        spent = dict(report.user_properties).get(_KEY, 0.0)
        self.measured[report.nodeid] = self.measured.get(report.nodeid, 0.0) + spent

    def grown(self) -> list[str]:
        """Tests of a fast run that cost too much for it."""
        if "not slow" not in self.config.option.markexpr:
            return []
        limits = {case: max(GROWN, GROWN * self.costs.get(function_of(case), 0.0)) for case in self.measured}
        return [case for case, spent in self.measured.items() if spent > limits[case]]

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if hasattr(self.config, "workerinput"):
            return
        if self.config.option.write_costs:
            known = {name: cost for name, cost in self.costs.items() if exists(name)}
            COSTS.write_text(as_json(known, self.measured), encoding="utf-8")
        if self.grown() and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for case in self.grown():
            terminalreporter.write_line(
                f"{case} took {self.measured[case]:.0f} s of processor time, too much for the fast run: "
                "make it faster, or measure again with `make test-costs`",
                red=True,
            )


def as_json(known: Mapping[str, float], measured: Mapping[str, float]) -> str:
    """Seconds of a case, the mean over those of its function. What was not measured stays.

    Left out are functions that are cheap with all of their cases.
    """
    cases: dict[str, list[float]] = {}
    for case, spent in measured.items():
        cases.setdefault(function_of(case), []).append(spent)
    costly = {name: each for name, each in cases.items() if max(sum(each) / len(each), sum(each) / MANY) >= WRITTEN}
    means = {name: cost for name, cost in known.items() if name not in cases}
    means |= {name: max(round(sum(each) / len(each), 2), 0.01) for name, each in costly.items()}
    return json.dumps(dict(sorted(means.items())), indent=0) + "\n"


def exists(function: str) -> bool:
    """Whether a function that was measured is still there."""
    file, name = COSTS.parents[1] / function.split("::")[0], function.split("::")[-1]
    return file.is_file() and f"def {name}(" in file.read_text(encoding="utf-8")
