"""Whether one of two shapes is likely a part of the other: read off their boundaries, and their areas as given."""

from dataclasses import dataclass

from pullback.data.mesh.shapes import PreparedShape
from pullback.errors import UserError
from pullback.tasks.mesh.boundaries import OPEN, boundaries, surface_area
from pullback.tasks.point_tables import SIDES

CHOICES = ("auto", "true", "false", *SIDES)
_SHARES = (0.03, 1.2)  # of the areas of the files: others mean that these have other units of length
_UNKNOWN = (0.5, 0.25, 0.8)  # what is tried then
_MOST = 0.97
_FEWEST = 60  # vertices of shapes whose parts can be searched


class PartialError(UserError, ValueError):
    """A value of ``partial`` that does not exist."""


@dataclass(frozen=True)
class Part:
    """Which of two shapes is the part of the other, and how large it may be."""

    side: int  # 0: the source, 1: the target
    shares: tuple[float, ...]  # of the whole's area, the likeliest first
    asked: bool = False  # that it is a part was said, not noticed

    @property
    def names(self) -> tuple[str, str]:
        """What part and whole are called."""
        return ("source", "target") if self.side == 0 else ("target", "source")


def check_choice(partial: str | bool) -> str:
    """The choice as a word. Raises PartialError for another."""
    word = str(partial).lower()
    if word not in CHOICES:
        raise PartialError(f"partial={partial} is unknown; use one of {', '.join(CHOICES)}")
    return word


def likely_part(source: PreparedShape, target: PreparedShape, partial: str = "auto") -> Part | None:
    """The part of a pair, by the choice of its user; ``auto``: the one with a long boundary, where the other has none,
    or, where both have one, where its area is by far the smaller.
    """
    if partial == "false" or min(source.shape.n, target.shape.n) < _FEWEST:
        return None
    open_ = (0.0, 0.0) if partial in SIDES else boundaries(source, target)
    if partial == "auto" and max(open_) < OPEN:
        return None
    areas = surface_area(source), surface_area(target)  # read from the files
    if partial in SIDES:
        side = SIDES.index(partial)
    else:
        smaller = int(areas[1] < areas[0])
        side = smaller if min(open_) >= OPEN or max(open_) == 0 else int(open_[1] > open_[0])
        if partial == "auto" and min(open_) >= OPEN and areas[side] > 0.8 * areas[1 - side]:
            return None  # two scans that may overlap: neither is known to lie in the other
    share = areas[side] / areas[1 - side]
    known = _SHARES[0] <= share <= _SHARES[1]
    return Part(side, (min(share, _MOST),) if known else _UNKNOWN, asked=partial != "auto")
