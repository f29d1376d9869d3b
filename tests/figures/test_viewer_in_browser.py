"""The interactive pages in a real browser: what is pointed at, turned, painted and touched."""

from pathlib import Path

import numpy as np
import pytest
from tests.browser import Browser, program
from tests.figures.photographs import gradient_photo, shift

from pullback.figures.camera import View
from pullback.figures.photo_viewer import ViewedPhotos, write_photo_viewer
from pullback.figures.viewer import write_viewer
from pullback.tasks.mesh.viewed import viewed_pair

ALONE = 5  # a vertex of shape 2 without a partner


@pytest.fixture(scope="module")
def browser():
    opened = Browser(program())
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def pair(tiny_pair):
    """The twin upside down, by its true map but for one vertex; unsure where its numbers are low."""
    p2p21 = tiny_pair.corr1.numpy().copy()
    p2p21[ALONE] = -1
    n = len(p2p21)
    basis1, basis2 = tiny_pair.shape1.basis, tiny_pair.shape2.basis
    return viewed_pair(
        (tiny_pair.shape1, tiny_pair.shape2),
        p2p21,
        title="twin → tiny",
        view=View(),
        fmap12=basis2.project(basis1.evecs[tiny_pair.corr1]).numpy(),
        features=(basis1.evecs[:, 1:4].numpy(), basis2.evecs[:, 1:4].numpy()),
        confidence2=np.linspace(0, 1, n).astype(np.float32),
        errors2=np.linspace(0, 0.2, n).astype(np.float32),
    )


@pytest.fixture(scope="module")
def mesh_page(pair, tmp_path_factory) -> Path:
    return write_viewer(tmp_path_factory.mktemp("viewer") / "viewer.html", pair)


@pytest.fixture(scope="module")
def photo_page(tmp_path_factory) -> Path:
    """Everything moved by 12 pixels to the right: what leaves the source has no match."""
    pair = ViewedPhotos("b → a", gradient_photo(name="a"), gradient_photo(name="b"), shift(12.0, 0.0))
    return write_photo_viewer(tmp_path_factory.mktemp("photos") / "viewer.html", pair)


RESET = """viewer.stage.reset(); viewer.pinned = false; viewer.mark(0, null); viewer.colours.painted.fill(0);
for (const id of ["linked", "turned", "pale"]) if (!element(id).checked) element(id).click();
element("by").selectedIndex = 0; viewer.carry(); element("colour").value = "position"; viewer.show()"""


@pytest.fixture
def meshes(browser, mesh_page):
    """The page as it is when it was opened: opened, or set back by its own controls, which is quicker."""
    if browser.value("window.viewer && innerWidth === 760"):
        browser.mouse("Moved", 1, 1)
        browser.value(RESET)
    else:
        browser.open(mesh_page, width=760, height=520)
    settle(browser)
    yield browser
    assert browser.errors == [] and [it for it in browser.requests if not it.startswith(("file:", "data:"))] == []


def settle(browser):
    browser.until("viewer.stage.frames > 0 && !viewer.stage.asked")


def middle(browser, view):
    box = browser.value(f"(() => {{ const b = element('view{view}').getBoundingClientRect(); "
                        "return [b.left + b.width / 2, b.top + b.height / 2]; })()")  # fmt: skip
    return tuple(box)


def mark(browser, view):
    """Where the mark of a view stands in the window, and its vertex; None where it is hidden."""
    return browser.value(
        f"(() => {{ const m = document.querySelector('#view{view} .mark'); if (m.hidden) return null; "
        "const b = m.getBoundingClientRect(); "
        "return [b.left + b.width / 2, b.top + b.height / 2, Number(m.dataset.vertex)]; })()"
    )


def colours(browser, view):
    got = browser.value(f"Array.from(viewer.stage.actors[{view}].mesh.geometry.getAttribute('color').array)")
    return np.array(got).reshape(-1, 3)


@pytest.mark.parametrize("view", [0, 1])
def test_pointing_at_one_shape_marks_the_partner_on_the_other(meshes, pair, view):
    x, y = middle(meshes, view)
    meshes.mouse("Moved", x, y)
    meshes.until("!document.querySelector('#view0 .mark').hidden")
    here, there = mark(meshes, view), mark(meshes, 1 - view)
    assert np.hypot(here[0] - x, here[1] - y) < 25
    assert there[2] == (pair.p2p12 if view == 0 else pair.p2p21)[here[2]]
    assert f"vertex {here[2]}" in meshes.value("element('told').textContent")
    meshes.mouse("Moved", x + 40, y + 30)
    meshes.until(f"document.querySelector('#view{view} .mark').dataset.vertex !== '{here[2]}'")
    meshes.mouse("Moved", 5, 5)
    meshes.until("document.querySelector('#view0 .mark').hidden && document.querySelector('#view1 .mark').hidden")


def test_a_vertex_without_a_partner_is_marked_alone_and_painted_pale(meshes):
    meshes.value(f"viewer.mark(1, {ALONE})")
    assert mark(meshes, 0) is None and mark(meshes, 1)[2] == ALONE
    assert "no partner" in meshes.value("element('told').textContent")
    assert len(set(colours(meshes, 1)[ALONE])) == 1


def test_a_vertex_number_that_is_typed_is_marked(meshes, pair):
    meshes.value("element('vertex1').value = 300; element('vertex1').dispatchEvent(new Event('change'))")
    assert mark(meshes, 1)[2] == 300 and mark(meshes, 0)[2] == pair.p2p21[300]
    meshes.value("element('vertex1').value = 9999; element('vertex1').dispatchEvent(new Event('change'))")
    assert mark(meshes, 1) is None and "9999" in meshes.value("element('told').textContent")


def test_a_drag_turns_both_shapes_and_one_when_they_are_not_linked(meshes):
    x, y = middle(meshes, 0)
    meshes.drag((x, y), (x + 80, y))
    first, second = meshes.value("[viewer.stage.camera(0).rotation, viewer.stage.camera(1).rotation]")
    assert first == second and abs(np.trace(np.reshape(first, (3, 3))) - 3) > 0.01
    np.testing.assert_allclose(np.reshape(first, (3, 3)) @ np.reshape(first, (3, 3)).T, np.eye(3), atol=1e-9)
    meshes.value("element('linked').click()")
    meshes.drag((x, y), (x, y + 60))
    assert meshes.value("viewer.stage.camera(1).rotation") == second != meshes.value("viewer.stage.camera(0).rotation")


def test_marks_move_with_the_shapes_and_are_dotted_behind_them(meshes):
    x, y = middle(meshes, 1)
    meshes.value(f"viewer.mark(1, viewer.stage.pick(1, {x} - element('view1').getBoundingClientRect().left, "
                 f"{y} - element('view1').getBoundingClientRect().top).vertex)")  # fmt: skip
    behind = "document.querySelector('#view1 .mark').classList.contains('behind')"
    assert meshes.value(behind) is False
    meshes.value("viewer.stage.camera(1).turn(Math.PI, 0); viewer.stage.draw()")
    settle(meshes)
    assert meshes.value(behind) is True


def test_keys_turn_zoom_and_reset(meshes):
    meshes.value("element('view1').focus()")
    meshes.key("ArrowLeft")
    meshes.key("+")
    rotation, zoom = meshes.value("[viewer.stage.camera(1).rotation, viewer.stage.camera(1).zoom]")
    assert rotation[2] == pytest.approx(-np.sin(np.pi / 18)) and zoom == pytest.approx(1.2)
    meshes.key("Home")
    assert meshes.value("[viewer.stage.camera(1).rotation, viewer.stage.camera(1).zoom]") == [
        np.eye(3).ravel().tolist(),
        1,
    ]


def test_positions_are_fetched_through_the_map_and_pale_where_it_is_unsure(meshes, pair):
    one, two = colours(meshes, 0), colours(meshes, 1)
    sure = (pair.confidence2 > 0.71) & (pair.p2p21 >= 0)
    np.testing.assert_array_equal(two[sure], one[pair.p2p21[sure]])
    assert (two[pair.confidence2 < 0.29] == 217).all()
    meshes.value("element('pale').click()")
    matched = pair.p2p21 >= 0
    np.testing.assert_array_equal(colours(meshes, 1)[matched], one[pair.p2p21[matched]])


@pytest.mark.parametrize("what", ["error", "confidence", "eigenfunction", "feature", "brush"])
def test_every_colouring_shows_both_shapes_alike_on_one_scale(meshes, pair, what):
    meshes.value(f"element('colour').value = '{what}'; element('colour').dispatchEvent(new Event('input'))")
    meshes.value("element('pale').click(); element('by').value = 'points'; viewer.paint(0, 0.2)")
    one, two = colours(meshes, 0), colours(meshes, 1)
    matched = pair.p2p21 >= 0
    away = np.abs(one[pair.p2p21[matched]].astype(int) - two[matched])
    assert np.median(away) <= 2 and np.quantile(away, 0.95) <= 12
    assert len(np.unique(two, axis=0)) > 5 and not meshes.value("element('scale').hidden")


def test_a_stroke_is_carried_as_python_carries_it(meshes, pair):
    meshes.value("element('colour').value = 'brush'; element('colour').dispatchEvent(new Event('input'))")
    x, y = middle(meshes, 0)
    meshes.drag((x, y - 40), (x, y + 40))
    painted = np.array(meshes.value("Array.from(viewer.colours.painted)"))
    assert 5 < (painted > 0).sum() < len(painted) / 2 and painted.max() == pytest.approx(1, abs=1e-6)
    k, (side1, side2) = meshes.value("viewer.pair.k"), (pair.side1, pair.side2)
    coeffs1 = side1.evecs[:, :k].T.astype(float) @ (side1.mass * painted)
    expected = side2.evecs[:, :k].astype(float) @ (pair.fmap12[:k, :k] @ coeffs1)
    carried = np.array(meshes.value("Array.from(viewer.colours.carried)"))
    np.testing.assert_allclose(carried, expected, atol=2e-3)
    assert np.ptp(expected) > 0.5
    meshes.value("element('by').value = 'points'; element('by').dispatchEvent(new Event('input'))")
    carried = np.array(meshes.value("Array.from(viewer.colours.carried)"))
    np.testing.assert_array_equal(carried, np.where(pair.p2p21 < 0, 0, painted[pair.p2p21]))
    assert meshes.value("viewer.stage.camera(0).rotation") == np.eye(3).ravel().tolist()


def test_a_telephone_sees_all_of_it_and_a_finger_marks(browser, mesh_page, pair):
    browser.open(mesh_page, width=420, height=800, touch=True)
    settle(browser)
    assert browser.value("document.documentElement.scrollWidth") <= 420
    outside = browser.value(
        "[...document.querySelectorAll('select, button, input, .view')].filter(it => it.checkVisibility() && "
        "(it.getBoundingClientRect().right > 420 || it.getBoundingClientRect().width < 15)).length"
    )
    assert outside == 0
    browser.tap(*middle(browser, 1))
    browser.until("!document.querySelector('#view1 .mark').hidden")
    assert mark(browser, 0)[2] == pair.p2p21[mark(browser, 1)[2]]
    assert browser.errors == []


def test_a_match_of_photographs_is_marked_in_both_and_the_slider_goes_from_one_to_the_other(browser, photo_page):
    browser.open(photo_page)
    box = browser.value("(() => { const b = document.querySelector('#target img').getBoundingClientRect(); "
                        "return [b.left, b.top, b.width, b.height]; })()")  # fmt: skip
    browser.mouse("Moved", box[0] + 0.5 * box[2], box[1] + 0.25 * box[3])
    share = "parseFloat(document.querySelector('#{} .mark').style.{})"
    browser.until("!document.querySelector('#source .mark').hidden")
    assert browser.value(share.format("source", "left")) == pytest.approx(100 * (0.5 + 12 / 60), abs=1.7)
    assert browser.value(share.format("source", "top")) == pytest.approx(25, abs=2.5)
    for at, opacities in ((0, [0, 0]), (1, [1, 0]), (2, [1, 1])):
        browser.value(f"element('slider').value = {at}; element('slider').dispatchEvent(new Event('input'))")
        assert browser.value("['warped', 'over'].map(id => Number(element(id).style.opacity))") == opacities
    browser.mouse("Moved", box[0] + 0.95 * box[2], box[1] + 0.25 * box[3])
    browser.until("document.querySelector('#source .mark').hidden")
    assert "no match" in browser.value("element('told').textContent")
    assert browser.errors == [] and [it for it in browser.requests if not it.startswith(("file:", "data:"))] == []


def test_photographs_fit_a_telephone_and_a_finger_marks_from_the_source(browser, photo_page):
    browser.open(photo_page, width=420, height=800, touch=True)
    assert browser.value("document.documentElement.scrollWidth") <= 420
    box = browser.value("(() => { const b = document.querySelector('#source img').getBoundingClientRect(); "
                        "return [b.left, b.top, b.width, b.height]; })()")  # fmt: skip
    browser.tap(box[0] + 0.6 * box[2], box[1] + 0.5 * box[3])
    browser.until("!document.querySelector('#target .mark').hidden")
    left = browser.value("parseFloat(document.querySelector('#target .mark').style.left)")
    assert left == pytest.approx(100 * (0.6 - 12 / 60), abs=1.7) and browser.errors == []
