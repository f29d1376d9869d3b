"""A mistake on the command line is told in one paragraph that says what to do, before anything slow is imported."""

import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from experiments.probes.broken_commands import CASES, PROGRAMS, Case, verdict, write_files
from hydra._internal.hydra import Hydra
from tests.composing import ROOT

from pullback.errors import UsageError, UserError
from pullback.runtime.doorway import tell, telling

SLOW = (
    *(
        "pullback.runtime.build",
        "pullback.runtime.origin",
        "pullback.runtime.match_meshes",
        "pullback.runtime.match_images",
    ),
    "experiments.smoothness.energies",
)


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    write_files(folder)
    return folder


def ended(case: Case, folder: Path, monkeypatch, capsys) -> tuple[str, int | str | None]:
    """What a command writes to stderr, and its exit code."""
    monkeypatch.chdir(folder)
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    if "-m" not in case.arguments:
        # one run; it composes the configuration only to know that
        monkeypatch.setattr(Hydra, "get_mode", lambda *_, **__: None)
    monkeypatch.setattr(sys, "argv", [f"{case.command}.py", *case.arguments])
    with pytest.raises(SystemExit) as end:
        if case.command in PROGRAMS:
            runpy.run_path(str(ROOT / f"{case.command}.py"), run_name="__main__")
        else:
            runpy.run_module(f"experiments.{case.command}", run_name="__main__")
    return capsys.readouterr().err, end.value.code


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.command} {' '.join(case.arguments)}")
def test_a_mistake_is_one_paragraph_before_the_slow_imports(case, files, monkeypatch, capsys):
    for module in SLOW:
        monkeypatch.setitem(sys.modules, module, None)  # importing it would fail, in other words
    assert verdict(case, *ended(case, files, monkeypatch, capsys)) == "one paragraph"


def test_neither_torch_nor_lightning_is_imported_for_a_mistake(files):
    commands = [["match", "body.off", "bodi.off"], ["eval", "dataset=spair71k"], ["train", "data.k=abc"]]
    script = (
        "import runpy, sys\n"
        f"for program, *arguments in {commands}:\n"
        "    sys.argv = [f'{program}.py', *arguments]\n"
        "    try:\n"
        f"        runpy.run_path(f'{ROOT}/{{program}}.py', run_name='__main__')\n"
        "    except SystemExit as end:\n"
        "        print(program, end.code, sorted({'torch', 'lightning', 'scipy'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", script], cwd=files, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == ["match 1 []", "eval 1 []", "train 1 []"]
    assert sum(line.startswith("error: ") for line in done.stderr.splitlines()) == 3


@pytest.mark.parametrize("how", ["--debug", "PULLBACK_DEBUG", "HYDRA_FULL_ERROR"])
def test_the_traceback_is_shown_on_request(how, files, monkeypatch, capsys):
    monkeypatch.chdir(files)
    monkeypatch.setattr(sys, "argv", ["match.py", "bodi.off", "body.off", *([how] if how.startswith("-") else [])])
    if not how.startswith("-"):
        monkeypatch.setenv(how, "1")
    with pytest.raises(UserError, match=r"bodi\.off does not exist"):
        runpy.run_path(str(ROOT / "match.py"), run_name="__main__")


def test_a_mistake_in_a_sweep_is_told_with_its_job_and_the_others_go_on(monkeypatch, capsys, tmp_path):
    message, code = ended(Case("train", ("-m", "data.k=-1,-2"), ""), tmp_path, monkeypatch, capsys)
    (sweep,) = (tmp_path / "sweeps" / "train").iterdir()  # its folder needs no name
    assert sorted(path.name for path in sweep.iterdir()) == ["0", "1", "multirun.yaml"]
    assert code == 1 and "Traceback" not in message
    assert (
        "error: job 0 (data.k=-1): data.k=-1 is too small" in message
        and "error: job 1 (data.k=-2): data.k=-2 is too small" in message
    )
    assert (sweep / "1" / "error.txt").read_text().startswith("data.k=-2 is too small"), "its folder tells it later"


def test_a_fault_of_the_program_shows_where_it_happened_and_asks_for_a_report(capsys):
    with pytest.raises(SystemExit) as end, telling():
        raise KeyError("verts")
    message = capsys.readouterr().err
    assert end.value.code == 1 and "Traceback" in message and "KeyError: 'verts'" in message
    assert message.splitlines()[-1].startswith("This is a fault of the program")


def test_a_reader_that_goes_away_ends_the_command_in_silence(capfd, monkeypatch):
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # put back at the end
    with pytest.raises(SystemExit) as end, telling():
        raise BrokenPipeError(32, "Broken pipe")
    assert end.value.code == 141 and capfd.readouterr().err == ""


def test_closed_streams_change_no_exit_code():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("stdin", "stdout", "stderr"):
            patch.setattr(sys, name, None)  # as after <&- >&- 2>&-
        with telling():
            print("a result")
        with pytest.raises(SystemExit) as end, telling():
            raise UsageError("a mistake")
    assert end.value.code == 2


def test_an_interrupt_outside_of_the_work_is_one_sentence(capsys):
    with pytest.raises(SystemExit) as end, telling():
        raise KeyboardInterrupt
    assert (
        end.value.code == 130
        and capsys.readouterr().err == "\nstopped by Ctrl-C; give the same command to begin again\n"
    )


def test_a_full_disk_is_told_with_the_file(capsys):
    assert tell(OSError(28, "No space left on device", "run/best.ckpt")) == 1
    assert capsys.readouterr().err == "error: run/best.ckpt: No space left on device\n"
