"""Intervals of a mean difference over pairs, by drawing pairs or the shapes that they join."""

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

Interval = tuple[float, float]


def bootstrap_over_pairs(differences: Float[ndarray, " p"], *, resamples: int, seed: int) -> Interval:
    """95 % percentile interval of the mean difference, pairs drawn with replacement."""
    generator, n = np.random.default_rng(seed), len(differences)
    counts = (generator.multinomial(n, np.full(n, 1 / n)) for _ in range(resamples))
    return _percentiles(np.array([count @ differences / n for count in counts]))


def bootstrap_over_shapes(
    differences: Float[ndarray, " p"], ends: Int[ndarray, "p 2"], *, resamples: int, seed: int
) -> Interval | None:
    """95 % percentile interval of the mean difference, shapes drawn with replacement.

    A pair counts (times shape 1) × (times shape 2).

    None for fewer than three shapes. A pair of a shape with itself counts as often as the shape.
    """
    generator, n = np.random.default_rng(seed), int(ends.max()) + 1
    if n < 3:
        return None
    means = []
    for _ in range(resamples):
        times = generator.multinomial(n, np.full(n, 1 / n))
        weights = np.where(ends[:, 0] == ends[:, 1], times[ends[:, 0]], times[ends].prod(axis=1))
        if weights.sum():
            means.append(weights @ differences / weights.sum())
    return _percentiles(np.array(means))


def _percentiles(means: Float[ndarray, " r"]) -> Interval:
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
