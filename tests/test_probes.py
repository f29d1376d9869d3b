"""The probes whose tables stand in the ledger do what they say."""

import sys

from experiments.probes import cache_writers


def test_processes_that_want_the_same_shape_prepare_it_once(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cache_writers.py", "--processes", "2", "--shapes", "1", "--k", "10"])
    cache_writers.main()
    told = capsys.readouterr().out
    assert "2 processes that each wanted 1 shapes prepared 1 in" in told
    assert "0 processes failed, 0 files besides the entries were left" in told
