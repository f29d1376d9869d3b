"""The benchmark for fifteen minutes of a GPU, rehearsed on a CPU: every part, and what happens when one fails."""

import json
import subprocess
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from experiments.benchmarks import gpu, gpu_maps, training_pair, training_step
from experiments.benchmarks.harness import Report
from tests.composing import composed


class HereAndNow:
    """A step in this process, in place of one of its own."""

    def __init__(self, task):
        self._step, self._pair = training_pair.training_step(task), training_pair.bodies(task.n, task.folder, k=task.k)

    def wait(self):
        return ""

    def step(self):
        return training_pair._measured(self._step, self._pair, "cpu")

    def close(self):
        pass


@pytest.fixture
def options(tmp_path, monkeypatch):
    monkeypatch.setattr(training_step, "StepProcess", HereAndNow)
    monkeypatch.setattr(gpu, "TINY_BODY", 200)
    facts = {"threads": 1, "rounds": 1, "full": False, "device": "cpu", "tiny": True, "minutes": 1.0, "part": None}
    return Namespace(**facts, output=tmp_path / "gpu.json", parts=list(gpu.PARTS))


def rows_of(options):
    return json.loads(options.output.read_text())["rows"]


@pytest.mark.parametrize("part", ["check", "step", "zoomout"])
def test_a_part_runs_on_a_cpu_and_its_contenders_agree(part, options, capsys):
    gpu.PARTS[part].run(Report("gpu.py", options), options)
    rows = rows_of(options)
    expected = {
        "check": {"matrix product", "soft map, forward + backward", "nearest", "largest distance"},
        "step": {"pair, 1 + 10 maps"},
        "zoomout": {"ZoomOut 30 → 130"},
    }
    assert {row["work"] for row in rows} == expected[part]
    assert all(row["seconds"] is not None for row in rows), [row["note"] for row in rows]


def test_a_wrong_gradient_ends_a_part_before_anything_is_timed(options, monkeypatch):
    pulled_back = gpu_maps.pulled_back

    def wrong(kind, problem):
        found = pulled_back(kind, problem)
        return [*found[:3], 1.1 * found[3]] if kind is gpu_maps.BlockedSoftMap else found

    monkeypatch.setattr(gpu_maps, "pulled_back", wrong)
    with pytest.raises(AssertionError, match=r"blocked does not agree with dense.*grad values differ by 1\.0e-01"):
        gpu.check(Report("gpu.py", options), options)
    assert {row["work"] for row in rows_of(options)} == {"matrix product"}


def test_a_contender_that_is_wrong_or_fails_costs_the_others_nothing(options, monkeypatch):
    pulled_back = gpu_maps.pulled_back

    def wrong(kind, problem):
        found = pulled_back(kind, problem)
        return [2 * values for values in found] if kind is gpu_maps.BlockedSoftMap else found

    def broken(*arguments):
        raise RuntimeError("no kernel for this device")

    monkeypatch.setattr(gpu_maps, "pulled_back", wrong)
    monkeypatch.setattr(gpu_maps, "nearest", broken)
    options.part, options.parts = ["0", "python"], ["maps"]
    monkeypatch.setattr(gpu, "start", lambda *_: options)
    with pytest.raises(SystemExit) as ended:
        gpu.main([])
    rows = rows_of(options)
    notes = {(row["work"], row["backend"]): row["note"] for row in rows if row["seconds"] is None}
    assert ended.value.code == 1 and {row["work"] for row in rows if row["seconds"]} > {"largest distance"}
    assert notes["soft map, forward + backward", "blocked"].startswith("does not agree with dense: values differ")
    assert notes["nearest", "blocked"] == "failed with RuntimeError: no kernel for this device"


def test_rows_of_an_earlier_run_are_not_mixed_with_those_of_this_one(options, monkeypatch, capsys):
    options.output.write_text('{"rows": [{"work": "old", "sizes": {}, "backend": "", "device": "", "seconds": 1}]}')
    monkeypatch.setattr(gpu, "outcome", lambda *_: "failed")
    gpu.run_parts(options, [])
    assert [row["work"] for row in rows_of(options)] == [f"part {name}" for name in options.parts]


def test_a_part_that_fails_or_hangs_leaves_a_row_and_the_others_run(options, monkeypatch, capsys):
    said = {"maps": "failed with exit code 1; its rows stand", "keops": "stopped after 150 s"}
    asked = []

    def outcome(command, seconds):
        part = command[command.index("--parts") + 1]
        asked.append((part, seconds))
        return said.get(part, "")

    monkeypatch.setattr(gpu, "outcome", outcome)
    options.minutes = 14.0
    assert gpu.run_parts(options, []) == 1
    assert [part for part, _ in asked] == list(gpu.PARTS)
    assert asked[0][1] == gpu.PARTS["check"].seconds and 600 < asked[-1][1] <= 840  # the training gets what is left
    assert {row["work"]: row["note"] for row in rows_of(options)} == {f"part {part}": said[part] for part in said}


def test_no_part_begins_when_the_minutes_are_over(options, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "outcome", lambda *_: pytest.fail("a part began"))
    options.minutes = 0.0
    assert gpu.run_parts(options, []) == 1
    assert [row["note"] for row in rows_of(options)] == ["no time was left"] * len(gpu.PARTS)


@pytest.mark.parametrize(("script", "said"), [("sleep 60", "stopped after 0 s"), ("exit 3", "exit code 3"), ("", "")])
def test_a_part_is_stopped_when_its_time_is_over(script, said, tmp_path, monkeypatch):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(gpu.sys, "executable", str(program))
    assert said in gpu.outcome([], 0.2 if "sleep" in script else 30) and (said or not gpu.outcome([], 30))


@pytest.mark.parametrize("experiment", ["faust", "quickstart"])
@pytest.mark.parametrize(("device", "tiny"), [("cuda", False), ("cpu", True)])
def test_the_training_is_a_command_that_composes(experiment, device, tiny):
    options = Namespace(device=device, tiny=tiny, minutes=9.5)
    *overrides, output = gpu.training_command(experiment, options, Path("somewhere"))[:7]
    overrides = [each for each in (*overrides, output) if not each.startswith("hydra")]
    cfg = composed("train", *overrides)
    assert cfg.trainer.max_time == "00:00:06:30" and cfg.trainer.accelerator == ("cpu" if tiny else "gpu")
    assert list(cfg.test) == ["faust" if experiment == "faust" else "humans"]


def test_a_training_leaves_its_errors(options, monkeypatch, tmp_path):
    def run(command, cwd, check):
        folder = Path(next(each for each in command if each.startswith("hydra.run.dir=")).split("=", 1)[1])
        folder.mkdir()
        entry = {"dataset": "humans", "metrics": {"geodesic_error_x100": 2.5}}
        (folder / "metrics.json").write_text(json.dumps({"results": [entry]}))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(gpu, "subprocess", Namespace(run=run))
    gpu.train(Report("gpu.py", options), options)
    assert rows_of(options)[0]["figures"] == {"error on humans": 2.5}


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a CUDA device")
def test_without_a_gpu_the_script_says_how_to_rehearse(capsys):
    with pytest.raises(SystemExit) as ended:
        gpu.main([])
    assert ended.value.code == 2 and "--device cpu --tiny" in capsys.readouterr().err
