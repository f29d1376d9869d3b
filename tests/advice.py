"""What messages of the package, comments of configs/ and the documentation tell people to type."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.composing import CONFIGS, ROOT

_OVERRIDE = re.compile(
    r"(?<![\w.=/{<\"'-])(?P<typed>(?:~|\+\+?)?(?P<key>[a-z][\w.]*(?:@[\w.]+)?)=(?P<value>\[[^\]]*\]|[^\s;,)\]`\"'…]*))"
)


def texts_in(path: Path) -> Iterator[str]:
    """The string literals of a module that are no docstrings; ``¤`` stands for what an f-string fills in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    within = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for part in ast.walk(node)
        if part is not node
    }
    within |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    for node in ast.walk(tree):
        if id(node) in within:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "¤" for part in node.values)


def overrides_in(text: str) -> Iterator[tuple[str, str, str]]:
    """What looks like an override in a text: as typed, its key and its value, without the punctuation behind it."""
    for found in _OVERRIDE.finditer(text):
        value = found["value"].rstrip(".:?*")
        yield found["typed"][: len(found["typed"]) - len(found["value"]) + len(value)], found["key"], value


def advised_by_messages() -> list[tuple[str, str, str, str]]:
    """Module, override, key and value of everything in the messages of the package that has a value of its own."""
    found = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for text in texts_in(path):
            for typed, key, value in overrides_in(text):
                found.setdefault((path.relative_to(ROOT / "src" / "pullback").as_posix(), typed), (key, value))
    return [(module, typed, key, value) for (module, typed), (key, value) in found.items()]


DOCUMENTS = (
    *("README.md", "data/README.md", "data/photos/README.md", "data/humans/README.md", "experiments/README.md"),
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
)


def advised_by_documents() -> list[tuple[str, str, str, str]]:
    """The same in code spans of the documents and in comments of the yaml files."""
    found = {}
    for name in DOCUMENTS:
        text = re.sub(r"```.*?```", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)
        for span in re.findall(r"`([^`\n]+)`", text):
            for typed, key, value in overrides_in(span):
                found.setdefault((name, typed), (key, value))
    for path in sorted(CONFIGS.rglob("*.yaml")):
        for comment in re.findall(r"#(.*)", path.read_text(encoding="utf-8")):
            for typed, key, value in overrides_in(comment):
                found.setdefault((f"configs/{path.relative_to(CONFIGS)}", typed), (key, value))
    return [(name, typed, key, value) for (name, typed), (key, value) in found.items()]


def commands() -> list[tuple[str, str]]:
    """Document and command of every line of code that calls an entry point or make, and of such spans;
    without comments.
    """
    found = []
    for name in DOCUMENTS:
        text = (ROOT / name).read_text(encoding="utf-8")
        lines = [
            line
            for block in re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
            for line in block.replace("\\\n", " ").splitlines()
        ]
        lines += re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        lines = [line.split(" #")[0].strip() for line in lines]
        lines = [re.sub(r"^(train|eval|match)\.py", r"python \g<0>", line) for line in lines]
        lines = [re.sub(r"^pullback (train|eval|match) ", r"python \1.py ", line) for line in lines]
        found += [(name, line) for line in lines if re.match(r"python (train|eval|match)\.py [\w-]|make( |$)", line)]
    return list(dict.fromkeys(found))


if __name__ == "__main__":
    for row in [*advised_by_messages(), *advised_by_documents(), *commands()]:
        print(*row, sep="   ")
