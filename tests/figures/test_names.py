"""Names of files in figures: drawn as they are, whatever a typesetter would make of them."""

import warnings

import pytest

from pullback.figures.plot import dress, inline_svg, new_figure, save_figure

NAMES = (r"$\foo$ and $5", "cost $5 & $6.off", "a_b^c{d}.off", "<b>&amp;.off", "人体.off")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_drawn_as_it_is_and_without_a_warning(name, tmp_path):
    figure = new_figure(3.0, 2.0)
    axes = figure.add_subplot()
    axes.plot([1, 2], label=name)
    axes.legend()
    dress(axes, xlabel=name, title=name)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert save_figure(figure, tmp_path / "figure.png").stat().st_size > 0
        drawn = inline_svg(figure, prefix="x")
    assert drawn.count(name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) == 3


def test_powers_of_ten_stay_formulas():
    figure = new_figure(3.0, 2.0)
    axes = figure.add_subplot()
    axes.plot([1, 1e6])
    axes.set_yscale("log")
    assert ">$\\mathdefault" not in inline_svg(figure, prefix="x")  # matplotlib repeats it in a comment
