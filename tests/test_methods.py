"""Every learned method on tiny shapes in the true on-disk format: its losses teach the whole network,
and a run of it can be repeated.
"""

import numpy as np
import pytest
import torch
from tests.composing import composed, options
from tests.fakes import write_faust
from tests.later import later
from tests.test_configs import AXIOMATIC, LEARNED
from tests.test_entry_points import SMALL, TINY_NETWORK, figures, metrics, run

from pullback.runtime.checks import check

runtime_build = later("pullback.runtime.build")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a small FAUST_r and a cache."""
    folder = tmp_path_factory.mktemp("home")
    write_faust(folder / "data" / "FAUST_r", [*range(6), *range(80, 83)])
    return folder


@pytest.fixture(scope="module")
def faust(home) -> list[str]:
    return [
        "dataset=faust",
        "dataset.faust.allow_missing=true",
        f"paths.data_dir={home / 'data'}",
        f"paths.cache_dir={home / 'cache'}",
    ]


def tiny_solver(method: str) -> list[str]:
    if method == "simplified":
        return ["solver.k_init=10", "solver.step=5", "solver.n_steps=2"]
    return ["solver.k=20"]


def test_methods_are_learned_or_axiomatic():
    assert set(LEARNED) | set(AXIOMATIC) == set(options("method")) and not set(LEARNED) & set(AXIOMATIC)


@pytest.mark.parametrize("method", LEARNED)
def test_every_weight_of_the_network_learns_and_the_loss_of_a_pair_falls(method, home, faust, tmp_path):
    network = [*TINY_NETWORK, "backbone.network.dropout=0.0", "optimizer.lr=0.003"]
    cfg = composed("train", *faust, *SMALL, *network, *tiny_solver(method), f"method={method}", output_dir=tmp_path)
    check(cfg)
    with torch.random.fork_rng():
        built = runtime_build.build(cfg)
    module, data = built.module, built.data
    data.prepare_data()
    data.setup("fit")
    pair = data.train_set[0]
    optimiser, losses = module.optimizer_factory(module.parameters()), []
    for _ in range(8):
        loss = sum(module.loss_terms(module.match(pair, learning=True), pair).values())
        optimiser.zero_grad()
        loss.backward()
        losses.append(float(loss))
        optimiser.step()
    still = [
        name for name, weight in module.backbone.named_parameters() if weight.grad is None or not weight.grad.any()
    ]
    assert still == [] and np.isfinite(losses).all()
    assert min(losses[1:]) < losses[0]


@pytest.fixture(scope="module")
def trained(home, faust):
    """The folder of a finished training of the two-branch network."""
    short = ["trainer.max_steps=4", "trainer.val_check_interval=2", "trainer.log_every_n_steps=1", "run=[match,score]"]
    run("train", *faust, *SMALL, *TINY_NETWORK, "method=ulrssm", "solver.k=20", *short, folder=home / "two_branch")
    return home / "two_branch"


def test_a_two_branch_training_is_tested_by_the_map_that_its_protocol_names(trained):
    (result,) = metrics(trained)["results"]
    assert 0 < result["metrics"]["geodesic_error_x100"] < 200
    assert result["protocol"]["refinement"].startswith("TwoBranch (")
    assert all(
        said in result["protocol"]["refinement"]
        for said in ("k 20", "lam 100.0", "mask resolvent", "read_out spectral")
    )
    assert metrics(trained)["method"] == "ulrssm"
    assert result["protocol"]["checkpoint"].startswith("best val/loss on pairs of held-out training shapes")


def test_its_checkpoint_is_evaluated_again_and_read_out_otherwise(trained, home, faust):
    again = [*faust, *SMALL, "run=[match,score]", f"ckpt={trained}/checkpoints/best.ckpt"]
    run("eval", *again, folder=home / "again")
    assert figures(home / "again") == figures(trained)
    run("eval", *again, "+solver.read_out=features", folder=home / "features")
    assert "read_out features" in metrics(home / "features")["results"][0]["protocol"]["refinement"]


def test_maps_that_are_found_late_are_found_in_full_precision(home, faust):
    """Validation and test read point maps when the solver has long returned:
    mixed precision must have ended there too.
    """
    short = ["trainer.max_steps=2", "trainer.val_check_interval=2", "trainer.precision=bf16-mixed", "run=[match,score]"]
    run("train", *faust, *SMALL, *TINY_NETWORK, "method=ulrssm", "solver.k=20", *short, folder=home / "mixed")
    assert 0 < figures(home / "mixed")[0]["geodesic_error_x100"] < 200


@pytest.mark.parametrize("method", AXIOMATIC)
def test_an_axiomatic_method_is_evaluated_by_its_name(method, home, faust):
    small = ["solver.k=20"] if method == "nearest" else ["solver.k_init=10", "solver.step=5", "solver.n_steps=2"]
    run(
        "eval",
        *faust,
        *SMALL,
        f"method={method}",
        *small,
        "backbone.descriptor.k=40",
        "run=[match,score]",
        folder=home / method,
    )
    (result,) = metrics(home / method)["results"]
    assert metrics(home / method)["method"] == method
    assert 0 <= result["metrics"]["geodesic_error_x100"] < 200
