import numpy as np
import pytest
from tests.figures.test_report import Page

from pullback.figures.picture import Panel, Picture
from pullback.figures.report import Gallery, ReportContent, report_html
from pullback.figures.report_kinds import IMAGES


def metrics(pck, **others):
    return {
        "pck@0.10": pck,
        "epe": 12.34,
        "smoothness": 3.456,
        "smoothness_truth": None,
        "mean_keypoint_error": None,
        **others,
    }


@pytest.fixture(scope="module")
def row():
    return {
        "dataset": "tss",
        "split": "test",
        "pairs": 7,
        "failed": 0,
        "protocol": {"pairs": "7 of 400", "mode": "closed_form"},
        "metrics": metrics(0.7891),
        "metrics_unweighted": metrics(0.6543),
        "subsets": {"FG3DCar": {"pairs": 3, "metrics": metrics(0.9)}, "PASCAL": {"pairs": 4, "metrics": metrics(0.4)}},
        "pck_curve": {"thresholds": [0.0, 0.2], "pck": [0.0, 1.0]},
    }


@pytest.fixture(scope="module")
def page(row):
    image = np.full((8, 8, 4), 255, dtype=np.uint8)
    pairs = [{"pair": name, "pck@0.10": value, "status": status} for name, value, status in PAIRS]
    gallery = Gallery(
        "texture", "Texture transfer", [Picture("a pair", (Panel(image, "one"),))], "What there is to see."
    )
    fmaps = {"without regularisers": np.eye(3), "with regularisers": np.eye(3)}
    content = ReportContent(
        title="photographs",
        kind=IMAGES,
        results=[row],
        pair_rows=pairs,
        galleries=[gallery, Gallery("heat", "Heat", [])],
        fmaps=fmaps,
    )
    return Page(report_html(content))


PAIRS = [("good", 0.9, "ok"), ("bad", 0.1, "ok"), ("lost", None, "failed"), ("fair", 0.5, "ok")]


def test_the_headline_is_pck_in_percent(page):
    assert "78.9 %PCK@0.10, 7 pairs" in page.text
    assert "PCK@0.10 %" in page.text and "12.3" in page.text and "3.46" in page.text
    assert "geodesic" not in page.text and "shape" not in page.text


def test_each_part_stands_beside_both_averages(page):
    table = page.text[page.text.index("tss test, by part") : page.text.index("Protocol")]
    lines = [line for line in table.splitlines() if line]
    assert [line[:7] for line in lines[2:]] == ["FG3DCar", "PASCAL4", "all pai", "mean of"]
    assert "390.0" in lines[2] and "440.0" in lines[3] and "778.9" in lines[4] and "65.4" in lines[5]


def test_one_part_alone_is_not_repeated(row):
    alone = row | {"subsets": {"tss": {"pairs": 7, "metrics": metrics(0.7891)}}}
    assert "by part" not in Page(report_html(ReportContent(title="one", kind=IMAGES, results=[alone]))).text


def test_pairs_are_listed_failed_ones_and_the_worst_first_in_percent(page):
    text = page.text[page.text.rindex("Pairs") :]
    assert sorted((name for name, _, _ in PAIRS), key=text.index) == ["lost", "bad", "fair", "good"]
    assert "bad10.0ok" in text


def test_galleries_are_sections_and_empty_ones_are_named_as_left_out(page):
    sections = [value for tag, name, value in page.attributes if (tag, name) == ("section", "id")]
    assert sections == ["results", "texture", "pck", "fmap", "pairs"]
    assert "What there is to see." in page.text
    left_out = page.text.split("Left out")[1]
    assert "Heat" in left_out and "Training curves" not in left_out and "Features" not in left_out


def test_without_ground_truth_the_headline_is_the_smoothness(row):
    blind = row | {"metrics": metrics(None), "subsets": {}, "pck_curve": None}
    text = Page(report_html(ReportContent(title="mine", kind=IMAGES, results=[blind]))).text
    assert "3.46smoothness, 7 pairs" in text and "None" not in text
