"""Dirichlet energies of features, and the script that compares checkpoints by them."""

import json

import numpy as np
import pytest
import torch
from experiments.smoothness.figures import chosen_channels, principal_colours
from tests.composing import composed
from tests.fakes import write_faust
from tests.later import later

runtime_build = later("pullback.runtime.build")
smoothness = later("experiments.smoothness.__main__")
smoothness_energies = later("experiments.smoothness.energies")


def test_the_energy_of_an_eigenfunction_is_its_eigenvalue(tiny_shape):
    evals, evecs = tiny_shape.basis.evals.double().numpy(), tiny_shape.basis.evecs.double().numpy()
    quotients, total = smoothness_energies.rayleigh_quotients(tiny_shape, evecs[:, 1:6])
    assert np.allclose(quotients, evals[1:6], rtol=1e-3)
    assert total == pytest.approx(evals[1:6].mean(), rel=1e-3)


def test_scale_and_mean_of_a_channel_do_not_change_its_energy(tiny_shape):
    features = tiny_shape.basis.evecs[:, 1:9].double().numpy() @ np.random.default_rng(0).normal(size=(8, 3))
    changed = features * [1.0, -20.0, 0.01] + [0.0, 5.0, -3.0]
    assert np.allclose(
        *(smoothness_energies.rayleigh_quotients(tiny_shape, values)[0] for values in (features, changed))
    )


def test_the_energy_of_all_channels_does_not_change_when_they_are_rotated(tiny_shape):
    rng = np.random.default_rng(0)
    features = tiny_shape.basis.evecs[:, 1:9].double().numpy() * rng.uniform(0.1, 3, 8)
    rotated = features @ np.linalg.qr(rng.normal(size=(8, 8)))[0]
    before, after = (smoothness_energies.rayleigh_quotients(tiny_shape, values) for values in (features, rotated))
    assert after[1] == pytest.approx(before[1])
    assert not np.allclose(np.sort(after[0]), np.sort(before[0]), rtol=0.05)


def test_a_constant_channel_has_no_energy_and_features_of_such_are_refused(tiny_shape):
    constant = np.full((tiny_shape.n, 1), 7.3)
    both = np.concatenate([constant, tiny_shape.basis.evecs[:, 1:2].double().numpy()], axis=1)
    assert np.isnan(smoothness_energies.rayleigh_quotients(tiny_shape, both)[0]).tolist() == [True, False]
    assert len(smoothness_energies.energies(tiny_shape, both).channels) == 1
    with pytest.raises(ValueError, match="all features on tiny are constant"):
        smoothness_energies.rayleigh_quotients(tiny_shape, constant)


def test_channels_are_shown_from_the_smoothest_to_the_roughest_each_once():
    assert list(chosen_channels(np.array([5.0, np.nan, 1.0, 9.0, 3.0, 7.0])).items()) == [
        ("smoothest", 2),
        ("lower quartile", 4),
        ("median", 0),
        ("upper quartile", 5),
        ("roughest", 3),
    ]
    assert list(chosen_channels(np.array([2.0, 1.0])).values()) == [1, 0]


def test_colours_of_few_channels_are_colours():
    colours = principal_colours(np.random.default_rng(0).normal(size=(50, 2)))
    assert colours.shape == (50, 3) and colours.min() >= 0 and colours.max() <= 1 and np.ptp(colours) > 0.1


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A small FAUST_r, and the checkpoint of a tiny network that was never trained."""
    home = tmp_path_factory.mktemp("home")
    write_faust(home / "data" / "FAUST_r", [80, 81])
    sizes = [
        "backbone.network.width=8",
        "backbone.network.n_blocks=1",
        "backbone.network.k=20",
        "backbone.descriptor.k=20",
        "data.k=30",
    ]
    solver = ["solver.k_init=10", "solver.step=5", "solver.n_steps=2"]
    cfg = composed("eval", *places(home), *sizes, *solver, output_dir=home / "run")
    run = runtime_build.build(cfg)
    (home / "run" / "checkpoints").mkdir()
    state = {name: value + 0.1 * torch.randn_like(value) for name, value in run.module.state_dict().items()}
    config = {**run.config, "monitor": None}
    torch.save({"state_dict": state, "config": config, "global_step": 0}, home / "run" / "checkpoints" / "last.ckpt")
    return home


def places(home):
    data = [f"paths.data_dir={home / 'data'}", f"paths.cache_dir={home / 'cache'}", "trainer=cpu"]
    return ["dataset=faust", "dataset.faust.allow_missing=true", *data]


def test_checkpoints_are_compared_in_numbers_and_pictures(home, tmp_path, capsys):
    checkpoint = home / "run" / "checkpoints" / "last.ckpt"
    smoothness.main([str(checkpoint), *places(home), "--untrained", "--names", "trained", "--out", str(tmp_path)])
    results = json.loads((tmp_path / "smoothness.json").read_text())["results"]
    assert [(result["name"], result["dataset"]) for result in results] == [("trained", "faust"), ("untrained", "faust")]
    assert [shape["shape"] for shape in results[0]["shapes"]] == ["tr_reg_080", "tr_reg_081"]
    assert results[0]["weights"].startswith("last, step 0") and results[1]["weights"].startswith("none: untrained")
    for shape in results[0]["shapes"]:
        assert len(shape["channels"]) == 32 and min(shape["channels"]) >= 0.99 * shape["lowest"] > 0
    lines = (tmp_path / "smoothness.md").read_text().splitlines()
    assert lines[2].startswith("| trained | faust | 2 | ") and lines[3].rstrip(" |")[-6:] in (
        "0 of 2",
        "1 of 2",
        "2 of 2",
    )
    for name in ("smoothness_faust.png", "smoothness_channels.png"):
        assert (tmp_path / name).stat().st_size > 10_000
    assert "| trained | faust | 2 |" in capsys.readouterr().out


def test_the_command_is_kept_without_the_folders_of_this_machine():
    assert smoothness.shortened("/home/me/runs/a/checkpoints/best.ckpt") == "…/a/checkpoints/best.ckpt"
    assert smoothness.shortened("paths.cache_dir=/home/me/a/very/deep/cache") == "paths.cache_dir=…/very/deep/cache"
    assert (
        smoothness.shortened("dataset=faust") == "dataset=faust" and smoothness.shortened("two words") == "'two words'"
    )
