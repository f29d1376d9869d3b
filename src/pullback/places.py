"""Where the package finds its own files, and where what it makes goes. Imports nothing heavy.

In a checkout, also one that is installed with ``pip install -e``, configurations, embedded data, cache and runs lie in
the repository. An installed package carries configurations and embedded data inside, and writes nothing beside them:
results go to ``runs/`` and ``sweeps/`` in the folder where the command is typed, computed values to the user's cache
folder (or PULLBACK_CACHE_DIR); research data are looked for in ``data/`` of that folder (or PULLBACK_DATA_DIR).
"""

import shlex
import sys
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def checkout() -> Path | None:
    """The repository that the package lies in; None for an installed copy."""
    root = _PACKAGE.parents[1]
    return root if _PACKAGE.parent.name == "src" and (root / "configs" / "train.yaml").is_file() else None


def root() -> Path:
    """The folder that paths of the configuration begin with: the repository, or where the command is typed."""
    return checkout() or Path.cwd()


def configs() -> Path:
    """The folder of the yaml files: the top-level ``configs/``, or what a wheel was given of it."""
    return (checkout() or _PACKAGE) / "configs"


def embedded() -> Path:
    """The folder of the data sets that come with the package: ``humans`` and ``photos``."""
    top = checkout()
    return _PACKAGE / "embedded" if top is None else top / "data"


def cache() -> Path:
    """The usual folder of operators, geodesics, features and bases."""
    top = checkout()
    if top is not None:
        return top / "data" / "cache"
    from platformdirs import user_cache_path

    return user_cache_path("pullback", appauthor=False)


def results(kind: str) -> Path:
    """The usual folder of ``runs`` or ``sweeps``, relative to the folder where the command is typed."""
    top = checkout()
    return Path("experiments", kind) if top is not None and top == Path.cwd().resolve() else Path(kind)


def called_as() -> str:
    """How this process was called: ``pullback match``, ``python match.py``."""
    path = Path(sys.argv[0])
    return f"pullback {path.stem}" if path.is_relative_to(_PACKAGE) else f"python {shlex.quote(sys.argv[0])}"
