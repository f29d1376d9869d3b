"""What Hydra and OmegaConf refuse, in one sentence that names the option and the right one."""

import difflib
import re

from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    InstantiationException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf.errors import (
    InterpolationResolutionError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    UnsupportedInterpolationType,
)

from pullback.runtime.option_names import Vocabulary

# What a plugin of Hydra brings: who asks for it, and the extra to install.
_OF_EXTRAS = {
    "submitit_slurm": ("cluster=slurm", "cluster"),
    "joblib": ("cluster=local", "cluster"),
    "ray": ("cluster=ray", "ray"),
    "optuna": ("a sweep by optuna", "optuna"),
}
# What the names of a launcher's numbers end with.
_UNITS = {
    "_min": "minutes: 90, not 1:30:00",
    "_gb": "GB: 64, not 64GB",
    "_s": "seconds",
}
_OF_SUBMITIT = ("FailedJobError", "UncompletedJobError", "FailedSubmissionError")


def in_words(error: BaseException, words: Vocabulary) -> str | None:
    """The sentence for an error of composing a configuration; None for an error that is not one."""
    text = str(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    if isinstance(error, MissingConfigException):
        return _missing_option(error, words)
    if isinstance(error, ConfigCompositionException):
        return _composition(error, words)
    if isinstance(error, MissingMandatoryValue):
        return f"{_key_of(error, text)} has no value; give {_key_of(error, text)}=VALUE"
    if isinstance(error, InterpolationResolutionError | UnsupportedInterpolationType):
        return f"{_key_of(error, text)} refers to what is not there: {_first_line(text)}"
    if isinstance(error, HydraException) and not isinstance(error, InstantiationException):
        return _joined(text)
    return None


def while_composing(error: BaseException, words: Vocabulary) -> str | None:
    """The same for errors before our own code ran: all that Hydra says there is about what was typed."""
    told = in_words(error, words)
    if told is None and isinstance(error, OmegaConfBaseException):
        return f"{_key_of(error, str(error))}: {_first_line(str(error))}"
    if told is None and isinstance(error, OSError):
        return (
            f"the folder of the results, {error.filename}, cannot be made ({error.strerror}); choose another: "
            "hydra.run.dir=DIR"
        )
    if told is None and (of_slurm := _of_slurm(error)) is not None:
        return of_slurm
    if told is None and type(error).__module__.startswith(("sqlalchemy.", "optuna.exceptions")):
        return (
            f"the database of the study, hydra.sweeper.storage, cannot be used: {_first_line(str(error))}; "
            "make room or choose another place: hydra.sweeper.storage=sqlite:///FILE"
        )
    if told is None and isinstance(error, ValueError) and str(error).startswith("Only one of --run"):
        return "--run, --multirun (-m), --cfg and --info exclude each other; give one of them"
    if told is None and isinstance(error, ValueError) and str(error).startswith("Config group override must be"):
        return (
            "a choice of the configuration is a name, as in dataset=humans, and something else was typed "
            f"({_first_line(str(error))})"
        )
    return told


def _of_slurm(error: BaseException) -> str | None:
    """What went wrong with jobs of submitit, which need not be installed."""
    text = str(error)
    if isinstance(error, RuntimeError) and "Could not detect" in text and "srun" in text:
        return (
            "cluster=slurm: there is no Slurm here (no program srun); "
            "type the command on a login node of the cluster, or take cluster=local for the cores of this machine"
        )
    return f"a job of the cluster failed: {text}" if type(error).__name__ in _OF_SUBMITIT else None


def _unreadable(error: OverrideParseException) -> str:
    return (
        f"{error.override} cannot be read; quote a value that holds blanks, brackets, commas or quotation marks "
        "for Hydra too: "
        f"""{error.override.partition("=")[0]}="'VALUE'\""""
    )


def _missing_option(error: MissingConfigException, words: Vocabulary) -> str:
    group, _, option = (error.missing_cfg_file or "").removeprefix("/").rpartition("/")
    if not group:
        return _joined(str(error).partition("Config search path")[0])
    if (needing := _OF_EXTRAS.get(option)) is not None:
        choice, extra = needing
        return f"{choice} needs a package that is not installed: pip install 'pullback[{extra}]'"
    known = words.options(group)
    near = difflib.get_close_matches(option, known, n=3, cutoff=0.6)
    meant = f"did you mean {' or '.join(f'{group}={name}' for name in near)}? " if near else ""
    return (
        f"{group}={option} does not exist; {meant}there are {', '.join(known)}"
        if known
        else f"{group}={option} does not exist"
    )


def _composition(error: ConfigCompositionException, words: Vocabulary) -> str:
    text = str(error)
    key = (
        re.search(r"Could not (?:override|delete|append to config\. An item is already at) '([^']*)'", text)
        or [None, None]
    )[1]
    if "An item is already at" in text:
        return f"{key} exists already; change it with {key}=VALUE, without +"
    gone = re.search(r"Could not delete from config\. '([^']*)' does not exist", text)
    if gone:
        return f"~{gone[1]}: there is no {gone[1]}{_hint(gone[1], words)}"
    wrong = re.search(r"Error merging override (.*)", text)
    if wrong:
        ends = re.match(r"hydra\.launcher\.\w+(_min|_gb|_s)=", wrong[1])
        unit = "" if ends is None else f"; it is a whole number of {_UNITS[ends[1]]}"
        return f"{wrong[1]} is refused: {_first_line(str(error.__cause__ or text))}{unit}"
    if key is None:
        return _joined(text)
    if "@" in key:
        return _other_package(key, text, words)
    if text.startswith("Could not delete"):
        return f"~{key}: {key} is not chosen{_hint(key, words)}"
    if "No match in the defaults list" in text and words.group_of(key) is None and (words.configs / key).is_dir():
        if "/" in key:
            group, part = key.split("/", 1)
            return (
                f"the {group}= that is chosen has no {key}= to choose; change the keys under {group}.{part} themselves"
            )
        return f"{words.program}.py has no {key}=, which something that was typed chooses: that is for another program"
    shared = re.match(r"fusion\.descriptors\.(backbone|reduce)\b", key)
    if shared and _key_of(error.__cause__ or error, text) == shared[0]:  # not even that is there
        basis = key.replace("descriptors", "basis", 1)
        return f"{key}: a fusion of one network in both roles takes that of both from {basis}; leave this one out"
    return _no_such_key(key, words)


def _other_package(key: str, text: str, words: Vocabulary) -> str:
    """``branch@fusion.descriptors.backbone`` where the fusion has one network in both roles."""
    group = key.split("@")[0]
    instead = re.search(r"Did you mean to override (\S+?)\?", text)
    if group == "branch" and instead and instead[1] != key:
        return (
            f"{key}: this fusion has one network in both roles, chosen with {instead[1]}=NAME; for two networks "
            "take a fusion of two, "
            "such as fusion=dinov2_sd"
        )
    return f"{key} does not exist" + (
        f"; did you mean {instead[1]}?" if instead else "; the option belongs to a part that is not chosen"
    )


def _no_such_key(key: str, words: Vocabulary) -> str:
    parts = key.split(".")
    if parts[0] in ("dataset", "test") and len(parts) > 2:
        group = "dataset" if parts[0] == "dataset" else "dataset@test"
        near = difflib.get_close_matches(parts[1], words.options("dataset"), n=1, cutoff=0.5)
        if parts[1] in words.options("dataset"):
            return (
                f"{key} does not exist: it would belong to {group}={parts[1]}, which may not be chosen, or have "
                f"no option {parts[-1]}"
            )
        return f"{key}: there is no data set {parts[1]}" + (
            f"; did you mean {'.'.join([parts[0], near[0], *parts[2:]])}?" if near else ""
        )
    return f"{key} does not exist in what was chosen{_hint(key, words)}"


def _hint(key: str, words: Vocabulary) -> str:
    if key in words.keys:
        return f"; it belongs to another choice of {key.partition('.')[0]}="
    near = [name for name in words.near(key) if name != key]
    if near:
        return f"; did you mean {' or '.join(near)}?"
    part = key.rpartition(".")[0]
    inside = [name.removeprefix(f"{part}.") for name in words.keys if part and name.rpartition(".")[0] == part]
    return f"; {part} has {', '.join(inside)}" if inside else f"; python {words.program}.py --help lists all"


def _key_of(error: BaseException, text: str) -> str:
    """The dotted key that an error of OmegaConf is about."""
    return getattr(error, "full_key", None) or (re.search(r"full_key: (\S+)", text) or ["", "the configuration"])[1]


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _joined(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines() if line.strip() and "hydra.cc" not in line)
