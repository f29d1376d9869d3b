"""Lists of pairs: their forms, their names, and what is wrong with them."""

import pytest
from tests.composing import CONFIGS

from pullback.files import MissingFileError
from pullback.runtime.command_line import overrides
from pullback.runtime.pair_lists import PairListError, read_pairs


@pytest.fixture
def folder(tmp_path):
    for name in ("a.off", "b.off", "my c.off", "lm.txt"):
        (tmp_path / name).write_text("OFF\n")
    (tmp_path / "p.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return tmp_path


def write(folder, text, name="list.csv"):
    (folder / name).write_text(text)
    return folder / name


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", "source,target,name\na.off,b.off,one\na.off,my c.off,\n"),
        ("list.csv", "target;source;name\nb.off;a.off;one\nmy c.off;a.off\n"),
        ("list.csv", "a.off,b.off,,one\n# a remark\n\na.off,my c.off\n"),
        ("list.txt", "source target name\na.off b.off one\na.off 'my c.off'\n"),
    ],
)
def test_lists_of_several_forms_are_read_alike(folder, name, text):
    first, second = read_pairs(write(folder, text, name))
    assert (first.name, second.name) == ("one", "a-my_c")
    assert first.source == str(folder / "a.off") and second.target == str(folder / "my c.off")


def test_names_of_folders_occur_once_and_lead_nowhere(folder):
    rows = read_pairs(write(folder, "source,target,name\n" + "a.off,b.off\n" * 2 + "a.off,b.off,../x\n"))
    assert [row.name for row in rows] == ["a-b", "a-b-2", "x"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("source,target\na.off,nosuch.off\n", r"list\.csv, line 2: the target 'nosuch\.off' is neither in"),
        ("source,target\na.off\n", r"line 2: 1 entries"),
        ("source,target\n", r"there are no pairs in it"),
        (
            "source,target,colour\na.off,b.off,red\n",
            r"line 1: the columns are source, target, landmarks, name, and .*colour",
        ),
        (
            "a.off,b.off\na.off,p.png\n",
            r"line 2: .*p\.png is a photograph, and line 1 names meshes; write a list for each",
        ),
        ("p.png,p.png,lm.txt\n", r"line 1: landmarks are vertices of meshes"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(folder, text, told):
    with pytest.raises(PairListError, match=told):
        read_pairs(write(folder, text))


def test_a_list_that_is_not_there_is_told(tmp_path):
    with pytest.raises(MissingFileError, match="there is no list of pairs"):
        read_pairs(tmp_path / "list.csv")


def test_a_list_chooses_weights_and_a_folder_that_is_the_same_each_time(folder):
    path = write(folder, "a.off,b.off\n")
    first, again = (overrides([f"pairs={path}"], "match", CONFIGS) for _ in range(2))
    assert first == again and "ckpt='humans'" in first
    assert any(word.startswith("hydra.run.dir=") and "match/list-" in word for word in first)
    photographs = overrides([f"pairs={write(folder, 'p.png,p.png')}", "hydra.run.dir=x"], "match", CONFIGS)
    assert "files=image" in photographs and sum(word.startswith("hydra.run.dir=") for word in photographs) == 1
