"""Named stages: their order, depth, time and memory; nothing without a listener."""

import time

import numpy as np
import pytest

from pullback.stages import StageClock, beside, listening, stage


def test_stages_are_kept_in_the_order_in_which_they_begin_with_their_depth():
    begun = []
    with listening(StageClock(on_begin=lambda entry: begun.append(entry.name))) as clock:
        with stage("outer"), stage("inner"):
            time.sleep(0.01)
        with stage("next"):
            pass
    assert begun == ["outer", "inner", "next"]
    assert [(entry.name, entry.depth) for entry in clock.stages] == [("outer", 0), ("inner", 1), ("next", 0)]
    assert clock.stages[0].seconds >= clock.stages[1].seconds >= 0.01


def test_the_peak_of_a_stage_is_its_own_and_counts_for_those_around_it():
    with listening(StageClock()) as clock, stage("all"):
        with stage("large"):
            np.ones(2**25).sum()  # 256 MiB
        with stage("small"):
            pass
    peaks = {entry.name: entry.peak_bytes for entry in clock.stages}
    if not peaks["all"]:
        pytest.skip("needs a system that tells the peak of resident memory, such as Linux")
    assert peaks["all"] >= peaks["large"] >= 2**28
    assert clock.peak_bytes == peaks["all"]


def test_a_stage_that_fails_is_closed_and_the_error_goes_on():
    clock = StageClock()
    with listening(clock), pytest.raises(KeyError), stage("first"):
        raise KeyError
    with listening(clock), stage("second"):
        pass
    assert [entry.depth for entry in clock.stages] == [0, 0]


def test_without_a_listener_a_stage_does_nothing():
    clock = StageClock()
    with listening(clock):
        pass
    with stage("unheard"):
        pass
    assert clock.stages == []


def test_stages_of_a_thread_beside_follow_those_of_the_block():
    def task():
        with stage("theirs"), stage("inside theirs"):
            return 7

    with listening(StageClock()) as clock, stage("both"), beside(task) as wait:
        with stage("ours"):
            pass
        assert wait() == 7
    assert [(entry.name, entry.depth) for entry in clock.stages] == [
        ("both", 0),
        ("ours", 1),
        ("theirs", 1),
        ("inside theirs", 2),
    ]


def test_an_error_of_a_thread_beside_is_raised_where_it_is_waited_for():
    with pytest.raises(KeyError), beside({}.popitem) as wait:
        wait()


def test_an_error_of_the_block_waits_for_the_thread_beside():
    done = []
    with pytest.raises(ValueError), beside(lambda: (time.sleep(0.05), done.append(True))):
        raise ValueError
    assert done == [True]
