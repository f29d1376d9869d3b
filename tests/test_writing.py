"""Files that are whole or absent: killed writers, disks that refuse, and what is swept up afterwards."""

import errno
import multiprocessing
import os
import pickle
import time

import pytest
from tests.faults import file_size_limit

from pullback.errors import UserError
from pullback.writing import CannotWrite, FolderGone, sweep, telling_full_disks, write_atomically, write_text_atomically

OLD, NEW = b"old " * 1000, b"new " * 2000


def killed_at(stage, path, previous):
    """A writer whose process ends without a word: while it writes, before its bytes are on the disk,
    before and after the exchange.
    """
    replace = os.replace

    def write(file):
        file.write(NEW[:3000])
        if stage == "writing":
            file.flush()
            os._exit(9)
        file.write(NEW[3000:])

    def end(*arguments):
        os._exit(9)

    if stage == "flushing":
        os.fsync = end
    elif stage == "linking":
        os.link = end
    elif stage == "exchanging":
        os.replace = end
    elif stage == "exchanged":
        os.replace = lambda *arguments: (
            (replace(*arguments), os._exit(9)) if arguments[1] == path else replace(*arguments)
        )
    write_atomically(path, write, previous=previous)


@pytest.mark.parametrize("keeps", [False, True], ids=["alone", "with the previous one"])
@pytest.mark.parametrize("stage", ["writing", "flushing", "linking", "exchanging", "exchanged"])
def test_a_writer_killed_at_any_stage_leaves_the_old_or_the_new_file_whole(tmp_path, stage, keeps):
    path, previous = tmp_path / "last.ckpt", tmp_path / "last-previous.ckpt" if keeps else None
    path.write_bytes(OLD)
    process = multiprocessing.get_context("fork").Process(target=killed_at, args=(stage, path, previous))
    process.start()
    process.join()
    assert path.read_bytes() == (NEW if stage == "exchanged" or (stage == "linking" and not keeps) else OLD)
    if previous is not None and previous.exists():
        assert previous.read_bytes() == OLD
    sweep(tmp_path, older_than=-1.0)
    assert {file.name for file in tmp_path.iterdir()} <= {"last.ckpt", "last-previous.ckpt"}


def test_the_file_before_is_kept_also_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.EOPNOTSUPP, "no links here")

    for links in (True, False):
        path, previous = tmp_path / str(links) / "x", tmp_path / str(links) / "y"
        if not links:
            monkeypatch.setattr(os, "link", refuse)
        for text in ("1", "2", "3"):
            write_atomically(path, lambda file, text=text: file.write(text.encode()), previous=previous)
        assert (path.read_text(), previous.read_text()) == ("3", "2")


def test_a_full_disk_costs_no_file_and_is_told_in_a_sentence(tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(OLD)
    with (
        file_size_limit(6000),
        pytest.raises(CannotWrite, match=r"x\.bin cannot be written: File too large\. Make room.*hydra\.run\.dir"),
    ):
        write_atomically(path, lambda file: file.write(NEW))
    assert path.read_bytes() == OLD
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("file/x.txt", "Remove what stands where a folder belongs"),
        ("folder", "Remove the folder"),
        ("loop/x.txt", "Remove what stands where a folder belongs"),
        ("loop/sub/x.txt", "Remove the link that leads in a circle"),
    ],
)
def test_what_is_in_the_way_is_named(tmp_path, place, words):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UserError, match=words) as caught:
        write_text_atomically(tmp_path / place, "text")
    assert caught.value.errno is not None
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # it may come out of another process
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "loop"]


def test_a_file_that_is_being_written_is_not_swept_up(tmp_path):
    def write(file):
        file.write(b"half")
        os.utime(file.name, (1, 1))  # long ago
        sweep(tmp_path.parent)
        file.write(b" whole")

    write_atomically(tmp_path / "sub" / "x.txt", write)
    assert (tmp_path / "sub" / "x.txt").read_text() == "half whole"


def test_only_temporary_files_of_the_dead_are_swept_up(tmp_path):
    for folder in ("", "a", "a/b"):
        (tmp_path / folder).mkdir(exist_ok=True)
        for name in (".0123.partial", "x.partial", ".hidden"):
            path = tmp_path / folder / name
            path.write_text("")
            os.utime(path, (time.time() - 60,) * 2)
    sweep(tmp_path)
    assert not list(tmp_path.rglob(".*.partial"))
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 6
    sweep(tmp_path / "nowhere")


def test_a_full_disk_under_another_librarys_pen_is_told_too(tmp_path):
    with (
        pytest.raises(CannotWrite, match=r"metrics\.csv cannot be written: No space.*Make room"),
        telling_full_disks(tmp_path),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "metrics.csv"))
    with pytest.raises(FileNotFoundError), telling_full_disks(tmp_path):
        (tmp_path / "nothing").read_text()


def test_a_folder_that_was_removed_meanwhile_is_told_and_a_missing_file_in_it_stays_a_fault(tmp_path):
    (tmp_path / "logs").mkdir()
    with pytest.raises(FolderGone, match="was removed"), telling_full_disks(tmp_path):
        (tmp_path / "logs").rmdir()
        open(tmp_path / "logs" / "metrics.csv", "a").close()
    with pytest.raises(FileNotFoundError) as caught, telling_full_disks(tmp_path):
        open(tmp_path / "not there").close()
    assert not isinstance(caught.value, UserError)
