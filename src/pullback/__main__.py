"""The command ``pullback``: one word for what is to be done, then the options of that."""

import difflib
import importlib
import sys
from collections.abc import Callable
from pathlib import Path

# What each does, the module whose ``main`` does it, and what is typed in front of the user's own options.
COMMANDS: dict[str, tuple[str, str, list[str]]] = {
    "match": ("two meshes or two photographs in, a dense map out", "runtime.programs.match", []),
    "train": ("learn features of meshes, evaluate them, write the report", "runtime.programs.train", []),
    "eval": ("evaluate a checkpoint, a baseline or stored maps", "runtime.programs.eval", []),
    "prepare": ("compute and cache operators, geodesics and features", "runtime.programs.eval", ["run=[prepare]"]),
    "features": ("features of photographs in files, for other programs", "api.features_command", []),
    "check-data": ("which data sets are there, whole or damaged", "data.check", []),
    "compare": ("one table of several runs", "comparison.compare", []),
    "paired": ("do two runs differ? a paired test", "comparison.paired", []),
    "curves": ("cumulative error curves of runs in one plot", "comparison.curves", []),
    "sweep-figure": ("figures over the values of a sweep in one plot", "comparison.sweep_figure", []),
    "fmaps": ("functional maps of several runs on one sheet", "comparison.fmaps", []),
    "tables": ("the paper's tables, published beside obtained", "comparison.tables", []),
}


def main(command: str | None = None) -> int:
    """Runs the command, by default the one that was typed first, on the rest of what was typed."""
    if command is None:
        if sys.argv[1:] == ["--version"]:
            print(versions())
            return 0
        if sys.argv[1:] in (["--help"], ["-h"], ["help"]):
            print(usage())
            return 0
        if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
            print(usage() if len(sys.argv) < 2 else f"error: {mistake(sys.argv[1:])}", file=sys.stderr)
            return 2
        command = sys.argv.pop(1)
        _begin_again_by_file(COMMANDS[command][1])
    _, module, first = COMMANDS[command]
    sys.argv[1:1] = first
    if module.startswith("runtime."):
        from pullback.runtime.signals import leave_on_interrupt

        leave_on_interrupt()  # from here on, of which the imports are the slowest part
    return _entry(module)() or 0


def versions() -> str:
    """What a report of a fault should tell."""
    import platform
    from importlib.metadata import version

    import pullback

    told = f"PyTorch {version('torch')}, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    return f"pullback {pullback.__version__}\n{told}"


def usage() -> str:
    """What can be typed."""
    width = max(map(len, COMMANDS))
    lines = [f"  pullback {name.ljust(width)}  {what}" for name, (what, *_) in COMMANDS.items()]
    return "\n".join(["pullback COMMAND OPTIONS", *lines, "pullback COMMAND --help lists the options of each."])


def mistake(typed: list[str]) -> str:
    """What to type in the place of a first word that is no command."""
    if Path(typed[0]).is_file():
        return f"{typed[0]} is no command but a file; to match two: pullback match {' '.join(typed)}"
    near = difflib.get_close_matches(typed[0].removesuffix(".py").replace("_", "-"), COMMANDS, n=1)
    meant = f"did you mean pullback {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
    return f"pullback has no command {typed[0]}; {meant}"


def _entry(module: str) -> Callable[[], int | None]:
    return importlib.import_module(f"pullback.{module}").main


def _begin_again_by_file(module: str) -> None:
    """Lightning starts the processes of further GPUs by ``sys.argv[0]``, or by the module that runs:
    it must be one that knows which command this is.
    """
    sys.argv[0] = str(Path(__file__).parent.joinpath(*module.split(".")).with_suffix(".py"))
    sys.modules["__main__"].__spec__ = None


if __name__ == "__main__":
    sys.exit(main())
