"""From a model and a scene to the pixels that are worth a label next."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter

from hsi_jax.data.scene.scene_tiles import CubeSource, SceneSource
from hsi_jax.evaluate.measures.suggestion import (
    choose_pixels,
    keep_most_uncertain,
    uncertainty_of,
)
from hsi_jax.trained import TrainedModel
from hsi_jax.trained.scene_map import predict_tiles

KEPT = 50  # candidates of each tile for a pixel that is wanted, the most uncertain ones


@dataclass(frozen=True, eq=False)
class Suggestions:
    """Pixels that are worth a label, the most useful first.

    Attributes:
        positions: row and column, int [n, 2].
        uncertainty: from 0 to 1, [n].
        classes: the model's guess, class indexes, int [n].
        probabilities: of that guess, [n].
    """

    positions: np.ndarray
    uncertainty: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray


def suggest_pixels(
    model: TrainedModel,
    source: CubeSource,
    *,
    name: str,
    count: int,
    distance: int,
    excluded: np.ndarray | None = None,
) -> Suggestions:
    """Chooses pixels with data and without a label; see `hsi_jax.evaluate.measures.suggestion`.

    Args:
        model: of patches.
        source: of the scene.
        name: what messages call the scene.
        count: how many are wanted.
        distance: pixels, in rows or columns, between any two, and to any labelled pixel.
        excluded: bool [rows, columns], pixels that are not to be suggested in any case.

    Raises:
        InputError: if the model cannot predict the scene, or nothing is left to suggest.
    """
    taken = _near_labels(source, distance)
    if excluded is not None:
        taken |= excluded
    parts = []
    for part in predict_tiles(model, source, name=name):
        exponents = np.exp(part.logits - part.logits.max(-1, keepdims=True))
        probabilities = exponents / exponents.sum(-1, keepdims=True)
        uncertainty = uncertainty_of(probabilities)
        allowed = ~part.nodata & ~taken[part.tile.rows, part.tile.columns]
        ids = keep_most_uncertain(uncertainty, allowed, KEPT * count)
        inside = np.stack(np.unravel_index(ids, allowed.shape), 1)
        corner = part.tile.rows.start, part.tile.columns.start
        flat = probabilities.reshape(-1, probabilities.shape[-1])[ids]
        parts.append((inside + corner, uncertainty.ravel()[ids], flat))
    positions, uncertainty, probabilities = (np.concatenate(each) for each in zip(*parts))  # noqa: B905
    chosen = choose_pixels(positions, uncertainty, probabilities, count=count, distance=distance)
    guesses = probabilities[chosen]
    return Suggestions(positions[chosen], uncertainty[chosen], guesses.argmax(1), guesses.max(1))


def _near_labels(source: CubeSource, distance: int) -> np.ndarray:
    """The pixels that have a label or lie nearer to one, bool [rows, columns]."""
    labels = source.scene.labels if isinstance(source, SceneSource) else None
    if labels is None:
        return np.zeros(source.shape[:2], bool)
    return maximum_filter(labels >= 0, size=2 * max(distance, 1) - 1, mode="constant", cval=False)
