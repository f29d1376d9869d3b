"""Seams of torn maps on photographs."""

import numpy as np

from pullback.figures.tears import with_sharp_seams


def grid(h=20, w=40):
    return np.stack(np.meshgrid(np.arange(w, dtype=float), np.arange(h, dtype=float)), axis=-1)


def test_a_seam_that_was_interpolated_becomes_a_line_between_its_sides():
    places = grid()
    ramp = np.clip((places[..., 0] - 15) / 10, 0, 1)  # ten pixels from one side to the other
    matches = places + np.stack([100 * ramp, np.zeros_like(ramp)], axis=-1)
    shift = with_sharp_seams(matches)[..., 0] - places[..., 0]
    assert set(np.unique(shift.round(6))) == {0.0, 100.0}
    assert (np.diff(shift, axis=1) != 0).sum(axis=1).tolist() == [1] * 20
    np.testing.assert_array_equal(shift[:, :15], 0)
    np.testing.assert_array_equal(shift[:, 27:], 100)


def test_a_map_that_only_stretches_stays_as_it_is():
    np.testing.assert_array_equal(with_sharp_seams(2.5 * grid()), 2.5 * grid())
    np.testing.assert_array_equal(with_sharp_seams(2.5 * 4 * grid(), scale=4.0), 10 * grid())


def test_a_map_torn_everywhere_stays_as_it_is():
    noise = np.random.default_rng(0).uniform(0, 1000, (8, 8, 2))
    np.testing.assert_array_equal(with_sharp_seams(noise), noise)


def test_what_is_not_known_stays_so_and_is_taken_by_nobody():
    matches = grid() + [50.0, 0.0] * (grid()[..., :1] > 19)
    matches[:, 25:30] = np.nan
    found = with_sharp_seams(matches)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(matches))
    assert set(np.unique((found - grid())[..., 0][~np.isnan(found[..., 0])])) == {0.0, 50.0}
