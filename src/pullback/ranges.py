"""Numbers are checked where they enter, in the constructor that takes them, also unused ones.

``at_least(1, k=k, step=step)`` passes, or raises NumberError naming the option and what to give. None always passes:
where an option may not be null, its type says so.
"""

import math

from pullback.errors import UserError

Number = int | float


class NumberError(UserError, ValueError):
    """An option has a number that nothing can work with."""

    def __init__(self, option: str, told: str):
        super().__init__(f"{option}{told}")
        self.option, self.told = option, told

    def at(self, place: str) -> "NumberError":
        """The same error with the place of the option in the configuration: ``solver`` for ``solver.blur``."""
        return NumberError(f"{place}.{self.option}", self.told) if place else self


def at_least(least: Number, **numbers: Number | None) -> None:
    """Raises NumberError for a number below ``least``, and for one that is not finite."""
    for option, value in numbers.items():
        if value is not None and not least <= value < math.inf:
            raise NumberError(option, f"={value} {_fault(value, least)}; give {least} or more")


def above(bound: Number, **numbers: Number | None) -> None:
    """Raises NumberError for a number that is not above ``bound``, and for one that is not finite."""
    for option, value in numbers.items():
        if value is not None and not bound < value < math.inf:
            raise NumberError(option, f"={value} {_fault(value, bound)}; give a number above {bound}")


def within(least: Number, most: Number, **numbers: Number | None) -> None:
    """Raises NumberError for a number outside of ``least`` to ``most``."""
    for option, value in numbers.items():
        if value is not None and not least <= value <= most:
            raise NumberError(option, f"={value} is out of range; give a number from {least} to {most}")


def finite(**numbers: Number | None) -> None:
    """Raises NumberError for NaN and infinity."""
    for option, value in numbers.items():
        if value is not None and not math.isfinite(value):
            raise NumberError(option, f"={value} is no number to work with; give a finite one")


def _fault(value: Number, least: Number) -> str:
    return "is too small" if value <= least else "is no number to work with"
