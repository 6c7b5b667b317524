"""Scaling of spectra, fitted on training pixels only."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hsi_jax.data.scene.stored_cube import StoredCube, spectra_at
from hsi_jax.errors import InputError

# A full SVD in float64 gives directions that the pixels do not span a variance that is smaller
# than this, relative to the first one, by many orders of magnitude; real variances are larger.
_MIN_RELATIVE_VARIANCE = 1e-12
_FLOATS = (np.float16, np.float32, np.float64)
# A block of this many pixels is transformed at a time, because the work is done in float64.
_BLOCK = 2**15
# BLAS rounds the products with fewer columns than this differently in blocks.
_MIN_BLOCK_COMPONENTS = 3


@dataclass(frozen=True, eq=False)
class Preprocessing:
    """A transform of spectra that was fitted on training pixels only, as plain arrays.

    A spectrum x becomes (x - mean) / scale, or with principal components
    (components @ x - components @ mean) / scale. The channels are the bands, or the components.

    Attributes:
        mean: float64 [bands], the mean training spectrum.
        scale: float64 [channels], divides each channel: its standard deviation over the training
            pixels, or 1 for a band that is constant.
        components: float64 [channels, bands], one principal component a row, or None.

    Raises:
        InputError: if an array has another shape or dtype.
    """

    mean: np.ndarray
    scale: np.ndarray
    components: np.ndarray | None = None

    def __post_init__(self):
        bands, channels = self.mean.size, self.scale.size
        if self.components is None:
            channels = bands
        shapes = {"mean": (bands,), "scale": (channels,), "components": (channels, bands)}
        for name, array in self.to_arrays().items():
            if array.shape != shapes[name] or array.dtype != np.float64:
                raise InputError(
                    f"The array `{name}` of a preprocessing has shape {array.shape} and dtype "
                    f"{array.dtype} where {shapes[name]} and float64 are expected."
                )

    @classmethod
    def fit(
        cls, cube: np.ndarray | StoredCube, train_ids: np.ndarray, components: int = 0
    ) -> "Preprocessing":
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
        from sklearn.decomposition import PCA  # slow to import
        from sklearn.preprocessing import StandardScaler

        bands = cube.shape[-1]
        spectra = spectra_at(cube, train_ids).astype(np.float64)
        if components == 0:
            scaler = StandardScaler().fit(spectra)
            return cls(np.asarray(scaler.mean_), np.asarray(scaler.scale_))
        _check_components(components, bands, len(spectra))
        # `spectra` is a copy already, and may be changed.
        pca = PCA(components, copy=False, whiten=True, svd_solver="full").fit(spectra)
        variances = pca.explained_variance_
        _check_rank(components, variances)
        scale = np.maximum(np.sqrt(variances), np.finfo(np.float64).eps)  # as PCA.transform does
        return cls(pca.mean_, scale, pca.components_)

    @classmethod
    def of_moments(
        cls, mean: np.ndarray, covariance: np.ndarray, count: int, components: int = 0
    ) -> "Preprocessing":
        """The transform that `fit` finds for spectra of these moments, but for rounding.

        Args:
            mean: of the training spectra, float64 [bands].
            covariance: of them, divided by their number, float64 [bands, bands].
            count: of the training spectra.
            components: as of `fit`.

        Raises:
            InputError: as `fit`.
        """
        if components == 0:
            deviation = np.sqrt(np.maximum(np.diag(covariance), 0.0))
            return cls(mean, np.where(deviation == 0, 1.0, deviation))
        _check_components(components, len(mean), count)
        variances, directions = np.linalg.eigh(covariance * (count / (count - 1)))
        variances, directions = variances[::-1][:components], directions.T[::-1][:components]
        _check_rank(components, variances)
        largest = np.abs(directions).argmax(1)  # is positive, as PCA has it
        signs = np.sign(directions[np.arange(components), largest])
        return cls(mean, np.sqrt(variances), np.ascontiguousarray(directions * signs[:, None]))

    @property
    def num_bands(self) -> int:
        """Bands of the cubes that can be transformed."""
        return len(self.mean)

    @property
    def num_channels(self) -> int:
        """Channels of the transformed cubes."""
        return len(self.scale)

    def transform(self, cube: np.ndarray | StoredCube, out: np.ndarray | None = None) -> np.ndarray:
        """Transforms every pixel of a cube, with the bits that scikit-learn would give.

        Args:
            cube: real numbers, [rows, columns, bands].
            out: where to write the result, float32 [rows, columns, channels]; None for a new array.

        Returns:
            float32 [rows, columns, channels]: `out`, or a new array that is C-contiguous.

        Raises:
            InputError: if the cube has another number of bands.
        """
        rows, columns, bands = cube.shape
        if bands != self.num_bands:
            raise InputError(
                f"The `cube` has {bands} bands, but the preprocessing was fitted on "
                f"{self.num_bands}; give a scene of the same sensor and bands."
            )
        if out is None:
            out = np.empty((rows, columns, self.num_channels), np.float32)
        step = max(1, _BLOCK // columns)
        if self.components is not None and self.num_channels < _MIN_BLOCK_COMPONENTS:
            step = rows
        for first in range(0, rows, step):
            block = cube[first : first + step]
            transformed = self._transform_spectra(block.reshape(-1, bands))
            out[first : first + step] = transformed.reshape(*block.shape[:2], -1)
        return out

    def _transform_spectra(self, spectra: np.ndarray) -> np.ndarray:
        if self.components is None:
            return self._standardise(spectra)
        return self._project(spectra, self.components)

    def _standardise(self, spectra: np.ndarray) -> np.ndarray:
        """As StandardScaler does: floats in their own precision, other numbers in float64."""
        dtype = spectra.dtype if spectra.dtype in _FLOATS else np.float64
        spectra = spectra.astype(dtype)  # a copy, which is changed in place
        spectra -= self.mean.astype(dtype)
        spectra /= self.scale.astype(dtype)
        return spectra

    def _project(self, spectra: np.ndarray, components: np.ndarray) -> np.ndarray:
        """As PCA does: in float64, centred after the projection."""
        # BLAS rounds differently for another memory layout, and saving may change the layout. This
        # one is what PCA.fit gives.
        projection = np.ascontiguousarray(components.T)
        projected = spectra @ projection
        projected -= self.mean[np.newaxis] @ projection
        projected /= self.scale
        return projected

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Returns the arrays by name, to be saved; `from_arrays` restores the transform."""
        arrays = {"mean": self.mean, "scale": self.scale}
        return arrays if self.components is None else {**arrays, "components": self.components}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "Preprocessing":
        """Restores a transform from the arrays that `to_arrays` gave.

        Raises:
            InputError: if an array is missing or has another shape or dtype.
        """
        for name in ("mean", "scale"):
            if name not in arrays:
                raise InputError(
                    f"The preprocessing lacks the array `{name}`; give all that it saved."
                )
        names = [name for name in ("mean", "scale", "components") if name in arrays]
        return cls(**{name: np.asarray(arrays[name]) for name in names})


def _check_components(components: int, bands: int, pixels: int) -> None:
    # One dimension goes to the mean: n pixels span n - 1 dimensions or fewer.
    max_components = min(bands, pixels - 1)
    if not 0 < components <= max_components:
        raise InputError(
            f"`components`={components}: give 0 (no PCA) to {max_components}, because "
            f"there are {bands} bands and {pixels} training pixels"
        )


def _check_rank(components: int, variances: np.ndarray) -> None:
    rank = np.count_nonzero(variances > _MIN_RELATIVE_VARIANCE * variances[0])
    if rank < components:
        raise InputError(
            f"`components`={components}: give {rank} or fewer, because the training pixels "
            f"span only {rank} dimensions"
        )
