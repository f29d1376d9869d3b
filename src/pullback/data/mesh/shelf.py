"""Prepared shapes that are needed again: those last used, as many as a gigabyte holds."""

from collections import OrderedDict
from collections.abc import Callable, Hashable

from pullback.data.mesh.shapes import PreparedShape

_MOST_BYTES = 1 << 30


class Shelf:
    """Prepared shapes by their keys, up to ``most_bytes``, and two in any case: those of one pair."""

    def __init__(self, most_bytes: int = _MOST_BYTES):
        self.most_bytes = most_bytes
        self._held: OrderedDict[Hashable, PreparedShape] = OrderedDict()

    def get(self, key: Hashable, prepare: Callable[[], PreparedShape]) -> PreparedShape:
        """The shape of a key, prepared if it is not here."""
        if key not in self._held:
            self._held[key] = prepare()
        self._held.move_to_end(key)
        while len(self._held) > 2 and sum(map(_size, self._held.values())) > self.most_bytes:
            self._held.popitem(last=False)
        return self._held[key]


def _size(prepared: PreparedShape) -> int:
    return 5 * prepared.shape.n * (prepared.shape.basis.k + 20)
