"""What made the figures of a run, in words: the names of its method and parts, and the settings that were typed."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pullback.comparison.records import Record, training_of
from pullback.comparison.run_files import read_overrides, read_yaml


def method_of(record: Record) -> tuple[str, ...]:
    """What made the figures.

    The method's name, fusion or backbone, solver with its mode, the checkpoint's rule and the recipe of a training, and
    what was typed.

    Names are those typed on the command line (``.hydra/hydra.yaml``; of a checkpoint, on that of its training), else
    the classes in ``config.yaml``.
    """
    run, protocol = record.run, record.protocol
    config = read_yaml(run / "config.yaml")
    choices = _choices(run, config)
    features = choices.get("fusion") or protocol.get("fusion") or choices.get("backbone")
    solver = (
        choices.get("solver")
        or str(_part(config, "solver").get("_target_", "")).rsplit(".", 1)[-1]
        or protocol.get("solver")
    )
    mode = protocol.get("mode") or _mode(config.get("solver"))
    tuned = "" if record.fine_tuning in (None, "off") else f"fine-tuned ({record.fine_tuning})"
    how = solver if mode in (None, "", solver) else f"{solver} ({mode})"
    recipe = f"recipe={choices['recipe']}" if choices.get("recipe") else ""
    words = [record.method, features, how, _weights(protocol), tuned, recipe, *_typed(run)]
    return tuple(str(word) for word in words if word)


def _choices(run: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """What was chosen of each group, by name.

    Backbone and solver that nobody typed come from the training of a checkpoint, from stored predictions (which do not
    tell their names), or from a file of weights that settled them.
    """
    choices = dict(_part(read_yaml(run / ".hydra" / "hydra.yaml"), "hydra", "runtime", "choices"))
    typed = {text.lstrip("+").split("=")[0] for text in read_overrides(run / ".hydra" / "overrides.yaml")}
    stored = "match" not in config.get("run", ["match"]) and "optimizer" not in config
    if config.get("ckpt") is not None or stored:
        trained = training_of(config, config.get("ckpt"))
        theirs = {} if trained is None else _choices(trained, read_yaml(trained / "config.yaml"))
        choices |= {group: theirs.get(group) for group in ("backbone", "solver") if group not in typed}
    settled = dict(str(text).split("=", 1) for text in config.get("weights_settle") or ())
    return choices | {group: name for group, name in settled.items() if group in ("backbone", "solver")}


def _part(config: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """A mapping inside a configuration; empty where there is none."""
    for name in names:
        below = config.get(name)
        config = below if isinstance(below, Mapping) else {}
    return config


def _mode(solver: Any) -> str | None:
    """The first ``mode`` of a solver, or of something inside it."""
    if not isinstance(solver, Mapping):
        return None
    found = (_mode(value) for value in solver.values())
    return solver.get("mode") or next((mode for mode in found if mode), None)


def _weights(protocol: Mapping[str, Any]) -> str:
    """The rule of a checkpoint in short: "best, trained on humans", "untrained", "last, …".

    Nothing where nothing is trained.
    """
    rule = str(protocol.get("checkpoint", ""))
    if not rule or rule.startswith("none"):
        return "untrained" if "untrained" in rule else ""
    return ", ".join([re.split(r"[ ,]", rule)[0], *re.findall("trained on [^;]*", rule)])


def _typed(run: Path) -> list[str]:
    """The overrides of single values on the command line (``fusion.basis.backbone.layer=9``):
    they set runs of a sweep apart.
    """
    typed = read_overrides(run / ".hydra" / "overrides.yaml")
    left_out = ("hydra.", "paths.", "predictions=", "ckpt=", "run=", "trainer.", "data.num_workers", "data.batch_pairs")
    return [text for text in typed if "." in text.split("=")[0] and not text.lstrip("+~").startswith(left_out)]
