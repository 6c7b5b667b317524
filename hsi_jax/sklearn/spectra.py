"""An estimator of spectra, each by itself."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from hsi_jax.models import Model
from hsi_jax.sklearn.base import PixelClassifier


class SpectralClassifier(PixelClassifier):
    """Classifies spectra, [samples, bands], by a network of `hsi_jax.models`.

    Spectra are scaled by those that are trained on, so no scaler is needed before. It works in
    `cross_val_score`, `GridSearchCV` and a `Pipeline`. Where neighbouring pixels are samples, folds
    drawn at random leak: give groups, such as the field of each pixel, to `GroupKFold`.

    Args:
        model: a name of `hsi_jax.models.MODELS` that takes patches of one pixel, such as "mlp",
            "cnn1d", "spectralformer", "mamba" or "random_forest"; or as of `find_model`.
        model_options: of the network, such as "hidden=(64, 32)".
        components: principal components; 0 for all bands.
        epochs: passes over the samples.
        batch_size: samples of a step.
        learning_rate: the highest one.
        random_state: of the first parameters, batches and dropout.

    Attributes:
        classes_: the labels, sorted, [C].
        n_features_in_: number of bands.
        model_: the `hsi_jax.trained.TrainedModel`, which makes maps and can be exported.
    """

    def __init__(
        self,
        model: Model = "mlp",
        *,
        model_options: str = "",
        components: int = 0,
        epochs: int = 40,
        batch_size: int = 32,
        learning_rate: float = 0.003,
        random_state: Any = None,
    ):
        self.model = model
        self.model_options = model_options
        self.components = components
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    @property
    def _patch_size(self) -> int:
        return 1

    def fit(self, X: Any, y: Any) -> "SpectralClassifier":
        """Trains on spectra [n, bands] and their labels [n].

        Raises:
            ValueError: if they do not fit, or there are not two classes.
        """
        spectra, labels = self._checked(X, y, dtype=[np.float64, np.float32])
        self._train(spectra[:, None, :], np.arange(len(spectra)), labels)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class of `classes_`, float32 [n, C]."""
        check_is_fitted(self, "model_")
        spectra = self._checked(X, dtype=[np.float64, np.float32], reset=False)
        return self._probabilities(spectra[:, None, :], np.arange(len(spectra)))
