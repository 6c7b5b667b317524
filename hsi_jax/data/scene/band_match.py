"""Bands and values of a scene against those that a model was trained on."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.data.scene.stored_cube import StoredCube, spectra_at
from hsi_jax.errors import InputError

TOLERANCE = 10.0  # nm
_SAME = 0.01  # nm, by which a wavelength may be rounded
_MAX_FACTOR, _MAX_SHIFT = 2.0, 0.25  # of spans of values, and in spans: more gives a warning
_SAMPLE = 20_000  # pixels


@dataclass(frozen=True, eq=False)
class Bands:
    """What identifies the bands of a model or of a scene.

    Attributes:
        count: how many there are.
        wavelengths: of each, nm, or None.
        names: of each, or None.
        owner: whose they are, for messages on bands that are wanted.
        verb: what the owner has to do with them.
    """

    count: int
    wavelengths: Sequence[float] | np.ndarray | None = None
    names: Sequence[str] | None = None
    owner: str = "the model"
    verb: str = "was trained on"


def match_bands(
    trained: Bands, given: Bands, *, source: str, tolerance: float = TOLERANCE
) -> np.ndarray | None:
    """Finds the bands that a model needs.

    Where both wavelengths are known, each band of the model takes the nearest of the scene, within
    the tolerance, and each of the scene is taken once. Otherwise they are matched by name, as far
    as both have names that tell them apart.

    Args:
        trained: of the model.
        given: of the scene.
        source: what messages call the scene.
        tolerance: how far a wavelength may be away, nm.

    Returns:
        0-based bands of the scene, int [bands of the model]; None if neither wavelengths nor names
        identify them.

    Raises:
        InputError: if a band is missing, or stands for two of the model.
    """
    if trained.wavelengths is not None and given.wavelengths is not None:
        return _match_wavelengths(trained, np.asarray(given.wavelengths), source, tolerance)
    return _match_names(trained, given.names or (), source)


def have_same_wavelengths(
    trained: Sequence[float] | np.ndarray, given: Sequence[float] | np.ndarray
) -> bool:
    """Whether two lists of wavelengths are one list, up to rounding."""
    return len(trained) == len(given) and np.allclose(trained, given, rtol=0, atol=_SAME)


def _match_wavelengths(
    wanted: Bands, given: np.ndarray, source: str, tolerance: float
) -> np.ndarray:
    trained = np.asarray(wanted.wavelengths)
    if have_same_wavelengths(trained, given):
        return np.arange(len(trained))  # sensors with two gratings may have wavelengths twice
    distances = np.abs(trained[:, np.newaxis] - given)
    nearest = distances.argmin(axis=1)
    far = np.flatnonzero(distances.min(axis=1) > tolerance)
    if far.size:
        raise InputError(
            f"{source} has no band within {tolerance:g} nm of {trained[far[0]]:g} nm, which "
            f"{wanted.owner} {wanted.verb} ({far.size} of {len(trained)} bands are missing); give "
            f"a scene with these bands"
        )
    bands, uses = np.unique(nearest, return_counts=True)
    if (uses > 1).any():
        band = bands[uses > 1][0]
        needed = ", ".join(f"{trained[k]:g}" for k in np.flatnonzero(nearest == band))
        raise InputError(
            f"{source} has the single band {given[band]:g} nm for those of {wanted.owner} at "
            f"{needed} nm; give a scene with as many bands there"
        )
    return nearest


def _match_names(trained: Bands, given: Sequence[str], source: str) -> np.ndarray | None:
    names = trained.names or ()
    wanted, there = _own_parts(names), _own_parts(given)
    if not set(wanted) & set(there):
        return None
    missing = [name for name, own in zip(names, wanted, strict=True) if own not in there]
    if missing:
        raise InputError(
            f"{source} has no band with the name {missing[0]}, which {trained.owner} "
            f"{trained.verb} ({len(missing)} of {len(names)} bands are missing); it has "
            f"{', '.join(given)}"
        )
    return np.array([there.index(own) for own in wanted])


def _own_parts(names: Sequence[str]) -> list[str]:
    """What is left of names without the words that all share; none if it is not unique.

    Names of files such as T32_20240601_B02_10m become b2. Numbers alone only count bands.
    """
    plain = (re.sub(r"(?<!\d)0+(?=\d)", "", name.casefold()) for name in names)
    words = [re.findall(r"[^\W_]+", name) for name in plain]
    common = set.intersection(*map(set, words)) if len(words) > 1 else set()
    own = [" ".join(word for word in each if word not in common) for each in words]
    is_unique = len(set(own)) == len(own) and not all(
        re.fullmatch(r"(band )?\d*", each) for each in own
    )
    return own if is_unique else []


def doubt_on_order(trained: Bands, given: Bands, source: str) -> str | None:
    """What is to be said where bands are taken in the order of the file, and it may be another.

    Args:
        trained: of the model.
        given: of the scene; neither wavelengths nor names match them.
        source: what messages call the scene.
    """
    if _own_parts(trained.names or ()) and _own_parts(given.names or ()):
        known = f"are named {', '.join(given.names or ())}, not {', '.join(trained.names or ())}"
    elif (trained.wavelengths is None) != (given.wavelengths is None):
        whose = "the model" if given.wavelengths is None else "the file"
        known = f"have wavelengths in {whose} alone"
    else:
        return None
    return f"the bands of {source} {known}: they are taken in the order of the file"


def value_ranges(cube: np.ndarray | StoredCube, ids: np.ndarray) -> tuple[tuple[float, float], ...]:
    """The 1st and the 99th percentile of each band.

    Args:
        cube: [rows, columns, bands].
        ids: pixels to look at (row * columns + column), int [n], of which a part is enough.
    """
    spectra = spectra_at(cube, some_of(ids)).astype(np.float64)
    low, high = np.percentile(spectra, (1, 99), axis=0)
    return tuple(zip(low.tolist(), high.tolist(), strict=True))


def some_of(ids: np.ndarray) -> np.ndarray:
    """A sample of the pixels, large enough for the ranges of values."""
    return ids[:: max(1, len(ids) // _SAMPLE)]


def doubt_on_values(
    trained: Sequence[tuple[float, float]], given: Sequence[tuple[float, float]], source: str
) -> str | None:
    """The warning, if any, that the values of a scene are unlike those of training.

    Args:
        trained: as of `value_ranges`, of the training scene; empty if not known.
        given: of the scene, bands as of the model.
        source: what messages call the scene.
    """
    low, high = np.reshape(trained, (-1, 2)).T
    least, most = np.reshape(given, (-1, 2)).T
    varied = high > low
    if not varied.any():
        return None
    span = np.where(varied, high - low, 1.0)
    factor = float(np.median(((most - least) / span)[varied]))
    shift = float(np.median(((most + least - high - low) / (2 * span))[varied]))
    if 1 / _MAX_FACTOR <= factor <= _MAX_FACTOR and abs(shift) <= _MAX_SHIFT:
        odd = varied & ((least == most) | (least > high) | (most < low))
        return _doubt_on_bands(odd, least, most, source) if odd.any() else None
    found, usual = (
        f"{np.median(bottom):.3g} to {np.median(top):.3g}"
        for bottom, top in ((least, most), (low, high))
    )
    return (
        f"the values of {source} lie at about {found}, but those of the training scene at {usual}: "
        f"they may have another unit, scale or offset, and the classes may be wrong. Bring them to "
        f"those of training, such as reflectance from 0 to 1"
    )


def _doubt_on_bands(odd: np.ndarray, least: np.ndarray, most: np.ndarray, source: str) -> str:
    first = int(odd.argmax())
    held = f"{least[first]:.5g}" + (f" to {most[first]:.5g}" if most[first] > least[first] else "")
    return (
        f"{np.count_nonzero(odd)} of {len(odd)} bands of {source} have values that the training "
        f"scene has not, or one value alone, such as {held} in the model's band {first} (counted "
        f"from 0): the classes may be wrong. Give a scene in which these bands have data"
    )
