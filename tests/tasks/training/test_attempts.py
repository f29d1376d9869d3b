"""A run folder tells how often its training was begun, and where."""

from tests.later import later

attempts = later("pullback.tasks.training.attempts")
curves = later("pullback.tasks.training.curves")


def test_every_resumption_is_counted_and_written_down(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")
    assert [attempts.note_attempt(tmp_path, step) for step in (None, 4, 9)] == [0, 1, 2]
    assert [(row["from_step"], row["job"]) for row in curves.rows_of(tmp_path / attempts.ATTEMPTS)] == [
        ("0", "7_3"),
        ("4", "7_3"),
        ("9", "7_3"),
    ]


def test_a_training_that_begins_anew_counts_from_zero(tmp_path):
    attempts.note_attempt(tmp_path, None)
    attempts.note_attempt(tmp_path, 5)
    assert attempts.note_attempt(tmp_path, None) == 0 and len(curves.rows_of(tmp_path / attempts.ATTEMPTS)) == 1


def test_a_folder_of_an_older_version_was_resumed_at_least_once(tmp_path):
    assert attempts.note_attempt(tmp_path, 5) == 1


def test_jobs_have_the_names_that_slurm_prints():
    assert attempts.slurm_job({"SLURM_JOB_ID": "12"}) == "12" and attempts.slurm_job({}) == ""
