"""Checkpoints: a whole one is there at every moment, and a damaged one is named and passed over."""

import os
import zipfile

import pytest
import torch
from tests.faults import file_size_limit
from tests.later import later

from pullback.errors import UserError
from pullback.tasks.training.weights import CheckpointError
from pullback.writing import CannotWrite

checkpoint = later("pullback.tasks.training.checkpoint")

STATE = {"config": {"seed": 0}, "loops": {}, "optimizer_states": [], "callbacks": {}}


def content(step: int) -> dict:
    return {"state_dict": {"weight": torch.full((2000,), float(step))}, "global_step": step, **STATE}


@pytest.fixture
def folder(tmp_path):
    """The checkpoints of a training after step 3, whose best one is of step 1."""
    writer = checkpoint.AtomicCheckpointIO()
    for step in (1, 2, 3):
        writer.save_checkpoint(content(step), tmp_path / "last.ckpt")
    writer.save_checkpoint(content(1), str(tmp_path / "best.ckpt"))
    return tmp_path


def empty(path):
    path.write_bytes(b"")


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def cut_in_its_last_bytes(path):
    os.truncate(path, path.stat().st_size - 7)


def changed(path):
    """One byte of the weights: torch itself would not see it."""
    with zipfile.ZipFile(path) as archive:
        entry = max(archive.infolist(), key=lambda entry: entry.file_size)
    data = bytearray(path.read_bytes())
    data[entry.header_offset + 3000] ^= 255
    path.write_bytes(data)


def text(path):
    path.write_text("not a checkpoint\n")


def a_folder(path):
    path.unlink()
    path.mkdir()


def a_dead_link(path):
    path.unlink()
    path.symlink_to(path.with_name("gone"))


def zeros(path):
    path.write_bytes(b"\0" * path.stat().st_size)


def weights_alone(path):
    torch.save({"state_dict": {}, "config": {}}, path)


def a_tensor(path):
    torch.save(torch.zeros(3), path)


DAMAGES = [empty, cut, cut_in_its_last_bytes, changed, text, a_folder, a_dead_link, zeros, weights_alone, a_tensor]


def test_the_last_two_and_the_best_are_kept_and_nothing_else(folder):
    assert {path.name: checkpoint.resumable(path)["global_step"] for path in folder.iterdir()} == {
        "last.ckpt": 3,
        "last-previous.ckpt": 2,
        "best.ckpt": 1,
    }
    assert checkpoint.newest_whole(folder).name == "last.ckpt"


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_last_checkpoint_is_named_and_the_one_before_taken(folder, caplog, damage):
    damage(folder / "last.ckpt")
    assert checkpoint.newest_whole(folder) == folder / "last.ckpt"
    assert {
        path.name: checkpoint.resumable(path)["global_step"]
        for path in folder.iterdir()
        if path.name != "last-damaged.ckpt"
    } == {
        "last.ckpt": 2,
        "last-previous.ckpt": 2,
        "best.ckpt": 1,
    }
    checkpoint.AtomicCheckpointIO().save_checkpoint(content(3), folder / "last.ckpt")
    assert checkpoint.resumable(folder / "last-previous.ckpt")["global_step"] == 2, "and not the damaged one"
    (told,) = (record.getMessage() for record in caplog.records)
    assert told.startswith(f"{folder / 'last.ckpt'} ") and told.endswith(
        "the training goes on from last-previous.ckpt, step 2"
    )
    assert "\n" not in told


def test_the_best_one_is_taken_when_there_is_no_other(folder, caplog):
    cut(folder / "last.ckpt")
    empty(folder / "last-previous.ckpt")
    assert checkpoint.resumable(checkpoint.newest_whole(folder))["global_step"] == 1
    assert (
        caplog.text.count("is no checkpoint of plain tensors, or is damaged") == 2
        and "goes on from best.ckpt, step 1" in caplog.text
    )


def test_a_training_is_not_begun_anew_over_damaged_checkpoints(folder):
    for path in folder.iterdir():
        cut(path)
    with pytest.raises(CheckpointError, match=r"last\.ckpt is no checkpoint.*best\.ckpt.*To begin anew: resume=null"):
        checkpoint.newest_whole(folder)


def test_without_checkpoints_there_is_nothing_to_go_on_from(tmp_path):
    assert checkpoint.newest_whole(tmp_path / "checkpoints") is None


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_file_that_no_training_can_go_on_from_is_a_users_mistake(folder, damage):
    damage(folder / "best.ckpt")
    with pytest.raises(UserError, match=r"best\.ckpt (is|was) "):
        checkpoint.resumable(folder / "best.ckpt")


def test_a_full_disk_leaves_all_checkpoints_as_they_were(folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with (
        file_size_limit(4000),
        pytest.raises(CannotWrite, match=r"last\.ckpt cannot be written: File too large\. Make room there"),
    ):
        checkpoint.AtomicCheckpointIO().save_checkpoint(content(4), folder / "last.ckpt")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_no_checkpoint_goes_by_way_of_the_systems_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    monkeypatch.setattr(
        "tempfile.mkstemp", lambda *arguments, **options: pytest.fail("on another disk that would be a copy")
    )
    checkpoint.AtomicCheckpointIO().save_checkpoint(content(1), tmp_path / "run" / "last.ckpt")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["last.ckpt"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("pytorch-lightning_version", "0.7.0", "not written by a Lightning of this project"),
        ("pytorch-lightning_version", 5, "not written by a Lightning of this project"),
        ("loops", 3, "its loops is of another kind"),
        ("optimizer_states", "x", "its optimizer_states is of another kind"),
        ("optimizer_states", [{"param_groups": [{"lr": "x"}]}], "its lr of an optimiser is of another kind"),
        ("callbacks", 7, "its callbacks is of another kind"),
    ],
)
def test_the_state_of_a_training_that_is_of_another_kind_is_named(tmp_path, key, value, message):
    torch.save({**content(1), key: value}, tmp_path / "x.ckpt")
    with pytest.raises(CheckpointError, match=rf"x\.ckpt .*{message}"):
        checkpoint.resumable(tmp_path / "x.ckpt")


def test_what_a_training_cannot_take_up_is_a_fault_of_the_file_until_it_has_begun(tmp_path):
    resuming, told = (
        checkpoint.Resuming(),
        r"x\.ckpt is damaged, or was edited: .* \(KeyError: 'state'\); begin anew with resume=null",
    )
    with pytest.raises(CheckpointError, match=told), resuming.naming(tmp_path / "x.ckpt"):
        raise KeyError("state")
    resuming.begun = True
    with pytest.raises(KeyError), resuming.naming(tmp_path / "x.ckpt"):
        raise KeyError("state")
