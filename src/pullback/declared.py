"""What a class says of itself, read from its source without importing it.

A command answers contradictions before anything slow is loaded. What it must know of a solver, a network, a loss or a
data set for that stands in the class as plain values: ``kind = "mesh"``, ``differentiable = False``. Classes of other
packages are read in the same way; only one that is not written down as such (made by a function, say) is imported.
"""

import ast
import importlib.util
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Declaration:
    """A class (or a function that makes an object) as its source has it."""

    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)  # class attributes, inherited ones too
    options: frozenset[str] | None = None  # the names of the constructor's arguments; None: it takes any

    def says(self, attribute: str, default: Any) -> Any:
        """A class attribute; ``default`` where the class does not have it."""
        return self.attributes.get(attribute, default)

    def takes(self, option: str) -> bool:
        """Whether the constructor has an argument of that name."""
        return self.options is None or option in self.options


def declared(target: str) -> Declaration:
    """The class of a dotted name. Raises what importing it raises where its source cannot be read."""
    return _own(target) if target.startswith("pullback.") else _read(target)


def _read(target: str) -> Declaration:
    found = _found(target)
    if found is None:
        return _imported(target)
    tree, module, node = found
    if isinstance(node, ast.FunctionDef):
        return Declaration(node.name, options=_arguments(node))
    above = [declared(base) for base in _bases(tree, module, node)]
    attributes: dict[str, Any] = {}
    for parent in reversed(above):
        attributes |= parent.attributes
    attributes |= dict(_literals(node))
    return Declaration(node.name, attributes, _options(node, above))


_own = lru_cache(maxsize=None)(_read)  # the package does not change while it runs


def declarations_in(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The classes written in a file: their names and their own literal attributes."""
    for node in _parsed(path, path.stat().st_mtime_ns).body:
        if isinstance(node, ast.ClassDef):
            yield node.name, dict(_literals(node))


def _found(target: str) -> tuple[ast.Module, str, ast.ClassDef | ast.FunctionDef] | None:
    """The parsed file, its module and the definition; follows names that a module imports from another."""
    for _ in range(10):
        module, _, name = target.rpartition(".")
        path = _source_of(module)
        if path is None:
            return None
        tree = _parsed(path, path.stat().st_mtime_ns)
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
                return tree, module, node
        origin = _imports(tree, module, is_package=path.name == "__init__.py").get(name)
        if origin is None or origin == target:
            return None
        target = origin
    return None


def _source_of(module: str) -> Path | None:
    """The file of a module, without importing the packages that it is in."""
    top, *below = module.split(".")
    try:
        spec = importlib.util.find_spec(top) if top else None
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not below:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for folder in spec.submodule_search_locations or ():
        place = Path(folder, *below)
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                return path
    return None


@lru_cache(maxsize=128)
def _parsed(path: Path, changed: int) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(tree: ast.Module, module: str, *, is_package: bool) -> dict[str, str]:
    """Names that a module has from others, with their dotted places."""
    found: dict[str, str] = {}
    package = module if is_package else module.rpartition(".")[0]
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            above = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
            origin = ".".join(part for part in (above if node.level else "", node.module or "") if part)
            found |= {alias.asname or alias.name: f"{origin}.{alias.name}" for alias in node.names}
        if isinstance(node, ast.Import):
            tops = ((alias.name.split(".")[0], alias) for alias in node.names)
            found |= {alias.asname or top: alias.name if alias.asname else top for top, alias in tops}
    return found


def _bases(tree: ast.Module, module: str, node: ast.ClassDef) -> list[str]:
    """The dotted names of the classes that a class inherits from, except those that say nothing of this kind."""
    path = _source_of(module)
    imports = _imports(tree, module, is_package=path is not None and path.name == "__init__.py")
    written = {other.name for other in tree.body if isinstance(other, ast.ClassDef)}
    found = []
    for base in node.bases:
        name = ast.unparse(base).split("[")[0]  # without type arguments
        first, _, rest = name.partition(".")
        place = f"{module}.{name}" if name in written else f"{imports[first]}.{rest}" if first in imports else ""
        place = place.rstrip(".")
        if place and place.split(".")[0] not in _PLAIN and place != "torch.nn.Module":
            found.append(place)
    return found


_PLAIN = ("abc", "typing", "collections", "enum")


def _literals(node: ast.ClassDef) -> Iterator[tuple[str, Any]]:
    for line in node.body:
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(line, ast.AnnAssign) and line.value is not None:
            pairs = [(line.target, line.value)]
        elif isinstance(line, ast.Assign):
            pairs = [(target, line.value) for target in line.targets]
        for target, value in pairs:
            if isinstance(target, ast.Name):
                try:
                    yield target.id, ast.literal_eval(value)
                except ValueError:
                    continue


def _options(node: ast.ClassDef, above: list[Declaration]) -> frozenset[str] | None:
    for line in node.body:
        if isinstance(line, ast.FunctionDef) and line.name == "__init__":
            return _arguments(line)
    if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return frozenset(_fields(node)).union(*(parent.options or () for parent in above))
    inherited = [parent.options for parent in above]
    return inherited[0] if inherited else frozenset()


def _fields(node: ast.ClassDef) -> Iterator[str]:
    """The fields of a dataclass."""
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and "ClassVar" not in ast.unparse(line.annotation):
            yield ast.unparse(line.target)


def _arguments(node: ast.FunctionDef) -> frozenset[str] | None:
    if node.args.kwarg is not None:
        return None
    named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return frozenset(argument.arg for argument in named) - {"self"}


def _imported(target: str) -> Declaration:
    """The same of a class whose source says too little."""
    module, _, name = target.rpartition(".")
    found: Any = import_module(module)
    found = getattr(found, name)
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return Declaration(name)
    some = any(parameter.kind == inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    options = None if some else frozenset(parameter.name for parameter in parameters)
    attributes = {key: getattr(found, key) for key in dir(found) if not key.startswith("_")}
    return Declaration(name, attributes, options)
