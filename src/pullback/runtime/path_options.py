"""Options whose values are names of files and folders: any name, as the file system has it."""

import re
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.errors import HydraException

from pullback.errors import UsageError

# Read from the configuration one by one; the others pass through parts of it that read ``${…}`` a second time.
_OF_MATCH = ("source", "target", "landmarks", "initial", "mask1", "mask2", "points", "pairs", "adapt")
_READ_ONCE = (*_OF_MATCH, "ckpt", "weights", "resume", "predictions")
_FOLDERS = re.compile(
    r"paths\.\w+|hydra\.(run|sweep)\.dir|hydra\.output_subdir|(dataset|test)\.\w+\.(root|lists)|data\.cache_dir|trainer\.default_root_dir"
    r"|(fusion|backbone|module)\.[\w.]*\bweights"
)
# Interpolations that people use in the names of folders; any other ``${`` belongs to the name.
_INTERPOLATION = re.compile(r"\$\{(oc\.\w+:|now:|hydra[:.]|paths\.|seed\}|project_root:|place:|first_of:|quotient:)")


def is_path_option(key: str, program: str) -> bool:
    """Whether an option takes a path. ``landmarks`` does in match.py only: elsewhere it is a number."""
    if key == "landmarks":
        return program == "match"
    return key in _READ_ONCE or _FOLDERS.fullmatch(key) is not None


def path_value(key: str, value: str, *, program: str, sweeps: bool = False) -> str:
    """The value of a path option, quoted for Hydra.

    A name that is there is taken as it is. Names that were quoted or escaped for Hydra keep working, ``~`` is the home
    folder, and with ``-m`` several names separated by commas are a sweep, but for the folders of Hydra.
    """
    if key == "points" and re.fullmatch(r"\[[-\d.,\[\]\s]*\]|\d+", value) and not Path(value).exists():
        return value  # the points themselves
    if key == "adapt" and value.lower() in ("true", "false"):
        return value
    if value.lower() == "null" or (key == "resume" and value == "auto") or value == "???":
        return value
    if not value:
        raise UsageError(f"{key}= has no value; give a path, or leave {key}= out")
    name = expand_path(value)
    if not Path(name).exists():
        meant = _as_hydra_reads(value)
        if meant is None and sweeps and not key.startswith("hydra."):
            return value
        wrapped = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
        if meant is not None and (wrapped or ("\\" in value and Path(expand_path(meant)).exists())):
            name = expand_path(meant)
    return quote(key, name)


def expand_path(name: str) -> str:
    """A name with ``~`` as the home folder, where there is such a user."""
    try:
        return str(Path(name).expanduser()) if name.startswith("~") else name
    except RuntimeError:
        return name


def quote(key: str, name: str) -> str:
    """A name as a quoted value of Hydra's grammar, in which ``${`` is text.

    Interpolations that people use in names stay what they are.
    """
    text = name
    if "${" in name and (Path(name).exists() or not _INTERPOLATION.search(name)):
        if key not in _READ_ONCE:
            raise UsageError(
                f"{key}={name}: a folder with ${{ in its name cannot be used here; rename it, or give a link to it"
            )
        text = re.sub(r"(\\*)\$\{", lambda found: f"{found[1] * 2}\\${{", name)
    return QuotedString(text=text, quote=Quote.single).with_quotes()


def _as_hydra_reads(value: str) -> str | None:
    """The one string that a value is to Hydra; None where it is a sweep, a list or nothing that it understands."""
    try:
        override = OverridesParser.create().parse_override(f"key={value}")
        read = override.value()
        return read if isinstance(read, str) and not override.is_sweep_override() else None
    except HydraException:
        return value
