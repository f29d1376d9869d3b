"""How objects that hold arrays print themselves: on one line, by their shapes. Imports nothing heavy."""

from dataclasses import fields
from typing import Any


class OneLine:
    """Mixin for dataclasses of arrays, which are printed by their shapes, without their values."""

    def __repr__(self) -> str:
        shown = ((f.name, getattr(self, f.name)) for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(f'{name}={_shown(it)}' for name, it in shown if it is not None)})"


def _shown(value: Any) -> str:
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{str(value.dtype).removeprefix('torch.')}[{', '.join(map(str, value.shape))}]"
    if isinstance(value, OneLine):
        name = getattr(value, "name", None)
        return type(value).__name__ if name is None else f"{type(value).__name__}({name!r})"
    if isinstance(value, str | int | float | tuple):
        return repr(value)
    return type(value).__name__
