"""Error-adjusted areas of the classes of a map, and accuracies by area, with their intervals.

Counting the pixels of a map counts its mistakes as well. From a sample of pixels whose true class
is known, the area of each class is estimated without this bias: Olofsson, Foody, Herold, Stehman,
Woodcock and Wulder, "Good practices for estimating area and assessing accuracy of land change",
Remote Sensing of Environment 148, 2014, doi:10.1016/j.rse.2014.02.015, equations 1 to 11. The
classes of the map are the strata.
"""

import numpy as np
from numpy.typing import ArrayLike

from hsi_jax.errors import InputError
from hsi_jax.run.area_summary import AreaSummary, ClassArea

Z = 1.959963984540054  # of an interval of 95 %
MIN_TESTED = 2  # test pixels of a class of the map, without which its variance is unknown


def estimate_areas(confusion: ArrayLike, mapped: ArrayLike) -> AreaSummary:
    """Estimates the areas of the classes, in pixels, and the accuracies by area.

    Args:
        confusion: integers [C, C], sample pixels by true class (row) and class of the map (column).
        mapped: pixels of the map by class, integers [C].

    Returns:
        The estimates, with intervals that hold where the pixels of each class of the map were
        drawn at random from all of that class.

    Raises:
        InputError: if a class of the map has fewer than 2 sample pixels, or none is mapped.
    """
    counts, pixels = np.asarray(confusion).T.astype(float), np.asarray(mapped).astype(float)
    tested = counts.sum(axis=1)  # of each stratum, which is a row from here on
    _check(tested, pixels)
    used = pixels > 0
    parts = np.divide(counts, tested[:, None], out=np.zeros_like(counts), where=used[:, None])
    free = np.where(used, tested - 1, 1)
    weights = pixels / pixels.sum()
    areas = pixels @ parts
    area_variances = (pixels**2 / free) @ (parts * (1 - parts))
    users = parts.diagonal()
    users_variances = users * (1 - users) / free
    overall_variance = (weights**2) @ users_variances
    producers, producers_variances = _producers(parts, pixels, free)
    return AreaSummary(
        classes=tuple(
            ClassArea(
                mapped=int(pixels[k]),
                tested=int(tested[k]),
                pixels=float(areas[k]),
                pixels_half_width=_half_width(area_variances[k]),
                users_accuracy=float(users[k]) if used[k] else None,
                users_half_width=_half_width(users_variances[k]) if used[k] else None,
                producers_accuracy=float(producers[k]) if areas[k] else None,
                producers_half_width=_half_width(producers_variances[k]) if areas[k] else None,
            )
            for k in range(len(pixels))
        ),
        overall_accuracy=float(weights @ users),
        overall_half_width=_half_width(overall_variance),
    )


def _producers(
    parts: np.ndarray, pixels: np.ndarray, free: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Producer's accuracies and their variances (equation 7), [C]; 0 where a class has no area."""
    areas, users = pixels @ parts, parts.diagonal()
    safe = np.where(areas > 0, areas, 1)
    producers = pixels * users / safe
    own = pixels**2 * (1 - producers) ** 2 * users * (1 - users) / free
    spread = pixels[:, None] ** 2 * parts * (1 - parts) / free[:, None]
    others = producers**2 * (spread.sum(axis=0) - spread.diagonal())
    return producers, (own + others) / safe**2


def _half_width(variance: float) -> float:
    return float(Z * np.sqrt(variance))


def _check(tested: np.ndarray, pixels: np.ndarray) -> None:
    if not pixels.any():
        raise InputError("`mapped` counts no pixel; give the pixels of each class of the map")
    few = np.flatnonzero((pixels > 0) & (tested < MIN_TESTED)).tolist()
    if few:
        listed = ", ".join(f"{k} ({tested[k]:.0f})" for k in few)
        raise InputError(
            f"`confusion`: of these classes of the map fewer than {MIN_TESTED} pixels were tested, "
            f"so no area can be adjusted: {listed}; test more of them, or join classes"
        )
