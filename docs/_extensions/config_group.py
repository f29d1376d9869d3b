"""``{config-group} solver``: every choice of a group of ``configs/``, with its comments, as it is written.

``{config-group} . train eval`` shows files of the top level; names after a group pick some of its files.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
_HEAD = re.compile(r"\A(?:# @package .*\n)?((?:#.*\n)*)")


class ConfigGroup(SphinxDirective):
    """A section for each file: its first comment as a sentence, the rest as yaml."""

    required_arguments = 1
    optional_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        group, *picked = " ".join(self.arguments).split()
        paths = sorted((CONFIGS / group).glob("*.yaml"))
        chosen = [path for path in paths if not picked or path.stem in picked]
        if missing := {*picked} - {path.stem for path in chosen}:
            raise self.error(f"configs/{group} has no {', '.join(sorted(missing))}")
        return [node for path in chosen for node in self._section(group, path)]

    def _section(self, group: str, path: Path) -> list[nodes.Node]:
        self.env.note_dependency(str(path))
        title = f"{path.stem}.yaml" if group == "." else f"{group}={path.stem}"
        comment, rest = split(path.read_text(encoding="utf-8"))
        section = nodes.section(ids=[nodes.make_id(title)], names=[title])
        section += nodes.title("", "", nodes.literal("", title))
        if comment:
            section += nodes.paragraph("", comment) if "\n" not in comment else nodes.literal_block("", comment)
        if rest:
            block = nodes.literal_block(rest, rest)
            block["language"] = "yaml"
            section += block
        return [section]


def split(text: str) -> tuple[str, str]:
    """The comment at the head of a file, without its signs, and what follows it."""
    head = _HEAD.match(text)
    comment = "\n".join(line.removeprefix("#").removeprefix(" ") for line in head[1].splitlines())
    return comment, text[head.end() :].strip("\n")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("config-group", ConfigGroup)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
