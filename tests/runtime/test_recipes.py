"""Recipes and methods set what fits: every combination of choices can be built, or is refused by a sentence that names
both.
"""

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, open_dict
from tests.composing import CONFIGS, options, yaml_of

from pullback.runtime.checks import ConfigError, check
from pullback.runtime.recipes import fitted
from pullback.runtime.settings import instantiate, register_resolvers

SETTING = ("backbone", "solver", "loss", "optimizer", "scheduler", "trainer")
MESH_SOLVERS = [name for name in options("solver") if "defaults" not in yaml_of("solver", name)]
RECIPES = ["recipe=fast", "recipe=official_template"]  # the others set nothing in parts that may be chosen otherwise
LEARNED = ["simplified", "ulrssm", "consistent_fmaps", "geomfmaps", "geomfmaps_supervised"]


def composed(program: str, *overrides: str) -> DictConfig:
    """As a command gets it; inside one context of Hydra, which is faster than a new one each time."""
    return fitted(compose(program, overrides=[*overrides, "paths.output_dir=unused"]), program, overrides)


def built(program: str, *chosen: str) -> str | None:
    """What the configuration is refused with; None where all of its parts could be built."""
    cfg = composed(program, *chosen)
    try:
        check(cfg)
    except ConfigError as refusal:
        return str(refusal)
    with torch.device("meta"):
        for part in ("backbone", "solver", "loss"):
            instantiate(cfg[part])
    return None


def named(message: str, choice: str) -> bool:
    """Whether a refusal names what was chosen: by the option, the class or the reason why it does not fit."""
    target = yaml_of("solver", choice)["_target_"].rsplit(".", 1)[-1]
    return choice in message or target in message or "solver." in message


@pytest.fixture(scope="module")
def hydra():
    register_resolvers()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONFIGS)):
        yield


@pytest.mark.parametrize("solver", MESH_SOLVERS)
def test_every_solver_trains_by_every_recipe_or_is_refused_by_name(hydra, solver):
    for recipe in RECIPES:
        refusal = built("train", f"solver={solver}", recipe)
        assert refusal is None or named(refusal, solver), (recipe, refusal)


@pytest.mark.parametrize("method", LEARNED)
def test_every_solver_fits_a_method_or_both_are_named(hydra, method):
    for solver in MESH_SOLVERS:
        refusal = built("train", f"method={method}", f"solver={solver}")
        assert refusal is None or named(refusal, solver), (solver, refusal)
        assert refusal is None or "is no option of" not in refusal or f"method={method}" in refusal


@pytest.mark.parametrize("backbone", options("backbone"))
def test_every_backbone_fits_recipes_and_methods_or_is_refused_by_name(hydra, backbone):
    told = ("the backbone", "backbone=landmarks", "is no option of RawDescriptor", "is no option of LandmarkFeatures")
    for setting in [*RECIPES, *(f"method={method}" for method in LEARNED[1:])]:
        refusal = built("train", f"backbone={backbone}", setting)
        assert refusal is None or any(word in refusal for word in told), refusal


@pytest.mark.parametrize("method", ["zoomout", "landmarks_zoomout"])
def test_every_part_fits_a_method_without_training(hydra, method):
    for choice in [*(f"solver={name}" for name in MESH_SOLVERS), *(f"backbone={name}" for name in options("backbone"))]:
        refusal = built("eval", f"method={method}", choice, "untrained=true")
        assert refusal is None or "landmarks=" in refusal, refusal


@pytest.mark.parametrize("method", [name for name in options("method") if name not in LEARNED])
def test_a_method_without_training_chooses_parts_and_sets_none_of_their_options(method):
    assert set(yaml_of("method", method)) <= {"defaults", "method_name", "landmarks"}


@pytest.mark.parametrize("recipe", options("recipe"))
def test_a_recipe_lists_all_that_it_sets_in_parts_that_may_be_chosen_otherwise(recipe):
    groups = (yaml_of("recipe", recipe).get("recipe") or {"sets": []})["sets"]
    told = [key for group in groups for key in ([group] if isinstance(group, str) else group)]
    sections = yaml.safe_load((CONFIGS / "recipe" / f"{recipe}.yaml").read_text())
    set_there = [key for part in SETTING[:-1] for key in dotted(sections.get(part) or {}, part)]
    assert sorted(told) == sorted(set_there)


def dotted(tree, prefix):
    for key, below in tree.items():
        yield from dotted(below, f"{prefix}.{key}") if isinstance(below, dict) else [f"{prefix}.{key}"]


def test_values_that_mean_something_together_are_set_together_or_not_at_all(hydra):
    whole, half = composed("train"), composed("train", "solver=sampled_zoomout")
    assert (whole.backbone.normalise, whole.solver.init_blur, whole.solver.init_relative) == ("unit_rows", 0.2, False)
    assert (half.backbone.normalise, half.solver.init_blur) == (None, None), "a relative blur of 0.2 is another thing"


def test_what_a_part_has_without_the_recipe_stays(hydra):
    assert composed("train", "solver=two_branch").solver.init_blur == pytest.approx(0.07**0.5)
    assert composed("train", "solver=two_branch", "solver.init_blur=0.3").solver.init_blur == 0.3


def test_an_option_that_only_the_recipe_brought_is_refused(hydra):
    with pytest.raises(ConfigError, match=r"solver\.init_blur does not exist in what was chosen"):
        composed("train", "solver=regularised", "solver.init_blur=0.3")


def test_the_recipe_leaves_no_trace(hydra):
    assert "recipe" not in composed("train")
    assert set(composed("train", "backbone=raw_wks").backbone) == {"_target_", "descriptor"}


def test_a_class_of_somebody_gets_what_it_has_and_nothing_else(hydra, tmp_path, monkeypatch):
    (tmp_path / "theirs.py").write_text("class Theirs:\n    def __init__(self, *, refinement='none'):\n        pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    cfg = compose("train", overrides=["paths.output_dir=unused"])
    with open_dict(cfg):
        cfg.solver = {"_target_": "theirs.Theirs", "refinement": "hard", "init_blur": 0.2, "init_relative": False}
    solver = fitted(cfg, "train", ["solver=regularised"]).solver  # whose yaml has none of these options
    assert dict(solver) == {"_target_": "theirs.Theirs", "refinement": "hard"}
