"""Every tutorial does what it says: its commands run and print what it shows, its Python gives the values beside it."""

from functools import partial
from pathlib import Path

import pytest
from tests.composing import ROOT
from tests.test_entry_points import run
from tests.tutorials import Reader, blocks_of

PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning")]


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """Of all pages: their bodies are prepared once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def at_the_desk(tmp_path, cache, monkeypatch) -> Path:
    """A folder in which the paths of the tutorials lead somewhere."""
    for name in ("data", "docs"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULLBACK_CACHE_DIR", str(cache))
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_does_what_it_says(page, at_the_desk, capsys):
    reader = Reader(partial(run, capsys=capsys))
    reader.follow(page)
    assert len(reader.done) >= sum(1 for _ in blocks_of(page)) - 1
