"""Bands and values of a scene against those that a model was trained on."""

from collections.abc import Sequence

import numpy as np

from hsi_jax.data.scene.stored_cube import StoredCube, spectra_at
from hsi_jax.errors import InputError

TOLERANCE = 10.0  # nm
_MAX_RATIO = 10.0  # of values: more is another unit, not another light
_SAMPLE = 20_000  # pixels


def match_bands(
    trained: Sequence[float] | np.ndarray | None,
    num_bands: int,
    given: Sequence[float] | np.ndarray | None,
    given_bands: int,
    *,
    source: str,
    tolerance: float = TOLERANCE,
) -> np.ndarray | None:
    """Finds the bands that a model needs.

    Where both wavelengths are known, each band of the model takes the nearest of the scene, within
    the tolerance. Otherwise the scene must have as many bands as the model.

    Args:
        trained: wavelengths of the model's bands, nm, or None.
        num_bands: number of the model's bands.
        given: wavelengths of the scene's bands, nm, or None.
        given_bands: number of the scene's bands.
        source: what messages call the scene.
        tolerance: how far a wavelength may be away, nm.

    Returns:
        0-based bands of the scene, int [num_bands]; None for all as they are.

    Raises:
        InputError: if a band is missing, or stands for two of the model, or if the numbers of bands
            differ.
    """
    if trained is None or given is None:
        if given_bands != num_bands:
            raise InputError(
                f"{source} has {given_bands} bands, but the model was trained on {num_bands}; give "
                f"a scene with the same bands"
            )
        return None
    trained, given = np.asarray(trained), np.asarray(given)
    if trained.shape == given.shape and np.abs(trained - given).max() <= tolerance:
        return None  # in order: sensors with two gratings may have wavelengths twice
    distances = np.abs(trained[:, np.newaxis] - given)
    nearest = distances.argmin(axis=1)
    far = np.flatnonzero(distances.min(axis=1) > tolerance)
    if far.size:
        raise InputError(
            f"{source} has no band within {tolerance:g} nm of {trained[far[0]]:g} nm, which the "
            f"model was trained on ({far.size} of {num_bands} bands are missing); give a scene "
            f"with these bands"
        )
    bands, uses = np.unique(nearest, return_counts=True)
    if (uses > 1).any():
        band = bands[uses > 1][0]
        needed = ", ".join(f"{trained[k]:g}" for k in np.flatnonzero(nearest == band))
        raise InputError(
            f"{source} has the single band {given[band]:g} nm for those of the model at {needed} "
            f"nm; give a scene with as many bands there"
        )
    return nearest


def value_ranges(cube: np.ndarray | StoredCube, ids: np.ndarray) -> tuple[tuple[float, float], ...]:
    """The 1st and the 99th percentile of each band.

    Args:
        cube: [rows, columns, bands].
        ids: pixels to look at (row * columns + column), int [n], of which a part is enough.
    """
    sample = ids[:: max(1, len(ids) // _SAMPLE)]
    spectra = spectra_at(cube, sample).astype(np.float64)
    low, high = np.percentile(spectra, (1, 99), axis=0)
    return tuple(zip(low.tolist(), high.tolist(), strict=True))


def doubt_on_values(
    trained: Sequence[tuple[float, float]], given: Sequence[tuple[float, float]], source: str
) -> str | None:
    """What is to be said if a scene seems to be in another unit than that of training.

    Args:
        trained: as of `value_ranges`, of the training pixels; empty if not known.
        given: likewise, of the scene, bands as of the model.
        source: what messages call the scene.
    """
    if not trained:
        return None
    usual, found = (float(np.median(np.abs(ranges).max(axis=1))) for ranges in (trained, given))
    if usual == 0 or usual / _MAX_RATIO <= found <= usual * _MAX_RATIO:
        return None
    return (
        f"the values of {source} reach about {found:.3g}, but those that the model was trained on "
        f"{usual:.3g}: they may be in another unit, and the classes wrong. Bring them to the unit "
        f"of training, such as reflectance from 0 to 1 or from 0 to 10000"
    )
