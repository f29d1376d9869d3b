"""The command ``pullback``: its first word, and how it speaks of itself."""

import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import pullback
from pullback import places
from pullback.__main__ import COMMANDS, main
from pullback.runtime.doorway import as_called
from pullback.tasks.provenance import command_line


@pytest.fixture
def typed(monkeypatch):
    """Puts words on the command line of ``pullback``; what Lightning reads of it is put back."""
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", sys.modules["__main__"].__spec__)
    return lambda *words: monkeypatch.setattr(sys, "argv", ["/usr/bin/pullback", *words])


@pytest.fixture
def called(monkeypatch):
    """Which entry is called in the place of the true one, with what."""
    calls = []

    def entry(module):
        return lambda: calls.append((module, Path(sys.argv[0]).stem, sys.argv[1:]))

    monkeypatch.setattr("pullback.__main__._entry", entry)
    return calls


@pytest.mark.parametrize(
    ("words", "call"),
    [
        (["compare", "RUN"], ("comparison.compare", "compare", ["RUN"])),
        (["match", "a.off", "b.off"], ("runtime.programs.match", "match", ["a.off", "b.off"])),
        (["prepare", "dataset=faust"], ("runtime.programs.eval", "eval", ["run=[prepare]", "dataset=faust"])),
    ],
)
def test_the_first_word_chooses_what_is_done_with_the_rest(words, call, typed, called):
    typed(*words)
    assert main() == 0
    assert called == [call]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_entry(name):
    from pullback.__main__ import _entry

    assert callable(_entry(COMMANDS[name][1]))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mtch", "a.off"], "did you mean pullback match?"),
        (["check_data"], "did you mean pullback check-data?"),
        (["dataset=faust"], "there are match, train"),
        ([__file__, "b.off"], f"pullback match {__file__} b.off"),
    ],
)
def test_a_wrong_first_word_is_answered_with_the_right_one(words, said, typed, capsys):
    typed(*words)
    assert main() == 2
    assert said in capsys.readouterr().err


def test_help_and_version_are_printed(typed, capsys):
    typed("--help")
    assert main() == 0
    typed("--version")
    assert main() == 0
    printed = capsys.readouterr().out
    assert all(f"pullback {name} " in printed for name in COMMANDS)
    assert f"\npullback {pullback.__version__}\nPyTorch {version('torch')}, Python 3." in printed


def test_messages_name_commands_as_they_were_called(typed, called):
    message = "use python eval.py dataset=tss, see match.py --help or python -m pullback.data.check"
    typed("match", "a.off")
    main()
    assert as_called(message) == "use pullback eval dataset=tss, see pullback match --help or pullback check-data"
    sys.argv[0] = "match.py"
    assert as_called(message) == message


def test_results_name_the_command_as_it_was_called(typed, called):
    typed("match", "a b.off")
    main()
    assert command_line() == "pullback match 'a b.off'"


def test_a_checkout_keeps_everything_in_the_repository(monkeypatch):
    top = places.checkout()
    monkeypatch.chdir(top)
    assert places.configs() == top / "configs"
    assert places.cache() == top / "data" / "cache"
    assert places.results("runs") == Path("experiments/runs")


def test_elsewhere_runs_go_to_the_folder_where_the_command_is_typed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert places.results("sweeps") == Path("sweeps")


def test_an_installed_package_writes_nothing_beside_itself(monkeypatch, tmp_path):
    package = tmp_path / "site-packages" / "pullback"
    monkeypatch.setattr(places, "_PACKAGE", package)
    monkeypatch.chdir(tmp_path)
    assert places.checkout() is None
    assert (places.configs(), places.embedded()) == (package / "configs", package / "embedded")
    assert places.root() == tmp_path
    assert not any(path.is_relative_to(package) for path in (places.root(), places.cache(), places.results("runs")))
