"""Scaling of spectra, fitted on training pixels only."""

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from hsi_jax.errors import InputError

# Variances that a full SVD in float64 gives to directions which the pixels do not span are
# smaller than this, relative to the first, by many orders of magnitude; real ones are larger.
_RELATIVE_VARIANCE_OF_NOTHING = 1e-12


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """A transform of spectra that has seen nothing but training pixels.

    Attributes:
        transformer: the fitted StandardScaler or PCA.
    """

    transformer: StandardScaler | PCA

    @classmethod
    def fit(cls, cube: np.ndarray, train_ids: np.ndarray, components: int = 0) -> "Preprocessing":
        """Fits the transform on the spectra of the training pixels.

        Args:
            cube: [rows, columns, bands].
            train_ids: flat ids (row * columns + column) of the training pixels.
            components: 0 standardises each band to mean 0 and variance 1 (a band that is constant
                over the training pixels is only centred); more projects on that many whitened
                principal components.

        Raises:
            InputError: if components is negative, or more than the bands or the training pixels
                can give.
        """
        bands = cube.shape[-1]
        spectra = cube.reshape(-1, bands)[train_ids].astype(np.float64)
        if components == 0:
            return cls(StandardScaler().fit(spectra))
        # One dimension goes to the mean: n pixels span at most n - 1.
        most = min(bands, len(spectra) - 1)
        if not 0 < components <= most:
            raise InputError(
                f"--components {components} is not possible with {bands} bands and "
                f"{len(spectra)} training pixels; give 0 (no PCA) to {most}."
            )
        pca = PCA(components, whiten=True, svd_solver="full").fit(spectra)
        variances = pca.explained_variance_
        rank = np.count_nonzero(variances > _RELATIVE_VARIANCE_OF_NOTHING * variances[0])
        if rank < components:
            raise InputError(
                f"--components {components} is more than the {rank} dimensions that the training "
                f"pixels span; give at most {rank}."
            )
        return cls(pca)

    def transform(self, cube: np.ndarray) -> np.ndarray:
        """Transforms every pixel of a cube.

        Args:
            cube: [rows, columns, bands].

        Returns:
            float32 [rows, columns, channels], C-contiguous.
        """
        rows, columns, bands = cube.shape
        spectra = self.transformer.transform(cube.reshape(-1, bands))
        return np.ascontiguousarray(spectra.reshape(rows, columns, -1), dtype=np.float32)
