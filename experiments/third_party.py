"""THIRD_PARTY.md: what the package depends on, and under which licence, from what is installed here.

    python -m experiments.third_party > THIRD_PARTY.md

Packages that are not installed, or whose metadata name no licence, keep the one that the file has for them.
"""

import re
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "THIRD_PARTY.md"
_HEAD = """# Licences of what Pullback depends on

Pullback itself is MIT. None of these packages is part of it: pip installs them. Written by
`python -m experiments.third_party > THIRD_PARTY.md`; a test compares it with the packages that are installed.

| package | needed for | licence |
|---|---|---|
"""


def requirements() -> dict[str, str]:
    """The direct dependencies by name, each with what it is needed for: everything, or the extra that brings it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {"everything": project["dependencies"], **project["optional-dependencies"]}
    found: dict[str, str] = {}
    for purpose, specifiers in wanted.items():
        for specifier in specifiers:
            found.setdefault(re.split(r"[^\w.-]", specifier, maxsplit=1)[0], purpose)
    return {name: purpose for name, purpose in found.items() if name != "pullback"}


def licence(name: str) -> str | None:
    """The licence of an installed package by its own words, in one line.

    None where it says nothing, or is not installed.
    """
    try:
        fields = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return None
    classified = [
        text.rsplit(" :: ", 1)[-1] for text in fields.get_all("Classifier") or () if text.startswith("License ::")
    ]
    expression, text = ((fields.get_all(key) or [""])[0] for key in ("License-Expression", "License"))
    told = (expression, ", ".join(classified), text.split("\n")[0])
    return next((text.strip()[:120] for text in told if text.strip() not in ("", "OSI Approved", "UNKNOWN")), None)


def listed() -> dict[str, str]:
    """The licences that the file holds, by package."""
    if not FILE.is_file():
        return {}
    rows = (line.strip("| \n").split(" | ") for line in FILE.read_text(encoding="utf-8").splitlines())
    return {row[0]: row[2] for row in rows if len(row) == 3}


def document() -> str:
    before = listed()
    rows = (
        f"| {name} | {purpose} | {licence(name) or before.get(name, 'not known')} |"
        for name, purpose in sorted(requirements().items(), key=lambda it: (it[1] != "everything", it[1], it[0]))
    )
    return _HEAD + "\n".join(rows)


if __name__ == "__main__":
    print(document())
