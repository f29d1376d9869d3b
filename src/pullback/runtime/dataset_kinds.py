"""Whether a data set holds meshes or photographs: told by its class, without importing torch."""

import ast
from pathlib import Path

from hydra.utils import get_class

import pullback


def kind_of(target: str) -> str:
    """``mesh`` or ``image``: what a data set holds."""
    return "image" if "ImageDataset" in ancestors(target) else "mesh"


def ancestors(target: str) -> list[str]:
    """The names of the classes that a class inherits from, and its own. Those of this package are read, not imported:
    that is quick.
    """
    module, name = target.rsplit(".", 1)
    if not module.startswith("pullback."):
        return [above.__name__ for above in get_class(target).__mro__]
    file = Path(pullback.__file__).parent.joinpath(*module.split(".")[1:])
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    tree = ast.parse(file.read_text(encoding="utf-8"))
    written = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    origin = {alias.asname or alias.name: f"{node.module}.{alias.name}" for node in imports for alias in node.names}
    names = [name]
    for base in [base.id for base in written[name].bases if isinstance(base, ast.Name)] if name in written else []:
        above = f"{module}.{base}" if base in written else origin.get(base, "")
        names += ancestors(above) if above.startswith("pullback.") else [base]
    return names
