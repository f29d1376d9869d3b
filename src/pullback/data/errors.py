"""What is wrong with a data set, and how a message lists it."""

from collections.abc import Iterable

from pullback.errors import UserError


class ListError(UserError, ValueError):
    """A list of shapes or pairs that contradicts itself. The message names it and the line."""


class TooFewPairs(UserError, ValueError):
    """More processes than pairs to train on."""


class MissingDataError(UserError, FileNotFoundError):
    """A data set, or a part of it, is not where it was looked for.

    The message says what was wanted and where to get it.
    """


def shorten(items: Iterable[str], most: int = 5) -> str:
    """The first few of the items, and how many more there are."""
    items = list(items)
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
