"""The type annotations of the package, executed: every function checks shapes and dtypes from its first call on.

As ``jaxtyping.install_import_hook`` does it, with differences that spare the tests time. A check is made when its
function is first called, not when its module is imported: most of four thousand are never called in one run. Where
no annotation speaks of a shape, types are checked alone. And the compiled modules lie beside the plain ones under a
name of their own, while those of other packages, imported meanwhile, keep theirs.
"""

import ast
import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any, ForwardRef, get_args

from beartype import beartype
from jaxtyping import AbstractArray, jaxtyped

_MARK = "__checked__"


def checked(thing: Any) -> Any:
    """A function whose annotations are executed; of a data class, its constructor."""
    if inspect.isclass(thing):
        if is_dataclass(thing) and "__init__" in vars(thing):
            thing.__init__ = checked(thing.__init__)
        return thing
    return _checked_function(thing)


def _checked_function(function: Callable) -> Callable:
    made: list[Callable] = []

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if not made:
            # Of constructors the program reads the traceback, in which beartype's own frame would stand for them.
            shaped = function.__name__ == "__init__" or any(map(speaks_of_shapes, function.__annotations__.values()))
            made.append(jaxtyped(function, typechecker=beartype) if shaped else beartype(function))
        return made[0](*args, **kwargs)

    return call


def speaks_of_shapes(annotation: Any) -> bool:
    """Whether a part of an annotation is an array with a shape; what is only named may be one."""
    if isinstance(annotation, (str, ForwardRef)):
        return True
    if isinstance(annotation, list):  # the arguments of a Callable
        return any(map(speaks_of_shapes, annotation))
    if inspect.isclass(annotation) and issubclass(annotation, AbstractArray):
        return True
    return any(map(speaks_of_shapes, get_args(annotation)))


class _Marker(ast.NodeTransformer):
    """Decorates every function, innermost, and every class, outermost, unless it says ``@no_type_check``."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return self._marked(node, len(node.decorator_list))

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        return self._marked(node, 0)

    def _marked(self, node: Any, place: int) -> Any:
        if any(ast.unparse(decorator).endswith("no_type_check") for decorator in node.decorator_list):
            return node
        node.decorator_list.insert(place, ast.copy_location(ast.Name(_MARK, ast.Load()), node))
        return self.generic_visit(node)


class _Loader(SourceFileLoader):
    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> Any:
        tree = _Marker().visit(ast.parse(data, path))
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True, optimize=_optimize)

    def get_data(self, path: str) -> bytes:
        return super().get_data(_own_name(path))

    def set_data(self, path: str, data: Any, **options: Any) -> None:
        super().set_data(_own_name(path), data, **options)

    def exec_module(self, module: ModuleType) -> None:
        vars(module)[_MARK] = checked
        super().exec_module(module)


def _own_name(path: str) -> str:
    """Where the compiled module lies; a source stays where it is."""
    return path.removesuffix(".pyc") + ".checked.pyc" if path.endswith(".pyc") else path


class _Finder(MetaPathFinder):
    def __init__(self, package: str):
        self.package = package

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        if name.split(".")[0] != self.package:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


def check_shapes_of(package: str) -> None:
    """Executes the annotations of a package that is imported from here on."""
    sys.meta_path.insert(0, _Finder(package))
