"""JSON files of others, read within bounds: what is refused names the file."""

import json

import pytest

from pullback.errors import UserError
from pullback.files import JsonError, read_json


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_is_read_in_every_encoding_of_unicode(tmp_path, encoding):
    (tmp_path / "a.json").write_bytes('{"name": "Körper", "values": [1, 2.5, null]}'.encode(encoding))
    assert read_json(tmp_path / "a.json") == {"name": "Körper", "values": [1, 2.5, None]}


def test_json_may_be_a_number_and_as_deep_as_anybody_means(tmp_path):
    deep = json.loads("[" * 50 + "]" * 50)
    for content in (3, "a", [], {}, deep):
        (tmp_path / "a.json").write_text(json.dumps(content))
        assert read_json(tmp_path / "a.json") == content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested more than 50 levels deep"),
        ('{"a":' * 51 + "1" + "}" * 51, "nested more than 50 levels deep"),
        ("[" * 100_000, "not a JSON file|nested"),
        ('{"a": NaN}', "NaN is no number"),
        ("[-Infinity]", "Infinity is no number"),
        ("[1" + "0" * 5000 + "]", "not a JSON file"),
        ("", "not a JSON file"),
        ("{'a': 1}", "not a JSON file"),
        ('{"a": 1', "not a JSON file"),
        ("<html>", "not a JSON file"),
        ("\x00\x01", "not a JSON file"),
    ],
)
def test_what_is_no_json_is_refused_by_name(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(JsonError, match=rf"(?s)a\.json: .*({message})") as raised:
        read_json(tmp_path / "a.json")
    assert isinstance(raised.value, UserError)


def test_bytes_of_no_encoding_a_folder_and_a_huge_file_are_refused_by_name(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"a": "\xff\xfe\x80"}')
    (tmp_path / "folder.json").mkdir()
    with open(tmp_path / "huge.json", "wb") as file:
        file.truncate(65 * 2**20)
    for name, message in (
        ("a", "not a JSON file"),
        ("folder", ".*cannot be read"),
        ("huge", "65 MiB are more than"),
        ("none", ""),
    ):
        with pytest.raises(UserError, match=rf"{name}\.json:? ?{message}"):
            read_json(tmp_path / f"{name}.json")
