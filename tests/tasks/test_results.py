"""metrics.json, pairs.csv and the table: every number with its protocol, every failure on paper."""

import io
import json
import math
import time

import pytest
import torch
from rich.console import Console

from pullback.metrics.geodesic import PairScore
from pullback.tasks.mesh.results import DatasetResult, EvalProtocol, PairResult
from pullback.tasks.results import FailedPairs, check_complete, load_results, write_results
from pullback.tasks.tables import print_table

PROTOCOL = EvalProtocol(
    pairs="unordered",
    geodesics="dijkstra",
    refinement="DiffZoomOut 30 → 130 by 10",
    checkpoint="best on held-out training shapes",
)


def scored(name: str, *errors: float, flips: float | None = None) -> PairResult:
    return PairResult("x", name, PairScore(torch.tensor(errors), 0.5, flips), seconds=0.25)


@pytest.fixture
def results() -> list[DatasetResult]:
    humans = [
        scored("a", 0.0, 0.2, flips=0.5),
        scored("b", 0.06),
        PairResult("x", "c, d", None, message='the loss of "c"\nis not finite'),
    ]
    blind = PairResult("p", "q", PairScore(None, 0.75, None))
    return [
        DatasetResult("humans", "test", PROTOCOL, humans),
        DatasetResult("folder", "all", EvalProtocol("ordered", "none", "none", "last"), [blind]),
    ]


def test_metrics_json_holds_what_a_program_looks_for(results, tmp_path):
    started = time.time() - 5
    path = write_results(
        tmp_path / "run", results, started=started, config_fingerprint="abc", facts={"training": {"steps": 7}}
    )
    assert path == tmp_path / "run" / "metrics.json"
    content = json.loads(path.read_text())
    assert {
        "command",
        "commit",
        "dirty",
        "versions",
        "hardware",
        "started",
        "seconds",
        "config_fingerprint",
        "results",
    } <= set(content)
    assert content["config_fingerprint"] == "abc"
    assert content["training"] == {"steps": 7}
    assert 5 <= content["seconds"] < 65
    humans = content["results"][0]
    assert (humans["dataset"], humans["split"], humans["pairs"], humans["failed"]) == ("humans", "test", 2, 1)
    assert humans["metrics"]["geodesic_error_x100"] == pytest.approx(8.0)
    assert humans["metrics"]["geodesic_error_micro_x100"] == pytest.approx(26 / 3)


def test_no_figure_is_written_without_its_protocol(results, tmp_path):
    content = json.loads(write_results(tmp_path, results, started=time.time()).read_text())
    for result in content["results"]:
        assert {"pairs", "geodesics", "averaging", "refinement", "checkpoint"} <= set(result["protocol"])
        assert all(result["protocol"][key] for key in ("pairs", "geodesics", "averaging", "refinement", "checkpoint"))


def test_what_cannot_be_known_is_null_and_the_file_is_strict_json(results, tmp_path):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    path = write_results(
        tmp_path, results, started=time.time(), facts={"last_loss": math.nan, "all": [math.inf, 1.0], "ckpt": tmp_path}
    )
    content = json.loads(path.read_text(), parse_constant=refuse)
    assert content["results"][1]["metrics"]["geodesic_error_x100"] is None
    assert content["results"][1]["metrics"]["coverage"] == 0.75
    assert content["results"][1]["pck_curve"] is None
    assert (content["last_loss"], content["all"], content["ckpt"]) == (None, [None, 1.0], str(tmp_path))


def test_the_pck_curve_is_there_for_plots(results, tmp_path):
    write_results(tmp_path, results, started=time.time())
    curve = load_results(tmp_path)["results"][0]["pck_curve"]
    share = dict(zip((round(t, 4) for t in curve["thresholds"]), curve["pck"], strict=True))
    assert share[0.0] == pytest.approx(1 / 3)
    assert share[0.1] == pytest.approx(2 / 3)


def test_pairs_csv_has_a_row_for_each_pair_the_failed_ones_too(results, tmp_path):
    write_results(tmp_path, results, started=time.time())
    rows = load_results(tmp_path)["pair_rows"]
    assert [(row["dataset"], row["shape2"], row["status"]) for row in rows] == [
        ("humans", "a", "ok"),
        ("humans", "b", "ok"),
        ("humans", "c, d", "failed"),
        ("folder", "q", "ok"),
    ]
    assert rows[0]["geodesic_error_x100"] == pytest.approx(10.0)
    assert (rows[0]["coverage"], rows[0]["flip_rate"], rows[0]["seconds"]) == (0.5, 0.5, 0.25)
    assert rows[1]["flip_rate"] is None
    assert rows[2]["geodesic_error_x100"] is None
    assert rows[2]["message"] == 'the loss of "c"\nis not finite'
    assert rows[3]["geodesic_error_x100"] is None


def test_a_failed_pair_fails_the_run_at_its_end_and_is_named(results):
    with pytest.raises(FailedPairs, match=r"1 of 4 pairs failed[\s\S]*humans: x – c, d: the loss"):
        check_complete(results)
    check_complete(results[1:])


def test_a_run_in_which_every_pair_failed_still_leaves_its_files(tmp_path):
    lost = DatasetResult("humans", "test", PROTOCOL, [PairResult("x", "y", None, message="no")])
    content = json.loads(write_results(tmp_path, [lost], started=time.time()).read_text())
    assert set(content["results"][0]["metrics"].values()) == {None}
    assert content["failed_pairs"] == [{"dataset": "humans", "shape1": "x", "shape2": "y", "message": "no"}]


def test_results_that_are_not_there_say_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"metrics\.json does not exist: the run there did not finish"):
        load_results(tmp_path)


def test_the_table_shows_figures_protocol_and_failures(results):
    console = Console(file=io.StringIO(), width=240)
    print_table(results, console=console)
    text = console.file.getvalue()
    assert "8.00" in text and "8.67" in text and "(+1 failed)" in text
    assert (
        "pairs unordered | geodesics dijkstra | averaging macro | refinement DiffZoomOut 30 → 130 by 10 | "
        "fine-tuning off" in text
    )
    assert "folder: pairs ordered | geodesics none" in text
    assert 'failed: humans x – c, d: the loss of "c"' in text
    assert "–" in text.split("folder (all)")[1].splitlines()[0]


def test_data_sets_with_one_protocol_share_its_line(results):
    console = Console(file=io.StringIO(), width=240)
    print_table([results[0], DatasetResult("faust", "test", PROTOCOL, [scored("b", 0.06)])], console=console)
    assert console.file.getvalue().count("protocol of") == 1
    assert "protocol of humans, faust:" in console.file.getvalue()


def test_names_with_brackets_are_printed_as_they_are():
    console = Console(file=io.StringIO(), width=240)
    print_table(
        [DatasetResult("my[red]set", "test", PROTOCOL, [PairResult("[a]", "[b]", None, message="[c]")])],
        console=console,
    )
    text = console.file.getvalue()
    assert "my[red]set (test)" in text and "[a] – [b]: [c]" in text


@pytest.mark.parametrize("name", ["=1+1", "@SUM(A1)", "-1", "+x", "'=x", "''=x", "'x", "x=1"])
def test_names_that_a_spreadsheet_would_compute_are_shown_and_read_as_they_are(tmp_path, name):
    result = DatasetResult("humans", "test", PROTOCOL, [PairResult(name, "b", None, message=name)])
    write_results(tmp_path, [result], started=time.time())
    cells = (tmp_path / "pairs.csv").read_text().splitlines()[1].split(",")
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)
    (row,) = load_results(tmp_path)["pair_rows"]
    assert (row["shape1"], row["message"]) == (name, name)


@pytest.mark.parametrize(("width", "encoding"), [(5, "utf-8"), (80, "ascii")])
def test_the_table_is_printed_on_a_narrow_terminal_and_on_one_without_signs(results, width, encoding):
    with io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="backslashreplace") as file:  # as `telling` sets it
        print_table(results, console=Console(file=file, width=width, force_terminal=True))
        file.flush()
        assert len(file.buffer.getvalue()) > 500
