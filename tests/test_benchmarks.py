"""The harness of the benchmarks. What they measure is never asserted here."""

import json
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from experiments.benchmarks import conditions, harness, memory, parts, table, threads, training_step
from experiments.benchmarks.harness import Contender, Report, Row, compare
from experiments.benchmarks.training_pair import Measured

SCRIPTS = sorted(path.stem for path in Path(harness.__file__).parent.glob("*.py") if "def main(" in path.read_text())


def equal(result, expected):
    assert result == expected, f"{result} is not {expected}"


def durations(monkeypatch, seconds):
    """Makes runs take given seconds by the clock: ``seconds[name]`` is a list, one for each timed round."""
    clock = [0.0]
    monkeypatch.setattr(harness.time, "perf_counter", lambda: clock[0])
    calls = []

    def contender(name):
        queue = [0.0, *seconds[name]]  # the first run warms up

        def run():
            calls.append(name)
            clock[0] += queue.pop(0)
            return "result"

        return run

    return {name: contender(name) for name in seconds}, calls


def by_name(rows):
    return {row.backend: row for row in rows}


def test_contenders_take_turns_after_one_run_each_to_warm_up(monkeypatch):
    contenders, calls = durations(monkeypatch, {"a": [1, 1], "b": [1, 1]})
    compare("work", {"n": 1}, contenders, ours="b", same=equal, rounds=2)
    assert calls == ["a", "b", "a", "b", "a", "b"]


def test_a_slow_contender_has_rounds_of_its_own(monkeypatch):
    contenders, calls = durations(monkeypatch, {"a": [5], "b": [1, 1, 1]})
    contenders["a"] = Contender(contenders["a"], rounds=1)
    rows = by_name(compare("work", {"n": 1}, contenders, ours="b", same=equal, rounds=3))
    assert calls == ["a", "b", "a", "b", "b", "b"]
    assert (rows["a"].rounds, rows["a"].spread) == (1, None)
    assert rows["b"].rounds == 3


def test_rows_hold_median_spread_and_the_ratio_to_the_fastest_peer(monkeypatch):
    contenders, _ = durations(
        monkeypatch, {"slow": [8, 9, 10], "quick": [4, 2, 3], "ours": [1, 1, 4], "twin": [0.5, 0.5, 0.5]}
    )
    rows = by_name(compare("work", {"n": 1}, contenders, ours="ours", also_ours=["twin"], same=equal))
    assert rows["slow"].seconds == 9
    assert rows["quick"].seconds == 3
    assert rows["quick"].spread == pytest.approx(2 / 3)
    assert {name: row.ratio for name, row in rows.items()} == pytest.approx(
        {"slow": 1 / 3, "quick": 1, "ours": 3, "twin": 6}
    )
    assert [name for name, row in rows.items() if row.ours] == ["ours", "twin"]


def test_without_peers_there_is_no_ratio(monkeypatch):
    contenders, _ = durations(monkeypatch, {"ours": [1, 1, 1]})
    assert compare("work", {}, contenders, ours="ours", same=equal)[0].ratio is None


def test_results_that_differ_are_refused_by_name_before_anything_is_timed():
    runs = []

    def wrong():
        runs.append("wrong")
        return 2

    with pytest.raises(AssertionError, match=r"work: wrong does not agree with reference.*2 is not 1"):
        compare("work", {}, {"reference": lambda: 1, "wrong": wrong}, ours="wrong", same=equal)
    assert runs == ["wrong"]


def test_rows_name_the_processor_that_computes(monkeypatch):
    facts = {"cpu": "a CPU", "gpu": [{"name": "a GPU"}, {"name": "a GPU"}]}
    monkeypatch.setattr(harness, "hardware", lambda: facts)
    assert [harness.processor_of(device) for device in ("cpu", "cuda")] == ["a CPU", "a GPU, a CPU"]


def test_an_unknown_name_among_ours_is_refused():
    with pytest.raises(ValueError, match=r"\['mine'\] are no contenders of 'work'; there are \['a'\]"):
        compare("work", {}, {"a": lambda: 1}, ours="mine", same=None)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize("resettable", [True, False])
def test_peak_memory_is_that_of_a_known_allocation_even_when_it_is_gone_at_the_end(monkeypatch, resettable):
    def work():
        block = np.ones(2**26 // 8)  # 64 MiB
        time.sleep(0.5)  # so that a sampling thread has its chance, also on a busy machine
        del block

    if not resettable:
        monkeypatch.setattr(memory, "reset_high_water", lambda: False)
    work()
    _, peak = harness.timed(work)
    assert peak.method == ("VmHWM" if resettable and memory.reset_high_water() else "sampled")
    assert peak.bytes == pytest.approx(2**26, rel=0.1)
    small = harness.timed(lambda: None)[1]  # the mark of the work before must be gone
    assert small.bytes < 2**23


def test_the_report_leaves_a_file_that_reads_back_as_the_same_rows(tmp_path, capsys):
    options = conditions.start(
        conditions.arguments("text"),
        ["--threads", str(torch.get_num_threads()), "--output", str(tmp_path / "out.json")],
    )
    report = Report(__file__, options)
    rows = [
        Row(
            "work",
            {"n": 5000, "k": 3},
            "ours",
            "cpu",
            0.5,
            spread=0.1,
            rounds=3,
            peak_bytes=2**20,
            peak_by="VmHWM",
            ratio=2.0,
            ours=True,
        ),
        Row("work", {"n": 5000, "k": 3}, "peer", "cpu", None, rounds=0, note="out of memory"),
    ]
    report.add(rows)
    report.finish()
    content = json.loads((tmp_path / "out.json").read_text())
    own = {"threads": torch.get_num_threads(), "busy": 0, "processor": content["machine"]["cpu"]}
    assert [Row(**row) for row in content["rows"]] == [replace(row, **own) for row in rows]
    assert content["machine"]["threads"] == torch.get_num_threads()
    assert {"cpu", "cores", "gpu", "memory_gib"} <= set(content["machine"])
    assert {"versions", "commit", "date", "command"} <= set(content)
    assert "n 5,000" in capsys.readouterr().out


def test_the_markdown_table_names_the_machine_and_marks_our_rows(tmp_path, capsys):
    report = Report(__file__, None)
    report.path = tmp_path / "out.json"
    report.add(
        [
            Row("a|b", {"n": n}, name, "cpu", 0.5, ratio=1.0, ours=name == "mine")
            for n in (1, 2)
            for name in ("mine", "theirs")
        ]
    )
    capsys.readouterr()
    table.main([str(report.path)])
    text = capsys.readouterr().out
    assert "### test_benchmarks" in text
    assert "| a\\|b | n 1 | **mine** | 0.5 |" in text
    assert "device: cpu" in text  # the same in every row: said once


def measured(seconds, n_threads, n_busy, **changes):
    return replace(Row("work", {"n": 1}, "ours", "cpu", seconds, threads=n_threads, busy=n_busy), **changes)


def test_each_condition_is_a_process_of_its_own_and_quiet_ones_come_first(monkeypatch):
    runs = []

    def run(command, env):
        runs.append((command[3:], env["OMP_NUM_THREADS"]))
        return Namespace(returncode=len(runs) == 2)

    monkeypatch.setattr(conditions.subprocess, "run", run)
    monkeypatch.setattr("sys.argv", ["softmaps.py", "--threads", "1", "2", "--busy", "4", "0", "--rounds", "2"])
    with pytest.raises(SystemExit) as ended:
        conditions.start(conditions.arguments("text", conditions=True))
    assert ended.value.code == 1  # one failed, and the others ran all the same
    whole = "python -m experiments.benchmarks.softmaps --threads 1 2 --busy 4 0 --rounds 2"
    own = [(command[command.index("2", 7) + 1 :], threads) for command, threads in runs]
    assert own == [
        (["--threads", threads, "--busy", busy, "--part", str(i), whole], threads)
        for i, (threads, busy) in enumerate([("1", "0"), ("2", "0"), ("1", "4"), ("2", "4")])
    ]


def test_a_part_under_one_condition_is_brief_beside_busy_processes(monkeypatch):
    started = []
    monkeypatch.setattr(
        conditions.subprocess, "Popen", lambda *_: started.append(Namespace(kill=int, wait=int)) or started[-1]
    )
    monkeypatch.setattr(conditions.atexit, "register", lambda _: None)
    command = ["--threads", str(torch.get_num_threads()), "--busy"]
    parser = conditions.arguments("text", conditions=True)
    quiet, busy = (conditions.start(parser, [*command, n, "--part", "0", "whole"]) for n in ("0", "4"))
    assert (quiet.brief, quiet.busy, busy.brief, busy.busy, len(started)) == (False, 0, True, 4, 4)
    asked = conditions.start(parser, [*command, "0", "--brief"])
    assert [Report("work.py", options).path.name for options in (quiet, busy, asked)] == [
        "work.json",
        "work.json",
        "work_brief.json",
    ]


def test_later_parts_add_their_rows_and_say_what_threads_gain_and_busy_processes_cost(tmp_path, capsys):
    def options(part, busy):
        return Namespace(output=tmp_path / "out.json", busy=busy, part=[part, "python -m whole"])

    Report(__file__, options("0", 0)).add([measured(2.0, 1, 0), measured(1.0, 2, 0)])
    Report(__file__, options("1", 4)).add([measured(3.0, 2, None), measured(9.0, 2, None, work="other")])
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["command"] == "python -m whole"
    assert [row["figures"] for row in content["rows"]] == [{}, {"speed-up": 2.0}, {"slowdown": 3.0}, {}]
    assert [row["busy"] for row in content["rows"]] == [0, 0, 4, 4]
    assert all(row["processor"] for row in content["rows"])
    Report(__file__, options("0", 0)).add([measured(2.0, 1, 0)])  # begins anew
    assert len(json.loads((tmp_path / "out.json").read_text())["rows"]) == 1


def test_the_table_marks_rows_that_do_not_name_their_threads(tmp_path, capsys):
    report = Report(__file__, Namespace(output=tmp_path / "out.json"))
    report.add([measured(1.0, 1, 0)])
    content = json.loads(report.path.read_text())
    assert "may have had fewer" not in table.markdown(content)
    del content["rows"][0]["threads"]
    assert "a peer may have had fewer than ours" in table.markdown(content)


@pytest.mark.parametrize("threads", ["0", "-2"])
def test_nonsense_on_the_command_line_is_refused(threads, capsys):
    with pytest.raises(SystemExit):
        conditions.start(conditions.arguments("text"), [f"--threads={threads}"])
    assert "--threads and --rounds must be 1 or more" in capsys.readouterr().err


def step_with(gradient):
    return Measured(1.0, None, None, loss=1.0, gradient=np.array(gradient))


def test_training_steps_with_other_gradients_are_refused_by_name():
    same = {"dense": step_with([1.0, 2.0]), "blocked": step_with([1.0, 2.0001])}
    training_step.check("work", same)
    with pytest.raises(AssertionError, match="the gradient of triton differs from that of dense"):
        training_step.check("work", {**same, "triton": step_with([1.0, 2.1])})


def test_a_dense_step_that_would_not_fit_is_not_tried(monkeypatch):
    monkeypatch.setattr(training_step, "available", lambda: 10**9)
    allowed = training_step.allowed_bytes(Namespace(memory=None))
    assert training_step.too_large("dense", 2000, {"dense": 100}, allowed) == ""
    assert training_step.too_large("dense", 4000, {"dense": 100}, allowed).startswith(
        "out of memory at 4,000 vertices: 2 GB by"
    )
    assert training_step.too_large("blocked", 4000, {"blocked": 100}, allowed) == ""
    assert (
        training_step.too_large("dense", 4000, {"dense": 100}, training_step.allowed_bytes(Namespace(memory=2.0))) == ""
    )


def test_matrices_are_extrapolated_without_what_every_backend_holds():
    rows = [
        Row("work", {"vertices": 100}, name, "cpu", 1.0, peak_bytes=peak)
        for name, peak in (("dense", 70_000), ("blocked", 50_000))
    ]
    assert training_step.bytes_of_matrices(rows) == {"dense": 2.0}
    assert training_step.bytes_of_matrices(rows[:1]) == {}


def test_busy_processes_end_with_the_block_also_after_an_error():
    with pytest.raises(KeyError), conditions.busy(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
        raise KeyError("something fails beside them")
    assert len(processes) == 2 and None not in [process.poll() for process in processes]


def test_a_process_begins_with_its_own_environment_and_this_one_keeps_its(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    with threads.environment({"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}):
        assert threads.os.environ["OMP_NUM_THREADS"] == "2"
    assert threads.os.environ["OMP_NUM_THREADS"] == "7" and "OMP_WAIT_POLICY" not in threads.os.environ


def test_rows_say_what_threads_gain_and_what_busy_processes_cost():
    rows = threads.rows_of("work", 4, {"1 thread": [2.0], "2 threads": [0.9, 1.0, 1.1]}, {("work", "2 threads"): 0.5})
    assert [dict(row.figures) for row in rows] == [{"speed-up": 1.0}, {"speed-up": 2.0, "slowdown": 2.0}]
    assert (rows[1].rounds, rows[1].seconds) == (3, 1.0)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_benchmark_explains_itself(name, monkeypatch, capsys):
    import importlib

    monkeypatch.setattr("sys.argv", [name, "--help"])
    module = importlib.import_module(f"experiments.benchmarks.{name}")
    with pytest.raises(SystemExit) as exit_:
        module.main()
    assert exit_.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_the_dense_peer_of_the_two_branch_network_computes_the_same(tiny_pair):
    """Its soft map is the softmax of cosines, ours a Gaussian of distances between unit rows."""
    from experiments.benchmarks.two_branch import PlainCosineMap, PlainDenseTwoBranch

    from pullback.solvers.two_branch import TwoBranch

    found = {}
    for name, solver in {
        "dense": PlainDenseTwoBranch(k=20, backend="dense"),
        "ours": TwoBranch(k=20, backend="blocked"),
    }.items():
        features = [
            torch.randn(shape.n, 8, generator=torch.manual_seed(i))
            for i, shape in enumerate((tiny_pair.shape1, tiny_pair.shape2))
        ]
        for feat in features:
            feat.requires_grad_()
        match = solver(*features, tiny_pair.shape1.basis, tiny_pair.shape2.basis)
        ((match.fmap12 - match.fmap12_init) ** 2).sum().backward()
        assert isinstance(match.map21_init, PlainCosineMap) == (name == "dense")
        found[name] = [match.fmap12.detach(), *[feat.grad for feat in features]]
    for dense, ours in zip(found["dense"], found["ours"], strict=True):
        assert torch.allclose(ours, dense, rtol=1e-3, atol=1e-5 * float(dense.abs().max()))


def test_a_step_and_a_pair_are_split_into_parts_that_add_up(tmp_path, capsys):
    output = tmp_path / "parts.json"
    parts.main(["--sizes", "200", "--rounds", "1", "--threads", "1", "--output", str(output)])
    seconds = {}
    for row in json.loads(output.read_text())["rows"]:
        seconds.setdefault(row["work"], {})[row["backend"]] = row["seconds"]
    common = ["all of it", "loading", "features", "soft maps", "refinement"]
    assert list(seconds[parts.STEP]) == [*common, "losses", "backward", "optimiser"]
    assert list(seconds[parts.PAIR]) == [*common, "nearest neighbours"]
    for each in seconds.values():
        whole = each.pop("all of it")
        assert sum(each.values()) == pytest.approx(whole) and all(value > 0 for value in each.values())
