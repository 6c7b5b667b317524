"""Which pixels to label next: those of which a model is unsure, unlike each other, and apart.

Uncertainty is one less the margin between the two likeliest classes (Scheffer, Decomain and Wrobel,
"Active Hidden Markov Models for Information Extraction", 2001). The most uncertain ones alone would
be neighbours of one another, so each next one has the largest product of uncertainty and distance,
in probabilities, to the nearest one that is chosen, as farthest-first traversal takes it.
"""

import numpy as np

from hsi_jax.errors import InputError


def uncertainty_of(probabilities: np.ndarray) -> np.ndarray:
    """From 0, sure, to 1: one less the margin of the first two classes, [...] of [..., C]."""
    highest = np.partition(probabilities, -2, axis=-1)[..., -2:]
    return 1 - (highest[..., 1] - highest[..., 0])


def keep_most_uncertain(uncertainty: np.ndarray, allowed: np.ndarray, count: int) -> np.ndarray:
    """Flat numbers of the most uncertain pixels that are allowed, int [count or fewer].

    Args:
        uncertainty: of each pixel, [rows, columns].
        allowed: bool of that shape.
        count: how many at most.
    """
    ids = np.flatnonzero(allowed)
    order = np.argsort(-uncertainty.ravel()[ids], kind="stable")
    return ids[order[:count]]


def choose_pixels(
    positions: np.ndarray,
    uncertainty: np.ndarray,
    probabilities: np.ndarray,
    *,
    count: int,
    distance: float,
) -> np.ndarray:
    """Chooses candidates one by one, as above.

    Args:
        positions: row and column of each candidate, int [n, 2].
        uncertainty: of each, [n].
        probabilities: of each, [n, C].
        count: how many are wanted.
        distance: pixels, in rows or columns, that any two chosen ones are apart at least.

    Returns:
        Their numbers in the order of choice, int; fewer than `count` where no more are apart.

    Raises:
        InputError: if there is no candidate, or nothing is wanted.
    """
    if count < 1:
        raise InputError(f"`count`={count}: give 1 or more")
    if not len(positions):
        raise InputError("no pixel is left to suggest: all have labels or no data")
    free = np.ones(len(positions), bool)
    nearest = np.full(len(positions), np.inf)
    chosen: list[int] = []
    while len(chosen) < count and free.any():
        worth = uncertainty if not chosen else uncertainty * nearest
        best = int(np.argmax(np.where(free, worth, -1)))
        chosen.append(best)
        apart = np.abs(positions - positions[best]).max(axis=1)
        free &= apart >= max(distance, 1)
        nearest = np.minimum(nearest, np.linalg.norm(probabilities - probabilities[best], axis=1))
    return np.array(chosen)
