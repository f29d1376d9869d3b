"""Features of the shapes that were met last: the pairs of a test share their shapes."""

from collections import OrderedDict
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

from pullback.types import Shape

Features = Callable[..., Float[Tensor, "n c"]]  # of a shape, and of what else a backbone is given


class RecentFeatures:
    """Remembers the features of the ``capacity`` shapes asked for last. They must depend on nothing but the shape."""

    def __init__(self, *, capacity: int = 64):
        self.capacity = capacity
        self._known: OrderedDict[tuple[str, str, int, float], Float[Tensor, "n c"]] = OrderedDict()

    def of(self, collection: str, backbone: Features) -> Features:
        """The backbone, which is asked once for each shape of a collection, known by its name and its vertices."""

        def features(shape: Shape) -> Float[Tensor, "n c"]:
            key = (collection, shape.name, shape.n, float(shape.verts.sum()))
            if key not in self._known:
                self._known[key] = backbone(shape)
            self._known.move_to_end(key)
            while len(self._known) > self.capacity:
                self._known.popitem(last=False)
            return self._known[key]

        return features

    def clear(self) -> None:
        """Forgets everything."""
        self._known.clear()
