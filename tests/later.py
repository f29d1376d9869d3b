"""Modules that are slow to import, imported when a test first uses them: every run collects all tests."""

import importlib
from typing import Any


class later:  # noqa: N801: reads as a function
    """The module of that name; its import waits for the first use of what it holds."""

    def __init__(self, name: str):
        object.__setattr__(self, "_name", name)

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith(("__", "_mock", "pytest")):  # asked by pytest of all that stands in a test file
            raise AttributeError(attribute)
        return getattr(importlib.import_module(self._name), attribute)

    def __setattr__(self, attribute: str, value: Any) -> None:
        setattr(importlib.import_module(self._name), attribute, value)  # for monkeypatch
