"""Curves of a training: what a kill leaves of them is read, and going on loses none of it."""

import pytest
from tests.later import later

callbacks = later("pullback.tasks.training.callbacks")
curves = later("pullback.tasks.training.curves")


def test_the_line_that_a_killed_run_did_not_finish_is_left_out(tmp_path):
    path = tmp_path / "curve.csv"
    path.write_text("step,pair\n1,a\n2,b\n3")
    assert curves.rows_of(path) == [{"step": "1", "pair": "a"}, {"step": "2", "pair": "b"}]
    for text in ("", "st", "step,pair\n"):
        path.write_text(text)
        assert curves.rows_of(path) == []


def logger_of(folder):
    return curves.ContinuedCSVLogger(str(folder), name="logs", version="csv", flush_logs_every_n_steps=1)


@pytest.fixture
def curve(tmp_path):
    first = logger_of(tmp_path)
    for step in range(4):
        first.log_metrics({"loss": float(step)}, step)
    first.log_metrics({"error": 0.5}, 4)  # another column
    return tmp_path / "logs" / "csv" / "metrics.csv"


def test_a_curve_is_there_until_the_one_that_goes_on_takes_its_place(curve, tmp_path):
    before = curve.read_bytes()
    second = logger_of(tmp_path)
    second.log_hyperparams({"seed": 0})
    assert curve.read_bytes() == before
    second.log_metrics({"loss": 30.0}, 3)
    assert [(row["step"], row["loss"]) for row in curves.rows_of(curve)] == [
        ("0", "0.0"),
        ("1", "1.0"),
        ("2", "2.0"),
        ("3", "30.0"),
    ]


def test_a_new_column_is_written_in_one_step(curve, tmp_path, monkeypatch):
    before, second = curves.rows_of(curve), logger_of(tmp_path)
    second.log_metrics({"loss": 5.0}, 5)

    def refuse(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(KeyboardInterrupt):
        second.log_metrics({"more": 1.0}, 6)
    assert curves.rows_of(curve)[: len(before)] == before and len(curves.rows_of(curve)) == 6


def test_a_training_that_begins_anew_begins_a_new_curve(curve, tmp_path):
    logger_of(tmp_path).log_metrics({"loss": 7.0}, 0)
    assert curves.rows_of(curve) == [{"loss": "7.0", "step": "0"}]


def test_other_columns_are_left_out(tmp_path):
    curves.write_rows(tmp_path / "x.csv", ["step"], [{"step": 1, "old": 2}])
    assert curves.rows_of(tmp_path / "x.csv") == [{"step": "1"}]


class FakeTrainer:
    """What the bar asks: ``ready`` batches of the epoch were begun."""

    max_epochs = -1

    def __init__(self, *, pairs, accumulate, max_steps, global_step, ready=0):
        self.num_training_batches, self.accumulate_grad_batches = pairs, accumulate
        self.max_steps, self.global_step = max_steps, global_step
        self.fit_loop = self.epoch_loop = self.batch_progress = self.current = self
        self.ready = ready


@pytest.mark.parametrize(
    ("asked", "total"),
    [
        ({"pairs": 100, "accumulate": 4, "max_steps": 10, "global_step": 0}, 40),
        ({"pairs": 100, "accumulate": 1, "max_steps": 10, "global_step": 0}, 10),
        ({"pairs": 30, "accumulate": 4, "max_steps": 10, "global_step": 0}, 30),
        # the next epoch: the last one has ended
        ({"pairs": 30, "accumulate": 4, "max_steps": 10, "global_step": 8, "ready": 30}, 8),
        # resumed within an epoch
        ({"pairs": 100, "accumulate": 4, "max_steps": 10, "global_step": 6, "ready": 24}, 40),
        ({"pairs": 100, "accumulate": 4, "max_steps": 10, "global_step": 6, "ready": 27}, 40),  # between two steps
        ({"pairs": 100, "accumulate": 4, "max_steps": -1, "global_step": 0}, 100),
    ],
)
def test_the_progress_bar_counts_pairs_under_accumulation(asked, total):
    bar = callbacks.Progress()
    bar._trainer = FakeTrainer(**asked)
    assert bar.total_train_batches == total


def rows_by(pairs, step):
    return [{"step": step, "stage": "train", "pair": pair} for pair in pairs]


@pytest.fixture
def dealt(tmp_path):
    """What three processes wrote of two steps of two pairs each, with a validation of four pairs before."""
    columns = ["step", "stage", "pair"]
    for rank, name in enumerate(("train_pairs", "train_pairs-process-1", "train_pairs-process-10")):
        validated = [{"step": 0, "stage": "val", "pair": f"v{place}"} for place in range(rank, 4, 3)]
        trained = [row for step in (1, 2) for row in rows_by([f"{step}{turn}{rank}" for turn in "ab"], step)]
        curves.write_rows(tmp_path / f"{name}.csv", columns, [*validated, *trained])
    return tmp_path / "train_pairs.csv"


ALL = ["v0", "v1", "v2", "v3", *(f"{step}{turn}{rank}" for step in (1, 2) for turn in "ab" for rank in (0, 1, 2))]


def names(path):
    return [row["pair"] for row in curves.rows_of(path)]


def test_pairs_of_all_processes_stand_as_if_one_had_taken_them_in_turn(dealt):
    curves.join_parts(dealt)
    assert names(dealt) == ALL and list(dealt.parent.iterdir()) == [dealt]


@pytest.mark.parametrize("refused", ["os.replace", "pathlib.Path.unlink"])
def test_no_pair_is_lost_or_doubled_where_the_joining_was_cut_short(dealt, refused, monkeypatch):
    calls = []

    def cut(*arguments, **options):
        calls.append(arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(refused, cut)
        curves.join_parts(dealt)
    curves.join_parts(dealt)
    assert calls and names(dealt) == ALL and list(dealt.parent.iterdir()) == [dealt]
