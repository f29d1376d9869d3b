"""What the parts of a configuration are made of: names of classes, and what these say of themselves."""

from collections.abc import Iterator, Mapping
from typing import Any

from pullback.declared import Declaration, declared
from pullback.errors import UserError


class ConfigError(UserError, ValueError):
    """Two parts of the configuration contradict each other."""


class UnknownTarget(UserError, ImportError):
    """A ``_target_`` that names nothing which can be imported."""

    def __init__(self, target: str, why: object):
        super().__init__(
            f"_target_={target} cannot be imported: {why}; if the class is your own, the folder of its package must "
            "be in PYTHONPATH, or the package installed"
        )


def declaration(part: Mapping[str, Any]) -> Declaration:
    """What the class of a part says of itself. Raises UnknownTarget."""
    target = part["_target_"]
    try:
        return declared(target)
    except Exception as error:  # whatever reading or importing it raises
        raise UnknownTarget(target, error) from error


def class_of(part: Mapping[str, Any]) -> str:
    """The name of the class that a part is made of."""
    return part["_target_"].rsplit(".", 1)[-1]


def name_of(backbone: Mapping[str, Any]) -> str:
    """The class that makes the features of a backbone: its network, else its descriptor, else itself."""
    inner = (backbone.get(key) for key in ("network", "descriptor"))
    return class_of(next((part for part in inner if isinstance(part, Mapping) and "_target_" in part), backbone))


def chosen_terms(cfg: Mapping[str, Any]) -> list[str]:
    """The loss terms. Values may also be there for terms that were not chosen: those have no ``_target_``."""
    return [name for name, term in cfg.get("loss", {}).items() if "_target_" in term]


def terms_that(cfg: Mapping[str, Any], say: str) -> list[str]:
    """The chosen loss terms whose class has a true attribute, such as ``needs_truth``."""
    return [name for name in chosen_terms(cfg) if declaration(cfg["loss"][name]).says(say, False)]


def objects_in(part: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The mappings that describe an object, and their places: the outermost first."""
    if isinstance(part, Mapping):
        if "_target_" in part:
            yield place, part
        for key, below in part.items():
            yield from objects_in(below, f"{place}.{key}")
