"""The published data sets that a data folder may hold, as the files of the data sets name them.

The files are read and not imported: that is quick.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pullback.declared import declarations_in


class Edition(NamedTuple):
    """A published data set: its class, its usual folder below the data folder, and options of the class."""

    target: str
    folder: str
    options: Mapping[str, Any]


def _editions() -> Iterator[tuple[str, Edition]]:
    here = Path(__file__).parent
    for kind in ("mesh", "image"):
        for path in sorted((here / kind / "sets").glob("*.py")):
            for name, attributes in declarations_in(path):
                for key, written in attributes.get("published", {}).items():
                    options = {option: value for option, value in written.items() if option != "folder"}
                    yield key, Edition(f"pullback.data.{kind}.sets.{path.stem}.{name}", written["folder"], options)


# By what follows dataset= on the command line.
EDITIONS: Mapping[str, Edition] = dict(_editions())
FOLDERS: Mapping[str, str] = {key: edition.folder for key, edition in EDITIONS.items()}
# What an inspection finds a data set to be.
ABSENT, COMPLETE, INCOMPLETE, DAMAGED = "absent", "complete", "incomplete", "damaged"
