"""Features that are remembered between test pairs."""

import torch
from tests.line_shapes import line_shape

from pullback.tasks.mesh.recent import RecentFeatures


class Counting:
    """A backbone that counts how often it is asked for each shape."""

    def __init__(self):
        self.asked = []

    def __call__(self, shape):
        self.asked.append(shape.name)
        return torch.full((shape.n, 1), float(len(self.asked)))


def test_a_backbone_is_asked_once_for_each_shape_of_a_collection():
    recent, backbone = RecentFeatures(), Counting()
    a, b = line_shape("a", 4), line_shape("b", 5)
    first = [recent.of("one", backbone)(shape) for shape in (a, b, a, a)]
    assert backbone.asked == ["a", "b"] and first[0] is first[2] is first[3]


def test_shapes_of_one_name_in_two_collections_are_two_shapes():
    recent, backbone = RecentFeatures(), Counting()
    assert len(recent.of("one", backbone)(line_shape("a", 4))) == 4
    assert len(recent.of("other", backbone)(line_shape("a", 7))) == 7


def test_what_was_not_asked_for_lately_is_forgotten():
    recent, backbone = RecentFeatures(capacity=2), Counting()
    features = recent.of("one", backbone)
    for name in ("a", "b", "a", "c", "a", "b"):
        features(line_shape(name, 3))
    assert backbone.asked == ["a", "b", "c", "b"]
    recent.clear()
    features(line_shape("b", 3))
    assert backbone.asked[-1] == "b" and len(backbone.asked) == 5
