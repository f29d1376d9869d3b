"""What messages, comments and documents tell people to type works: options exist, choices compose,
commands are accepted.
"""

import importlib
import re
import shlex
from collections.abc import Sequence
from dataclasses import fields
from functools import cache

import pytest
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf
from tests.advice import advised_by_documents, advised_by_messages, commands
from tests.composing import CONFIGS, ROOT, composed, options, yaml_of

from pullback.errors import UsageError
from pullback.moved import as_typed_now
from pullback.runtime.checks import ConfigError, check
from pullback.runtime.command_line import overrides
from pullback.runtime.option_names import PROGRAMS, Vocabulary
from pullback.runtime.value_checks import leaves

_OF_PHOTOS = ("image_folder", "pf_pascal", "pf_willow", "photos", "spair71k", "tss")
_OF_MESHES = tuple(name for name in options("dataset") if name not in _OF_PHOTOS)
# What must be chosen before an option exists, tried in this order.
CONTEXTS = (
    *(("train", ()), ("eval", ()), ("match", ()), ("eval", ("dataset=tss",)), ("match", ("files=image",))),
    *(("train", (f"dataset=[{','.join(_OF_MESHES)}]",)), ("eval", (f"dataset=[{','.join(_OF_PHOTOS)}]",))),
    *(("eval", ("dataset=tss", f"solver={name}")) for name in ("paper", "release")),
    *(("eval", ("dataset=tss", f"fusion={name}")) for name in ("sd_dinov2", "dinov2_layers9_11", "cnn_gradients")),
    *(("train", (f"solver={name}",)) for name in ("sampled_zoomout", "regularised", "discrete")),
    *(
        ("train", (text,))
        for text in ("recipe=paper", "method=consistent_fmaps", "backbone=landmarks", "backbone=diffusion_net_xyz")
    ),
    ("eval", ("adaptation=fine_tuning", "loss=[orthogonality,consistency]")),
    ("train", ("logger=wandb",)),
)
# In the place of what a reader fills in.
EXAMPLES = {
    **{"NAME": "humans", "dataset=NAME": "humans", "dataset@test=NAME": "humans", "solver=NAME": "closed_form"},
    **{"fusion=NAME": "dinov2_sd", "FUSION": "fusion=dinov2_sd", "backbone=NAME": "raw_wks", "method=NAME": "zoomout"},
    **{f"branch@fusion.{branch}.backbone=NAME": "sd21" for branch in ("basis", "descriptors")},
}
# Of classes and functions, in messages to those who call them from Python.
FOR_PYTHON = (
    "geometry/",
    "mapping/",
    "figures/",
    "metrics/",
    "types.py",
    "runtime/command_line.py",
    "runtime/path_options.py",
)
IN_PYTHON = ("config_dir", "inference_mode", "weights_only", "sample", "image_size", "heads", "epochs")
# Of scripts of the ledger, of a plugin of Hydra, and what code looks for.
ELSEWHERE = {"sigma", "constant", "hydra.mode", "hydra.sweeper.storage", "sweep"}


@cache
def keys_of(program: str, chosen: tuple[str, ...]) -> frozenset[str]:
    """All dotted keys of a composition, with those of whole parts."""
    tree = OmegaConf.to_container(composed(program, *chosen), resolve=False)
    found = {key for key, _ in leaves(tree)}
    parts = {key.rsplit(".", i)[0] for key in found for i in range(1, key.count(".") + 1)}
    return frozenset(found | parts | {"hydra.run.dir", "hydra.sweep.dir", "hydra.sweeper.params"})


def context_of(key: str) -> tuple[str, tuple[str, ...]] | None:
    """A program, and what must be chosen, for an option to exist."""
    found = ((program, chosen) for program, chosen in CONTEXTS if key in keys_of(program, chosen))
    return next(found, ("train", ()) if key in keys_of_launchers() else None)


@cache
def keys_of_launchers() -> frozenset[str]:
    """The keys of the files in configs/cluster, and of what submits to Slurm."""
    written = {key for option in options("cluster") for key, _ in leaves(yaml_of("cluster", option))}
    plugin = importlib.import_module("hydra_plugins.hydra_submitit_launcher.config")
    return frozenset(written | {f"hydra.launcher.{field.name}" for field in fields(plugin.SlurmQueueConf)})


def ends_an_option(key: str) -> bool:
    """Whether a bare name is the last segment of an option: a message of a part, which knows no more of its place."""
    return any(known.endswith(f".{key}") for context in CONTEXTS for known in keys_of(*context))


@cache
def problem_with(typed: str, key: str, value: str) -> str | None:
    """Why an override that somebody is told to type would be refused; None where it works."""
    key = as_typed_now(f"{key}=").removesuffix("=")  # old names may still be written down
    key = key.replace(".NAME.", ".faust.").replace(".¤.", ".faust.").removesuffix(".faust.name")
    group = key.split("@")[0]
    if any(group in Vocabulary(program, CONFIGS).groups for program in PROGRAMS):
        return problem_with_choice(typed, key, group, value)
    if "." not in key and not any(Vocabulary(program, CONFIGS).knows(key) for program in PROGRAMS):
        return None if ends_an_option(key) else f"{key} is no option, and none ends with it"
    if typed.startswith("+") or key.startswith("dataset.faust"):
        return None if context_of(key) or typed.startswith("+") else f"{key} does not exist"
    found = context_of(key)
    return None if found else f"{key} exists in no composition"


def problem_with_choice(typed: str, key: str, group: str, value: str) -> str | None:
    value = EXAMPLES.get(f"{key}={value}", value)
    if value == "" or "¤" in value:
        return None  # the option alone is named
    reasons = []
    for program, chosen in CONTEXTS:
        if not Vocabulary(program, CONFIGS).knows(key):
            continue
        try:
            composed(program, *chosen, *overrides([f"{key}={value}"], program, CONFIGS))
            return None
        except MissingConfigException as error:
            if (error.missing_cfg_file or "").startswith(("hydra/launcher", "hydra/sweeper")):
                return None  # the choice is there; its extra is not installed here
            reasons.append(f"{program} {chosen}: {error}")
        except Exception as error:
            reasons.append(f"{program} {chosen}: {str(error).splitlines()[0]}")
    return "; ".join(reasons[:3])


def refused(rows: Sequence[tuple[str, str, str, str]]) -> list[str]:
    found = [
        (place, typed, problem_with(typed, key, value)) for place, typed, key, value in rows if key not in ELSEWHERE
    ]
    return [f"{place}: {typed}: {problem}" for place, typed, problem in found if problem]


def test_every_option_that_a_message_names_exists():
    rows = [row for row in advised_by_messages() if not row[0].startswith(FOR_PYTHON) and row[2] not in IN_PYTHON]
    assert len(rows) > 150
    assert refused(rows) == []


def test_every_option_that_a_document_or_a_comment_names_exists():
    rows = advised_by_documents()
    assert len(rows) > 150
    assert refused(rows) == []


def filled(command: str) -> list[str]:
    """The arguments of a documented command, with examples for what a reader fills in."""
    words = [EXAMPLES.get(word, word) if word.isupper() else word for word in shlex.split(command) if word != "…"]
    words = [word.replace("NAME", EXAMPLES[word]) if word.endswith("=NAME") else word for word in words]
    return [word.replace("=…", "=FILE") for word in words if word != "dataset=…"]


# A list of pairs is read before anything else: test_pairs_entry_points.py runs that command.
def first_of_sweep(typed: Sequence[str]) -> list[str]:
    """The data set, the networks and the solver of a sweep's first job, where the sweep chooses them."""
    names = [word.removeprefix("sweep=") for word in typed if word.startswith("sweep=")]
    params = {
        key: value for name in names for key, value in yaml_of("sweep", name)["hydra"]["sweeper"]["params"].items()
    }
    return [f"{key}={str(params[key]).split(',')[0]}" for key in ("dataset", "fusion", "solver") if key in params]


@pytest.mark.parametrize("command", [text for _, text in commands() if re.match(r"python(?!.*pairs=)", text)])
def test_every_documented_command_is_accepted(command):
    _, script, *typed = filled(command)
    program = script.removesuffix(".py")
    accepted = [word for word in overrides(typed, program, CONFIGS) if not word.startswith(("-", "sweep="))]
    if "-m" in typed:  # the first of the values that are swept
        accepted = [word if "[" in word else word.split(",")[0] for word in accepted]
    cfg = composed(program, *first_of_sweep(typed), *accepted)
    if cfg.get("ckpt") is None and "predictions=" not in command:
        check(cfg)


def test_every_documented_target_of_make_exists():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = {word for _, text in commands() if text.startswith("make ") for word in text.split()[1:] if "=" not in word}
    assert named and named <= set(targets)


@pytest.mark.parametrize(
    ("program", "typed"),
    [
        *(
            ("train", f"{group}=null")
            for group in ("adaptation", "recipe", "method", "experiment", "sweep", "debug", "logger", "callbacks")
        ),
        *(("train", text) for text in ("loss=null", "fusion=null", "dataset@test=null", "adaptation=none")),
        *(("eval", text) for text in ("method=null", "adaptation=null", "loss=none", "fusion=NULL")),
        ("match", "fusion=null"),
    ],
)
def test_no_choice_of_a_group_can_be_typed_as_null(program, typed):
    composed(program, *overrides([typed], program, CONFIGS))


def test_a_photograph_needs_no_backbone_and_a_mesh_no_fusion():
    check(composed("eval", *overrides(["dataset=tss", "backbone=null"], "eval", CONFIGS)))
    check(composed("match", *overrides(["files=image", "backbone=null"], "match", CONFIGS)))
    with pytest.raises(ConfigError, match=r"there is no fusion; choose one, such as fusion=gradients_cnn"):
        check(composed("eval", *overrides(["dataset=tss", "fusion=null"], "eval", CONFIGS)))


def test_what_a_program_cannot_do_without_is_not_dropped():
    with pytest.raises(UsageError, match=r"solver=null: train\.py cannot do without it; there are .*zoomout"):
        overrides(["solver=null"], "train", CONFIGS)


@pytest.mark.parametrize("fusion", ["dinov2_sd", "dinov2_layers9_11", "vit_folder_layers7_9", "cnn_gradients"])
def test_a_branch_of_a_fusion_of_two_is_replaced_as_a_whole(fusion):
    replaced = composed(
        "eval", "dataset=tss", f"fusion={fusion}", "branch@fusion.descriptors.backbone=sd21"
    ).fusion.descriptors.backbone
    assert (
        replaced
        == composed("eval", "dataset=tss", "fusion=sd_sd", "branch@fusion.basis.backbone=sd21").fusion.basis.backbone
    )
