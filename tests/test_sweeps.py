"""Every value of every sweep composes, and passes the checks of a training or an evaluation."""

import re
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import OmegaConf
from tests.composing import composed, options, yaml_of

from pullback.runtime.checks import check
from pullback.runtime.hydra_errors import while_composing
from pullback.runtime.option_names import Vocabulary
from pullback.runtime.settings import to_plain
from pullback.runtime.sweeping import again_in

CONFIGS = Path(__file__).parents[1] / "configs"

# Sweeps over photographs, and what has to be chosen for their keys to exist.
OF_PHOTOGRAPHS = {
    "fmaps": ["dataset=tss"],
    "graph": ["dataset=tss"],
    "image_methods": ["dataset=tss"],
    "layer_pairs": ["dataset=tss", "fusion=dinov2_layers9_11"],
    "refiner": ["dataset=tss", "solver=paper"],
}
# Tables of the image paper: each says itself on which photographs.
OF_TABLES = ("backbone_pairs", "categories", "facets", "pair_losses", "roles", "two_layers")


def jobs(sweep: str, *typed: str) -> list[list[str]]:
    """The overrides of each job of a sweep, in the order in which Hydra's own sweeper makes them.

    What is typed takes the place of what the sweep says of the same key, as it does there.
    """
    params = dict(yaml_of("sweep", sweep)["hydra"]["sweeper"]["params"])
    params |= dict(override.split("=", 1) for override in typed)
    parsed = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
    values = [[f"{override.key_or_group}={value}" for value in values_of(override)] for override in parsed]
    return [list(job) for job in product(*values)]


def values_of(override: Override) -> list[str]:
    """What an override takes in turn: one value, or several."""
    if override.is_sweep_override():
        return list(override.sweep_string_iterator())
    return [override.get_value_element_as_str()]


def cover(sweep: str, *typed: str) -> list[list[str]]:
    """Jobs that hold every value of every parameter, as few as there are values of the longest."""
    values = [list(dict.fromkeys(column)) for column in zip(*jobs(sweep, *typed), strict=True)]
    return [[column[i % len(column)] for column in values] for i in range(max(map(len, values)))]


STUDIES = [sweep for sweep in options("sweep") if sweep.startswith("optuna_")]
CASES = [(sweep, job) for sweep in options("sweep") if sweep not in STUDIES for job in cover(sweep)]


@pytest.mark.parametrize(("sweep", "job"), CASES, ids=[f"{sweep}: {' '.join(job)}" for sweep, job in CASES])
def test_every_value_of_a_sweep_composes_and_passes_the_checks(sweep, job):
    image = sweep in OF_TABLES or sweep in OF_PHOTOGRAPHS
    of_meshes = ["eval", "untrained=true"] if sweep == "read_outs" else ["train"]
    program = ["eval", *OF_PHOTOGRAPHS.get(sweep, ())] if image else [*of_meshes, "dataset=faust"]
    cfg = composed(*program, f"sweep={sweep}", *job)
    check(cfg)
    resolved = to_plain(cfg)
    assert resolved["module"]["solver"] == resolved["solver"]


def typed_at_hand(sweep: str) -> list[str]:
    """The overrides that the comment of a table's sweep gives for a CPU and the weights of this project."""
    text = (CONFIGS / "sweep" / f"{sweep}.yaml").read_text(encoding="utf-8").split("hydra:")[0]
    return re.findall(r"[\w.]+=\S+", text.split("and a CPU:")[1])


@pytest.mark.parametrize("sweep", OF_TABLES)
def test_every_table_can_be_made_with_the_weights_at_hand_as_its_sweep_says(sweep):
    typed = typed_at_hand(sweep)
    for job in cover(sweep, *typed):
        cfg = composed("eval", f"sweep={sweep}", *job)
        check(cfg)
        weights = [branch.backbone.get("weights") for branch in (cfg.fusion.basis, cfg.fusion.descriptors)]
        assert not [name for name in weights if name is not None and not name.startswith(cfg.paths.weights_dir)]
        assert cfg.solver.optimiser is None or cfg.solver.optimiser.get("steps", 0) <= 300


def test_tables_of_the_image_paper_are_numbered_in_their_comments():
    comments = [(CONFIGS / "sweep" / f"{sweep}.yaml").read_text(encoding="utf-8") for sweep in OF_TABLES]
    told = {number for text in comments for number in re.findall(r"\b(A?\d)\b", text.split(" of the image paper")[0])}
    assert told == {"1", "2", "3", "4", "5", "6", "A1", "A2"}


def test_the_ablation_of_the_loss_has_the_four_rows_of_its_table():
    losses = [composed("eval", "sweep=pair_losses", *job).solver.optimiser.loss for job in jobs("pair_losses")]
    assert [(bool(loss.diag), bool(loss.cons)) for loss in losses] == list(product((False, True), repeat=2))


@pytest.mark.parametrize("study", STUDIES)
def test_what_a_study_looks_for_are_options(study):
    searched = yaml_of("sweep", study)["hydra"]["sweeper"]["params"]
    cfg = composed("train", "dataset=faust")
    assert searched and all(isinstance(OmegaConf.select(cfg, key), float) for key in searched)


@pytest.mark.parametrize("study", STUDIES)
def test_a_study_lies_beside_its_trials(study):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason="needs pip install 'pullback[optuna]'")
    composed("train", "experiment=quickstart", f"sweep={study}")
    sweep = yaml_of("sweep", study)["hydra"]
    assert (
        sweep["sweep"]["dir"].split("/${now")[0]
        == sweep["sweeper"]["storage"].removeprefix("sqlite:///")[: -len("/study.db")]
    )


def test_a_database_that_a_study_cannot_use_is_told():
    errors = pytest.importorskip("sqlalchemy.exc", reason="needs pip install 'pullback[optuna]'")
    error = errors.OperationalError("INSERT …", {}, OSError("database or disk is full"))
    told = while_composing(error, Vocabulary("train", CONFIGS))
    assert "hydra.sweeper.storage, cannot be used" in told and "disk is full; make room" in told


def test_a_job_that_was_stopped_goes_on_in_the_folder_of_its_sweep(monkeypatch):
    assert again_in(Path("/runs/x/2")) == "hydra.run.dir=/runs/x/2"
    told = SimpleNamespace(
        mode=RunMode.MULTIRUN, sweep=SimpleNamespace(dir="runs/x"), runtime=SimpleNamespace(cwd="/home/me")
    )
    monkeypatch.setattr(HydraConfig, "initialized", lambda: True)
    monkeypatch.setattr(HydraConfig, "get", lambda: told)
    assert again_in(Path("/home/me/runs/x/2")) == "hydra.sweep.dir=/home/me/runs/x"


def test_step_sizes_all_end_at_the_same_size():
    solvers = [composed("train", "sweep=step_size", *job).solver for job in jobs("step_size")]
    assert [solver.k_init + solver.step * solver.n_steps for solver in solvers] == 4 * [130]


def test_backends_differ_in_nothing_but_the_backend():
    dense, blocked = (
        OmegaConf.to_container(composed("train", "sweep=backends", *job).solver) for job in jobs("backends")
    )
    assert (dense.pop("backend"), blocked.pop("backend")) == ("dense", "blocked")
    assert dense == blocked and dense["refinement"] == "soft"
