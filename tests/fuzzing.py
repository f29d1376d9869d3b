"""Broken files for every reader, and the verdict on what it makes of them: right, or an error that names the file.

A ``test_fuzz_*.py`` offers ``SUBJECTS``, the readers with good files to break. In the suite each meets a few mutations
that hypothesis chooses; ``python -m tests.fuzzing --inputs 2000`` tries as many as one likes and prints what became of
them.
"""

import argparse
import importlib.util
import random
import re
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from pullback.errors import UserError

RIGHT, REFUSED, NAMELESS, WRONG, SLOW = "read", "refused by name", "error without the name", "read, but wrong", "slow"
TOO_LONG = 20.0  # seconds of processor time for a small file


@dataclass(frozen=True)
class Subject:
    """A reader, and files that it reads."""

    name: str
    samples: Mapping[str, bytes]  # good files, by file name
    read: Callable[[Path], Any]  # as a command reads it: with every check that follows before anything is computed
    check: Callable[[Any], None]  # raises AssertionError unless what was read makes sense
    same: Callable[[Any, Any], bool] | None = None  # whether two readings agree, for changes that must not matter
    # changes of the bytes that must not matter, by name
    harmless: Mapping[str, Callable[[bytes], bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What became of one file."""

    outcome: str
    said: str = ""


def verdict(subject: Subject, path: Path) -> Verdict:
    """Reads a file that may be broken in any way."""
    began = time.process_time()
    try:
        content = subject.read(path)
    except UserError as error:
        named = str(path) in str(error)
        return Verdict(REFUSED if named else NAMELESS, str(error))
    except Exception:  # a fault of the reader, whatever it is
        return Verdict(NAMELESS, traceback.format_exc(limit=-4))
    try:
        subject.check(content)
    except AssertionError as error:
        return Verdict(WRONG, str(error))
    return Verdict(SLOW if time.process_time() - began > TOO_LONG else RIGHT)


# What stands in for a number, or for a word.
HOSTILE = (
    *(
        "",
        "-1",
        "0",
        "nan",
        "-inf",
        "1e400",
        "1.7",
        "²",
        "٣",
        "1_0",
        "0x10",
        "9" * 20,
        "1e18",
        "2147483648",
        "-2147483648",
        "4294967295",
    ),
    *(
        "x",
        "#",
        "\\",
        '"',
        "{",
        "]",
        "\0",
        "\ufeff",
        "ä",
        "\u2028",
        "1,5",
        "--1",
        "+",
        "1e",
        ".",
        "/",
        "1/",
        "//1",
        "999999999999",
    ),
)
HOSTILE_BYTES = (
    *(b"\0", b"\xff", b"\x80"),
    *(b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\xc0\x7f", b"\r", b"\n", b"\x1a"),
)


def damaged(data: bytes, chance: random.Random) -> tuple[str, bytes]:
    """The bytes, broken in one to three ways; and in which."""
    kinds = []
    for _ in range(chance.choice((1, 1, 2, 3))):
        kind = chance.choice(sorted(_DAMAGES))
        data = _DAMAGES[kind](data, chance)
        kinds.append(kind)
    return " + ".join(kinds), data


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randint(0, len(data))]


def _cut_a_little(data: bytes, chance: random.Random) -> bytes:
    return data[: -chance.randint(1, 40)]


def _without_beginning(data: bytes, chance: random.Random) -> bytes:
    return data[chance.randint(1, 40) :]


def _changed_bytes(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 4, 30))):
        if changed:
            changed[chance.randint(0, len(changed) - 1)] = chance.randint(0, 255)
    return bytes(changed)


def _changed_head(data: bytes, chance: random.Random) -> bytes:
    return _changed_bytes(data[:200], chance) + data[200:]


def _overwritten(data: bytes, chance: random.Random) -> bytes:
    place, junk = chance.randint(0, len(data)), chance.choice(HOSTILE_BYTES)
    return data[:place] + junk + data[place + len(junk) :]


def _inserted(data: bytes, chance: random.Random) -> bytes:
    place = chance.randint(0, len(data))
    return data[:place] + chance.choice((*HOSTILE_BYTES, *(word.encode() for word in HOSTILE))) + data[place:]


def _removed(data: bytes, chance: random.Random) -> bytes:
    place = chance.randint(0, len(data))
    return data[:place] + data[place + chance.choice((1, 2, 4, 50)) :]


def _repeated(data: bytes, chance: random.Random) -> bytes:
    place, size = chance.randint(0, len(data)), chance.choice((1, 7, 50))
    return data[: place + size] + data[place:]


def _hostile_word(data: bytes, chance: random.Random) -> bytes:
    words = list(re.finditer(rb"[^\s,:{}\[\]\"]+", data[:100_000]))
    if not words:
        return data
    word = chance.choice(words)
    return data[: word.start()] + chance.choice(HOSTILE).encode() + data[word.end() :]


def _line_removed(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    del lines[chance.randint(0, len(lines) - 1)]
    return b"\n".join(lines)


def _lines_swapped(data: bytes, chance: random.Random) -> bytes:
    lines = data.split(b"\n")
    i, j = chance.randint(0, len(lines) - 1), chance.randint(0, len(lines) - 1)
    lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines)


def _text_in_utf16(data: bytes, chance: random.Random) -> bytes:
    return data.decode("latin-1").encode(chance.choice(("utf-16", "utf-16-le", "utf-16-be", "utf-32")))


def _junk(data: bytes, chance: random.Random) -> bytes:
    return bytes(chance.randint(0, 255) for _ in range(chance.choice((0, 1, 5, 100))))


_DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "cut": _cut,
    "cut a little": _cut_a_little,
    "without beginning": _without_beginning,
    "changed bytes": _changed_bytes,
    "changed head": _changed_head,
    "overwritten": _overwritten,
    "inserted": _inserted,
    "removed": _removed,
    "repeated": _repeated,
    "hostile word": _hostile_word,
    "line removed": _line_removed,
    "lines swapped": _lines_swapped,
    "UTF-16": _text_in_utf16,
    "junk": _junk,
}


def damaged_samples(subject: Subject) -> st.SearchStrategy[tuple[str, str, bytes]]:
    """(file name, what was done to it, its bytes)."""

    @st.composite
    def draw(pick):
        name = pick(st.sampled_from(sorted(subject.samples)))
        return name, *damaged(subject.samples[name], pick(st.randoms(use_true_random=False)))

    return draw()


def subjects() -> dict[str, Subject]:
    """Every reader of every ``test_fuzz_*.py``."""
    found = {}
    for path in sorted(Path(__file__).parent.rglob("test_fuzz_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= {subject.name: subject for subject in module.SUBJECTS}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=2000, help="broken files in all (default: %(default)s)")
    parser.add_argument("--only", nargs="*", help="names of the readers (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=5, help="how many of the faults are shown (default: %(default)s)")
    options = parser.parse_args()
    chosen = [subject for name, subject in subjects().items() if not options.only or name in options.only]
    counts: dict[str, Counter[str]] = {subject.name: Counter() for subject in chosen}
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix="pullback-fuzz-") as folder:
        for i in range(options.inputs):
            subject, chance = chosen[i % len(chosen)], random.Random(f"{options.seed} {i}")
            name = chance.choice(sorted(subject.samples))
            kind, data = damaged(subject.samples[name], chance)
            path = Path(folder) / name
            path.write_bytes(data)
            found = verdict(subject, path)
            counts[subject.name][found.outcome] += 1
            if found.outcome not in (RIGHT, REFUSED):
                faults.append(f"--- input {i}: {name}, {kind}: {found.outcome}\n{found.said}\n{data[:300]!r}")
    print(_table(counts), *faults[: options.show], sep="\n")


def _table(counts: Mapping[str, Counter[str]]) -> str:
    outcomes = (RIGHT, REFUSED, NAMELESS, WRONG, SLOW)
    rows = [("reader", "inputs", *outcomes)]
    rows += [
        (name, str(count.total()), *(str(count[outcome]) for outcome in outcomes)) for name, count in counts.items()
    ]
    total = sum(counts.values(), Counter())
    rows.append(("all", str(total.total()), *(str(total[outcome]) for outcome in outcomes)))
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|---" + "|--:" * (len(rows[0]) - 1) + "|", *lines[1:]])


if __name__ == "__main__":
    main()
