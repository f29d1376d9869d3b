"""The code of a tutorial in ``docs/tutorials``, as a reader meets it: commands, what they print, and Python.

A ``bash`` block is typed line by line; a ``text`` block behind it is what its last line prints (``...`` stands for
anything); ``pycon`` blocks of a page share one interpreter, as doctests.
"""

import doctest
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"^```(bash|text|pycon)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LENIENT = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

Command = Callable[..., str]  # program, arguments → what it prints


def blocks_of(page: Path) -> Iterator[tuple[str, str]]:
    """Language and text of each block, from the top."""
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield found[1], found[2]


@dataclass
class Reader:
    """Somebody who does what a page says, in the folder at hand."""

    command: Command
    names: dict[str, Any] = field(default_factory=dict)  # of the interpreter
    printed: str = ""  # by the last command
    done: list[str] = field(default_factory=list)  # what was tried, for the test to count

    def follow(self, page: Path) -> None:
        """Tries every block. Raises AssertionError where the page promises something else than what happens."""
        for language, text in blocks_of(page):
            getattr(self, f"_{language}")(text, page)

    def _bash(self, text: str, page: Path) -> None:
        for line in text.replace("\\\n", " ").splitlines():
            self._type(shlex.split(line, comments=True), page)

    def _type(self, words: list[str], page: Path) -> None:
        match words:
            case []:
                return
            case ["pullback", program, *arguments]:
                self.printed = self.command(program, *arguments)
            case ["mkdir", folder]:
                Path(folder).mkdir()
            case ["cp", *files, folder]:
                for file in files:
                    shutil.copy(file, folder)
            case ["printf", text, ">", file]:
                Path(file).write_text(text.encode().decode("unicode_escape"), encoding="utf-8")
            case ["make", "quickstart"]:
                return  # .ci/run does
            case _:
                raise AssertionError(f"{page}: {' '.join(words)}: no test knows how to type this")
        self.done.append(words[0])

    def _text(self, text: str, page: Path) -> None:
        wanted = text if text.rstrip().endswith("...") else f"{text}...\n"
        matches = doctest.OutputChecker().check_output(wanted, self.printed, _LENIENT)
        assert matches, f"{page} promises\n{text}but this was printed:\n{self.printed}"
        self.done.append("text")

    def _pycon(self, text: str, page: Path) -> None:
        test = doctest.DocTestParser().get_doctest(text, self.names, page.name, str(page), 0)
        told: list[str] = []
        runner = doctest.DocTestRunner(optionflags=_LENIENT, verbose=False)
        runner.run(test, out=told.append, clear_globs=False)
        self.names.update(test.globs)
        assert not told, "".join(told)
        self.done += ["pycon"] * len(test.examples)
