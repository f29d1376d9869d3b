import os
from html.parser import HTMLParser

import numpy as np
import pytest

from pullback.figures.palette import FEATURE_MAP
from pullback.figures.picture import ColourBar, Panel, Picture
from pullback.figures.report import ReportContent, report_html, write_report

EVIL = '<script src="http://evil.example/x.js">alert("1") & \'2\'</script>'
VOID = {"meta", "img", "br"}
SECTIONS = ["results", "correspondences", "pck", "fmap", "features", "training", "pairs", "config", "origin"]


class Page(HTMLParser):
    """Reads a page strictly: every tag closed in order; collects attributes and text."""

    def __init__(self, html):
        super().__init__()
        self.open, self.attributes, self.text, self.tags = [], [], "", []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data

    def values(self, name):
        return [value for _, attribute, value in self.attributes if attribute == name]


def results(dataset="faust", error=2.345):
    return {
        "dataset": dataset,
        "split": "test",
        "pairs": 190,
        "failed": 2,
        "protocol": {"pairs": "unordered", "geodesics": "dijkstra", "notes": ""},
        "metrics": {"geodesic_error_x100": error, "auc@0.10": 0.8231, "flip_rate": None, "new_metric": 0.123456},
        "pck_curve": {"thresholds": [0.0, 0.1], "pck": [0.1, 0.9]},
    }


@pytest.fixture(scope="module")
def full():
    image = np.zeros((20, 10, 4), dtype=np.uint8)
    picture = Picture(
        f"best {EVIL}", (Panel(image, EVIL), Panel(image, "b")), note=EVIL, bar=ColourBar(FEATURE_MAP, "0", "1", EVIL)
    )
    return ReportContent(
        title=f"A run {EVIL}",
        subtitle=EVIL,
        results=[results(), results(EVIL, None)],
        pair_rows=[
            {"shape1": f"pair {i}", "shape2": EVIL, "message": "", "geodesic_error_x100": float(i)} for i in range(20)
        ],
        correspondences=[picture],
        pck_curves={EVIL: ([0.0, 0.1], [0.1, 0.2])},
        fmaps=(np.eye(3), np.eye(6)),
        fmap_pair=EVIL,
        features=[picture],
        training_log={f"train/loss/{EVIL}": (np.arange(3.0), np.ones(3))},
        config=f"name: {EVIL}\n",
        command=f"python train.py {EVIL}",
        environment={EVIL: EVIL, "versions": {"torch": "2.6", "gpu": []}, "dirty": False, "array": [1, 2]},
    )


@pytest.fixture(scope="module")
def html(full):
    return report_html(full)


def test_the_report_is_a_closed_page_with_every_section(html):
    page = Page(html)
    assert html.startswith("<!DOCTYPE html>")
    assert [value for tag, name, value in page.attributes if (tag, name) == ("section", "id")] == SECTIONS
    assert [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")] == [
        f"#{name}" for name in SECTIONS
    ]
    assert "Left out" not in page.text


def test_nothing_is_fetched_and_nothing_runs(html):
    page = Page(html)
    assert "script" not in page.tags and "link" not in page.tags and "iframe" not in page.tags
    for address in [*page.values("src"), *page.values("href"), *page.values("xlink:href")]:
        assert address.startswith(("data:image/png;base64,", "#")), address
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert not [value for _, name, value in page.attributes if name == "style" and "url(http" in value]


def test_identifiers_are_unique(html):
    identifiers = Page(html).values("id")
    assert len(identifiers) == len(set(identifiers)) > len(SECTIONS)


def test_all_that_comes_from_outside_is_shown_as_text(html):
    assert "<script" not in html
    assert Page(html).text.count(EVIL) > 12


def test_numbers_stand_with_their_protocol(html):
    text = Page(html).text
    numbers = ("2.35", "0.823", "0.1235", "190 (+2 failed)")
    for shown in (*numbers, "pairs unordered, geodesics dijkstra", "dirty", "False", "torch 2.6", "1; 2"):
        assert shown in text, shown
    assert "None" not in text and "nan" not in text and "notes" not in text


def test_equal_protocols_are_written_once(html):
    assert Page(html).text.count("pairs unordered") == 1


def test_pairs_come_worst_first_and_many_are_folded(full, html):
    text = Page(html).text
    assert text.index("pair 19") < text.index("pair 0")
    assert "All 20 pairs" in text
    few = Page(report_html(ReportContent(title="few", pair_rows=full.pair_rows[:3])))
    assert "details" not in few.tags


def test_failed_pairs_come_before_all_others():
    rows = [
        {"pair": "good", "geodesic_error_x100": 1.0},
        {"pair": "lost", "status": "failed", "geodesic_error_x100": None},
    ]
    text = Page(report_html(ReportContent(title="failed", pair_rows=rows))).text
    assert text.index("lost") < text.index("good")


def test_a_section_without_data_is_left_out_and_named():
    page = Page(report_html(ReportContent(title="Only a command", command="python eval.py")))
    assert page.tags.count("section") == 1 and "python eval.py" in page.text
    assert "Left out" in page.text
    for name in (
        "Results",
        "Correspondences",
        "PCK curve",
        "Functional map",
        "Features",
        "Training curves",
        "Configuration",
    ):
        assert name in page.text


def test_results_without_ground_truth_show_what_is_known():
    row = results(error=None) | {"pck_curve": None, "metrics": {"geodesic_error_x100": None, "coverage": 0.5}}
    page = Page(report_html(ReportContent(title="mine", results=[row])))
    assert "0.500" in page.text and "mean error" not in page.text and "PCK curve" in page.text.split("Left out")[1]


def test_a_picture_does_not_repeat_the_heading_above_it():
    panels = (Panel(np.zeros((2, 2, 4), dtype=np.uint8), "a"),)
    titles = ["a pair", "Correspondences", "best"]
    pictures = [Picture(title, panels, note="the best" if title == "a pair" else "") for title in titles]
    page = Page(report_html(ReportContent(title="a pair", correspondences=pictures)))
    assert page.text.count("a pair") == 2  # of the window and of the page
    assert page.text.count("Correspondences") == 2  # of the section and of the link to it
    assert page.text.count("best") == 2 and page.tags.count("figcaption") == 2


def test_the_file_is_whole_or_not_there(tmp_path, monkeypatch):
    content = ReportContent(title="√area")
    path = write_report(tmp_path / "report" / "index.html", content)
    assert path.read_text(encoding="utf-8") == report_html(content)
    before = path.read_bytes()

    def fail(descriptor):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_report(path, ReportContent(title="other"))
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]
