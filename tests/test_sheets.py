"""Tables for spreadsheets: formulas are shown, numbers stay numbers, and what is missing is empty."""

import csv
import io
import math

import pytest

from pullback.sheets import csv_text, guarded, unguarded


@pytest.mark.parametrize("word", ["=1+1", "+cmd", "-x", "@a", "\ttab", "'=1", "plain", "'quoted'", ""])
def test_a_word_comes_back_and_none_is_computed(word):
    assert unguarded(guarded(word)) == word
    assert not guarded(word).startswith(("=", "+", "-", "@", "\t"))


def test_rows_keep_their_numbers_and_lose_what_is_none():
    text = csv_text([{"a": -1.5, "b": "=2", "c": math.nan}, {"a": 2, "c": None}], ["b", "a", "c"])
    assert list(csv.DictReader(io.StringIO(text))) == [
        {"b": "'=2", "a": "-1.5", "c": ""},
        {"b": "", "a": "2", "c": ""},
    ]
