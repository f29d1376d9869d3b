"""One event file for each run, in which every step stands once."""

import pytest
from tests.later import later

from pullback.errors import UserError

loggers = later("lightning.pytorch.loggers")
events = later("pullback.tasks.training.events")


def logger_of(folder, kind=None):
    return (kind or events.ContinuedTensorBoardLogger)(
        str(folder), name="logs", version="tensorboard", default_hp_metric=False
    )


def log(logger, steps, value=1.0, tag="loss"):
    for step in steps:
        logger.log_metrics({tag: value}, step)
    logger.finalize("success")


def files(folder):
    return sorted((folder / "logs" / "tensorboard").glob("events.out.tfevents.*"))


def logged(folder):
    """``(tag, step, value)`` of every event, in all files."""
    return sorted(
        (value.tag, event.step, value.simple_value)
        for path in files(folder)
        for event in events.events_of(path)
        for value in event.summary.value
    )


def test_a_resumed_run_goes_on_in_one_file_and_does_no_step_twice(tmp_path):
    log(logger_of(tmp_path), range(5))
    log(logger_of(tmp_path), range(3, 6), value=2.0)
    assert len(files(tmp_path)) == 1
    assert logged(tmp_path) == [("loss", step, 1.0 if step < 3 else 2.0) for step in range(6)]


def test_two_files_of_an_earlier_version_become_one(tmp_path):
    log(logger_of(tmp_path, loggers.TensorBoardLogger), range(2))
    log(logger_of(tmp_path, loggers.TensorBoardLogger), range(1, 3))
    log(logger_of(tmp_path), [3])
    assert len(files(tmp_path)) == 1 and {step for _, step, _ in logged(tmp_path)} == {0, 1, 2, 3}


def test_stages_of_a_run_share_the_file(tmp_path):
    logger = logger_of(tmp_path)
    log(logger, [0])
    log(logger, [1])
    assert len(files(tmp_path)) == 1 and len(logged(tmp_path)) == 2


def test_a_run_that_begins_anew_keeps_nothing(tmp_path):
    log(logger_of(tmp_path), range(4))
    log(logger_of(tmp_path), [0], value=7.0)
    assert logged(tmp_path) == [("loss", 0, 7.0)]


def test_results_are_written_anew_and_curves_stay(tmp_path):
    log(logger_of(tmp_path), range(2))
    for value in (0.5, 0.25):
        logger = logger_of(tmp_path)
        logger.continue_from(float("inf"))
        log(logger, [2], value=value, tag="test/faust/error")
    assert logged(tmp_path) == [("loss", 0, 1.0), ("loss", 1, 1.0), ("test/faust/error", 2, 0.25)]


def test_events_keep_their_time(tmp_path):
    def first():
        return next(event.wall_time for event in events.events_of(files(tmp_path)[0]) if event.summary.value)

    log(logger_of(tmp_path), [0])
    before = first()
    log(logger_of(tmp_path), [1])
    assert first() == before


def test_a_folder_that_tensorboard_cannot_name_is_told(tmp_path):
    with pytest.raises(UserError, match="UTF-8; rename the folder"):
        log(logger_of(f"{tmp_path}/caf\udce9"), range(2))


def test_what_a_killed_run_did_not_finish_is_left_out(tmp_path):
    log(logger_of(tmp_path), range(3))
    (path,) = files(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    log(logger_of(tmp_path), [3])
    assert [step for _, step, _ in logged(tmp_path)] == [0, 1, 3]


def test_a_run_killed_while_it_took_over_leaves_no_step_twice(tmp_path, monkeypatch):
    log(logger_of(tmp_path), range(3))
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.unlink", _refuse)
        with pytest.raises(KeyboardInterrupt):
            log(logger_of(tmp_path), [3])
    assert len(files(tmp_path)) == 2
    log(logger_of(tmp_path), [3])
    assert [step for _, step, _ in logged(tmp_path)] == [0, 1, 2, 3]


def _refuse(*arguments, **options):
    raise KeyboardInterrupt
