"""Parts of a match on their own: arrays in, arrays out, in the vertex numbers that were given."""

import numpy as np
import pytest

import pullback as pb


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return {"paths.cache_dir": tmp_path_factory.mktemp("cache")}


@pytest.fixture(scope="module")
def prepared(icosphere, cache):
    return pb.prepare(icosphere, k=60, options=cache)


def test_a_prepared_shape_stands_for_its_mesh(prepared, icosphere, permuted_twin, cache):
    options = {**cache, "data.k": 60, "backbone.descriptor.k": 60, "solver.k_init": 20, "solver.n_steps": 2}
    ours, theirs = (pb.match(mesh, permuted_twin[:2], options=options) for mesh in (prepared, icosphere))
    assert np.array_equal(ours.p2p21, theirs.p2p21)
    with pytest.raises(pb.UserError, match="source was prepared with k=60, and 100 are needed: prepare it with k=100"):
        pb.match(prepared, permuted_twin[:2], options={**options, "data.k": 100})


def test_a_spectrum_is_orthonormal_in_its_mass_and_in_given_numbers(icosphere, cache):
    verts = np.concatenate([[[9.0, 9, 9]], icosphere[0]])
    evals, evecs, mass = pb.spectrum(verts, icosphere[1] + 1, k=20, options=cache)
    assert evals.shape == (20,) and evecs.shape == (643, 20) and np.isnan(evecs[0]).all() and mass[0] == 0
    assert abs(mass.sum() - 1) < 1e-5
    assert np.abs((evecs[1:].T * mass[1:]) @ evecs[1:] - np.eye(20)).max() < 1e-4
    assert evals[0] < 1e-3 < evals[1]


def test_features_are_rows_of_the_given_vertices(prepared, cache):
    options = {**cache, "data.k": 60, "backbone.descriptor.k": 50}
    assert pb.features(prepared, options=options).shape == (642, 128)
    landmarks = pb.features(prepared, landmarks=[0, 100, 300], options={**cache, "data.k": 60})
    assert landmarks.shape[0] == 642 and not np.allclose(landmarks[0], landmarks[100])
    with pytest.raises(pb.UserError, match="whole numbers from 0 to 641"):
        pb.features(prepared, landmarks=[0, 1, 642], options={**cache, "data.k": 60})


@pytest.mark.parametrize("kind", ["points", "functions"])
def test_zoomout_mends_a_coarse_map(kind, icosphere, permuted_twin, cache):
    verts2, faces2, truth = permuted_twin
    start = truth.copy()
    wrong = np.random.default_rng(0).permutation(642)[:60]
    start[wrong] = np.roll(start[wrong], 1)
    if kind == "functions":
        one, two = pb.spectrum(*icosphere, k=20, options=cache), pb.spectrum(verts2, faces2, k=20, options=cache)
        start = (two.evecs.T * two.mass) @ one.evecs[start]
    p2p21, fmap12 = pb.zoomout(start, icosphere, (verts2, faces2), k_init=20, step=10, n_steps=4, options=cache)
    assert fmap12.shape == (60, 60) and (p2p21 == truth).mean() > 0.98


@pytest.mark.parametrize("start", [np.zeros(5, int), np.full(642, 642), np.zeros(642)])
def test_a_start_that_is_no_map_of_the_two_is_refused(start, icosphere, permuted_twin, cache):
    with pytest.raises(pb.UserError, match="642 whole numbers from 0 to 641"):
        pb.zoomout(start, icosphere, permuted_twin[:2], k_init=20, n_steps=1, options=cache)


def test_a_photograph_is_no_mesh(cache):
    with pytest.raises(pb.UserError, match="mesh is a photograph"):
        pb.prepare(np.zeros((20, 20, 3), np.uint8), options=cache)
