"""What a person types, as overrides of Hydra: files by bare names, options with or without dashes.

Hydra reads ``source=scan (1).off`` by a grammar in which brackets, commas, blanks and ``=`` mean something. Here the
values of options that take a path are quoted for it before it sees them; everything else (sweeps, lists, groups) goes
to Hydra unchanged.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from pullback.data.kinds import looks_like_image
from pullback.errors import UsageError
from pullback.moved import as_typed_now
from pullback.runtime.best_features import with_best
from pullback.runtime.option_names import Vocabulary
from pullback.runtime.pair_lists import read_pairs
from pullback.runtime.path_options import expand_path, is_path_option, path_value

FILES = ("source", "target")  # what bare paths stand for, in this order
_ENDS_EARLY = ("--help", "-h", "--hydra-help", "--version", "--shell-completion", "-sc")
_FLAGS = ("--resolve", "--run", "-r", "--multirun", "-m")
_FLAGS_WITH_VALUE = (
    "--cfg",
    "-c",
    "--package",
    "-p",
    "--config-path",
    "-cp",
    "--config-name",
    "-cn",
    "--config-dir",
    "-cd",
    "--experimental-rerun",
    "--info",
    "-i",
)
_OTHER_CONFIGS = ("--config-path", "-cp", "--config-name", "-cn", "--config-dir", "-cd", "--experimental-rerun")
_OPTION = re.compile(
    r"(?P<sign>~|\+{0,2})(?P<key>[\w$][\w$.-]*(?:/[\w-]+)*(?:@[\w$.:-]*)?)(?:=(?P<value>.*))?", re.DOTALL
)
_NOTHING = ("null", "none")
_OF_WHOLE_SWEEPS = ("sweep", "cluster")  # what they choose holds for all jobs, and is read before there are any


def overrides(arguments: Sequence[str], program: str, configs: Path) -> list[str]:
    """The arguments of ``python {program}.py`` as Hydra takes them. ``configs`` is the folder of the yaml files.

    Raises UsageError for a name that is no option, with the right one, and for files too many.
    """
    arguments = [argument for argument in arguments if argument != "--debug"]
    if any(argument in _ENDS_EARLY for argument in arguments):
        return arguments
    for argument in arguments:
        _check_text(argument)
    words = Vocabulary(
        program, configs, open_ended=any(argument.split("=")[0] in _OTHER_CONFIGS for argument in arguments)
    )
    flags, options, files = sort_arguments(arguments, words)
    options = [as_typed_now(option) for option in options]
    sweeps = any(flag in ("-m", "--multirun") for flag in flags) or any(
        option.startswith(("sweep=", "hydra.mode=")) for option in options
    )
    options += [f"{side}={file}" for side, file in zip(unnamed(files, options, words), files, strict=False)]
    options += for_files(options) if program == "match" else []
    options = with_best(options, default=program == "match" and "files=image" in options)
    return [*flags, *(for_hydra(option, words, sweeps=sweeps) for option in options)]


def sort_arguments(arguments: Sequence[str], words: Vocabulary) -> tuple[list[str], list[str], list[str]]:
    """Hydra's flags, options as ``KEY=VALUE`` (or ``~KEY``), and bare files."""
    flags, options, files, rest = [], [], [], list(arguments)
    while rest:
        argument = rest.pop(0)
        _check_blanks(argument, rest)
        if argument == "--":
            files += rest
            break
        if argument.split("=")[0] in _FLAGS + _FLAGS_WITH_VALUE:
            flags.append(argument)
            if (
                argument in _FLAGS_WITH_VALUE
                and rest
                and not (argument in ("--info", "-i") and _is_option(rest[0], words))
            ):
                flags.append(rest.pop(0))
        elif argument.startswith("-") and not (words.takes_files and Path(argument).exists()):
            options.append(_dashed(argument, rest, words))
        elif _is_option(argument, words):
            options.append(argument)
        elif words.takes_files and _is_file(argument, words):
            files.append(argument)
        else:
            raise UsageError(words.answer(argument))
    return flags, options, files


def _is_option(argument: str, words: Vocabulary) -> bool:
    """Whether an argument sets, appends or deletes a key that there is."""
    match = _OPTION.fullmatch(argument)
    if match is None or (match["value"] is None and match["sign"] != "~"):
        return False
    return words.knows(match["key"])


def _is_file(argument: str, words: Vocabulary) -> bool:
    """Whether an argument that is no option is meant as a file: a misspelt option with a value is not."""
    match = _OPTION.fullmatch(argument)
    if match is None or match["value"] is None or Path(argument).exists():
        return bool(argument.strip())
    ending = Path(match["value"]).suffix.strip(".0123456789")
    return "/" in match["key"] or (bool(ending) and not words.near(match["key"]))


def _dashed(argument: str, rest: list[str], words: Vocabulary) -> str:
    """``--source a.off``, ``--source=a.off`` and ``--max-steps 5`` as ``KEY=VALUE``; takes the value from the rest."""
    name, equals, value = argument.lstrip("-").partition("=")
    key = name if words.knows(name) else name.replace("-", "_")
    if not argument.startswith("--") or not words.knows(key):
        following = "" if equals or not rest or rest[0].startswith("-") else rest[0]
        raise UsageError(words.answer(f"{key}={value or following}", typed=argument))
    if not equals and (not rest or rest[0].startswith("--") or _is_option(rest[0], words)):
        if key not in words.switches:
            raise UsageError(f"{argument} needs a value: {argument} VALUE, or {key}=VALUE")
        return f"{key}=true"
    return f"{key}={value if equals else rest.pop(0)}"


def _check_text(argument: str) -> None:
    """Hydra writes down what was typed, in UTF-8."""
    try:
        argument.encode("utf-8")
    except UnicodeEncodeError:
        shown = argument.encode("utf-8", "backslashreplace").decode()
        raise UsageError(
            f"{shown} is not written in UTF-8, and results that name it could not be; rename the file"
        ) from None


def _check_blanks(argument: str, rest: Sequence[str]) -> None:
    """A blank around ``=`` or inside a list is a slip that deserves its own words."""
    key, equals, value = argument.partition("=")
    if argument == "=" or (rest and rest[0] == "="):
        raise UsageError("there must be no blanks around =; write KEY=VALUE, as in source=a.off")
    closing = {"[": "]", "{": "}", "(": ")"}.get(value[:1])
    if equals and rest and closing and value.count(value[0]) > value.count(closing) and rest[0].endswith(closing):
        raise UsageError(f"there must be no blanks inside {key}=; write {argument}{rest[0]}")


def unnamed(files: Sequence[str], options: Sequence[str], words: Vocabulary) -> list[str]:
    """The options that bare files stand for. Raises UsageError when there are more files than options."""
    free = [side for side in FILES if not any(option.startswith(f"{side}=") for option in options)]
    if len(files) > len(free):
        told = ", ".join(files)
        named = f" beside {' and '.join(side + '=' for side in FILES if side not in free)}" if len(free) < 2 else ""
        raise UsageError(
            f"match.py takes two files, and {told} are {len(files)}{named}; a "
            "name with blanks belongs in quotes: 'a b.off'"
        )
    return free


def for_files(options: Sequence[str]) -> list[str]:
    """What follows from the files that are matched, unless it is typed.

    ``files=image`` when the source is a photograph, ``backbone=landmarks`` when meshes have landmarks, and otherwise
    for meshes without an initial map the shipped weights, ``ckpt=humans``: on animals, too, better than no
    weights. For a list of pairs (``pairs=``) what follows from its first, and a folder that is always the same.
    """
    typed = dict(option.split("=", 1) for option in options if "=" in option)
    pairs = typed.get("pairs", "null").strip("'\"")
    if pairs.lower() not in _NOTHING:
        rows = read_pairs(expand_path(pairs))
        folder = [] if any(key.startswith("hydra.") for key in typed) else [f"hydra.run.dir={folder_of(pairs)}"]
        return [*folder, *for_files([*(o for o in options if not o.startswith("pairs=")), f"source={rows[0].source}"])]
    source, landmarks, initial = (typed.get(key, "null").strip("'\"") for key in ("source", "landmarks", "initial"))
    if source != "null" and any(
        map(looks_like_image, _telling_files(source, typed.get("target", "null").strip("'\"")))
    ):
        return ["files=image"] if "files" not in typed else []
    if landmarks.lower() not in _NOTHING:
        return ["backbone=landmarks"] if "backbone" not in typed else []
    if initial.lower() not in _NOTHING:
        return []
    otherwise = {"ckpt", "weights", "backbone", "untrained", "files"} & {key.split(".")[0] for key in typed}
    return ["ckpt=humans"] if source != "null" and not otherwise else []


def _telling_files(source: str, target: str) -> list[str]:
    """The files that tell what is matched: the source, and where that is none the target as well."""
    source, target = expand_path(source), expand_path(target)
    return [source] if Path(source).is_file() else [source, target]


def folder_of(pairs: str) -> str:
    """The folder of the results of a list: always the same, so that the command goes on where it ended."""
    path = Path(expand_path(pairs)).resolve()
    place = hashlib.sha256(str(path).encode()).hexdigest()[:6]
    return f"${{place:runs}}/match/{re.sub(r'[^A-Za-z0-9_-]+', '_', path.stem)}-{place}"


def for_hydra(option: str, words: Vocabulary, *, sweeps: bool) -> str:
    """An option in Hydra's grammar: paths quoted, ``GROUP=null`` as the deletion that Hydra knows."""
    match = _OPTION.fullmatch(option)
    if match is None or match["value"] is None:
        return option
    sign, key, value = match["sign"], match["key"], match["value"]
    if is_path_option(key, words.program):
        return f"{sign}{key}={path_value(key, value, program=words.program, sweeps=sweeps)}"
    group = words.group_of(key)
    if group is None or sign:
        return option
    if value.lower() in _NOTHING and value.lower() not in words.options(group):
        return without(key, group, words)
    if value.startswith("{"):
        raise UsageError(
            f"{key}={value}: a choice is a name, {key}=NAME, and its values are set one by one, {key}.KEY=VALUE"
        )
    if group in _OF_WHOLE_SWEEPS and "," in value and not value.startswith("["):
        together = " or, for all combinations, sweep=[A,B]" if group == "sweep" else ""
        raise UsageError(f"{key}={value}: a command has one {key}; give a command for each{together}")
    if not value or re.fullmatch(r"[+-]?[\d.]+|true|false", value, re.IGNORECASE):
        told = f"{key}={value} is no choice" if value else f"{key}= has no value"
        raise UsageError(f"{told}; there are {', '.join(words.options(group))}")
    return option


def without(key: str, group: str, words: Vocabulary) -> str:
    """``GROUP=null`` for Hydra, which knows it as the deletion of the group."""
    if key in words.needed:
        raise UsageError(
            f"{key}=null: {words.program}.py cannot do without it; there are {', '.join(words.options(group))}"
        )
    return f"{key}=[]" if isinstance(words.default(key), list) else f"~{key}"
