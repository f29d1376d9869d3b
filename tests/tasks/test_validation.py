"""Validated pairs count once, in one order, however many processes had them."""

import pytest

from pullback.tasks import validation
from pullback.tasks.validation import ValidatedPairs

PAIRS = [{"loss": 0.1, "error": 3.0}, {"loss": 0.2}, {"loss": 0.7, "error": 1.0}]


def dealt(pairs, processes):
    """What each of several processes validates: equally many, repeated pairs at the end."""
    rounds = -(-len(pairs) // processes)
    return [
        {place: pairs[place % len(pairs)] for place in range(rank, rounds * processes, processes)}
        for rank in range(processes)
    ]


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_means_do_not_depend_on_the_number_of_processes(processes, monkeypatch):
    monkeypatch.setattr(validation, "_of_all_processes", lambda figures: dealt(PAIRS, processes))
    assert ValidatedPairs().means(3) == {"loss": (0.1 + 0.2 + 0.7) / 3, "error": 2.0}


def test_the_next_validation_begins_without_the_pairs_of_the_last():
    validated = ValidatedPairs()
    validated.add(0, {"loss": 1.0})
    assert validated.means(1) == {"loss": 1.0} and validated.means(1) == {}
