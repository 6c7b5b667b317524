"""Sums of spectra and of their products that do not depend on the order of adding.

Each tile's sums are floats of one thread. They are then added as whole numbers of a fixed point, of
some 180 bits, so that the total is the same in any order, on any number of processes.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.errors import InputError

_BITS = 32  # of a limb, which is added in an int64: room for 2**31 sums
_LOWEST = -96  # power of two of the last limb
_LIMBS = 7  # up to 2 ** (_LOWEST + 7 * 32) = 2 ** 128


@dataclass(frozen=True, eq=False)
class ExactMoments:
    """The number of spectra, their sums and the sums of products of any two of their bands.

    Attributes:
        count: spectra.
        limbs: the sums in fixed point, int64 [limbs, bands + bands (bands + 1) / 2]; the first are
            those of the bands, the others those of the products, the upper triangle row by row.
        origin: that is subtracted from each spectrum before, float64 [bands].
    """

    count: int
    limbs: np.ndarray
    origin: np.ndarray

    @classmethod
    def none(cls, origin: np.ndarray) -> "ExactMoments":
        """Of no spectra."""
        bands = len(origin)
        length = bands + bands * (bands + 1) // 2
        return cls(0, np.zeros((_LIMBS, length), np.int64), np.asarray(origin, np.float64))

    def add(self, spectra: np.ndarray) -> "ExactMoments":
        """With the spectra of a tile, real [k, bands].

        Raises:
            InputError: if a sum is not finite, or too large.
        """
        centred = spectra.astype(np.float64) - self.origin
        products = (centred.T @ centred)[_upper(len(self.origin))]
        sums = np.concatenate([centred.sum(0), products])
        return self.join(ExactMoments(len(spectra), _to_limbs(sums), self.origin))

    def join(self, other: "ExactMoments") -> "ExactMoments":
        """Of the spectra of both, which have the same origin."""
        return ExactMoments(self.count + other.count, self.limbs + other.limbs, self.origin)

    def mean_and_covariance(self) -> tuple[np.ndarray, np.ndarray]:
        """The mean, float64 [bands], and the covariance (divided by count), float64 [bands, bands].

        Both are the exact quotients of the sums, rounded once.

        Raises:
            InputError: if there are no spectra.
        """
        if not self.count:
            raise InputError("There are no training pixels to fit the scaling on; give some.")
        bands, n = len(self.origin), self.count
        sums = _to_integers(self.limbs)
        first, products = sums[:bands], sums[bands:]
        unit = 2 ** (-_LOWEST)  # sums are whole numbers of 1 / unit
        mean = self.origin + np.array([total / (n * unit) for total in first])
        covariance = np.empty((bands, bands))
        for value, i, j in zip(products, *_upper(bands), strict=True):
            exact = (n * value * unit - first[i] * first[j]) / (n * n * unit * unit)
            covariance[i, j] = covariance[j, i] = exact
        return mean, covariance


@functools.cache
def _upper(bands: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(bands)


def _to_limbs(sums: np.ndarray) -> np.ndarray:
    """Floats in fixed point, int64 [limbs, n]; what is below the last bit is cut off."""
    if not (np.abs(sums) < 2.0 ** (_LOWEST + _LIMBS * _BITS - 1)).all():
        raise InputError(
            "Values of training pixels are not finite, or too large to be squared; declare values "
            "without meaning by `nodata`."
        )
    limbs = np.zeros((_LIMBS, len(sums)), np.int64)
    rest = sums.copy()
    for limb in range(_LIMBS - 1, -1, -1):
        unit = 2.0 ** (_LOWEST + limb * _BITS)
        part = np.trunc(rest / unit)  # a power of two: both are exact
        limbs[limb] = part
        rest -= part * unit
    return limbs


def _to_integers(limbs: np.ndarray) -> Sequence[int]:
    """The whole numbers of 2 ** _LOWEST that limbs add up to."""
    total = np.zeros(limbs.shape[1], object)
    for limb in limbs[::-1]:
        total = total * 2**_BITS + limb.astype(object)
    return total.tolist()
