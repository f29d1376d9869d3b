"""Every value of every sweep composes, and passes the checks of a training or an evaluation."""

from itertools import product

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf
from tests.composing import composed, options, yaml_of

from pullback.runtime.checks import check
from pullback.runtime.settings import to_plain

# Sweeps over photographs, and what has to be chosen for their keys to exist.
OF_PHOTOGRAPHS = {
    "backbone_pairs": [],
    "graph": [],
    "image_methods": [],
    "layer_pairs": ["fusion=dinov2_layers9_11"],
    "pair_losses": ["solver=paper"],
}


def jobs(sweep: str) -> list[list[str]]:
    """The overrides of each job of a sweep, in the order in which Hydra's own sweeper makes them."""
    params = yaml_of("sweep", sweep)["hydra"]["sweeper"]["params"]
    parsed = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
    values = [[f"{override.key_or_group}={value}" for value in override.sweep_string_iterator()] for override in parsed]
    return [list(job) for job in product(*values)]


def cover(sweep: str) -> list[list[str]]:
    """Jobs that hold every value of every parameter, as few as there are values of the longest."""
    values = [list(dict.fromkeys(column)) for column in zip(*jobs(sweep), strict=True)]
    return [[column[i % len(column)] for column in values] for i in range(max(map(len, values)))]


CASES = [(sweep, job) for sweep in options("sweep") for job in cover(sweep)]


@pytest.mark.parametrize(("sweep", "job"), CASES, ids=[f"{sweep}: {' '.join(job)}" for sweep, job in CASES])
def test_every_value_of_a_sweep_composes_and_passes_the_checks(sweep, job):
    program = ["eval", "dataset=tss", *OF_PHOTOGRAPHS[sweep]] if sweep in OF_PHOTOGRAPHS else ["train", "dataset=faust"]
    cfg = composed(*program, f"sweep={sweep}", *job)
    check(cfg)
    resolved = to_plain(cfg)
    assert resolved["module"]["solver"] == resolved["solver"]


def test_step_sizes_all_end_at_the_same_size():
    solvers = [composed("train", "sweep=step_size", *job).solver for job in jobs("step_size")]
    assert [solver.k_init + solver.step * solver.n_steps for solver in solvers] == 4 * [130]


def test_backends_differ_in_nothing_but_the_backend():
    dense, blocked = (
        OmegaConf.to_container(composed("train", "sweep=backends", *job).solver) for job in jobs("backends")
    )
    assert (dense.pop("backend"), blocked.pop("backend")) == ("dense", "blocked")
    assert dense == blocked and dense["refinement"] == "soft"
