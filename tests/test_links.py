"""Links of the front pages lead to files that exist, and to headings in them. (Those of docs/: ``make docs``.)"""

import re

import pytest
from tests.composing import ROOT

PAGES = ("README.md", "CONTRIBUTING.md", "data/README.md", "data/photos/README.md", "experiments/README.md")


def anchor(heading: str) -> str:
    """As hosts of repositories name a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_of_a_front_page_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    broken = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        name, _, heading = link.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        if not file.exists():
            broken.append(link)
        elif heading:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            broken += [link] if heading not in map(anchor, headings) else []
    assert broken == []
