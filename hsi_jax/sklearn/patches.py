"""An estimator of the pixels of a scene, each with its surroundings."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from hsi_jax.data.scene.scene import Scene
from hsi_jax.errors import InputError
from hsi_jax.models import Model
from hsi_jax.sklearn.base import PixelClassifier


class PatchClassifier(PixelClassifier):
    """Classifies pixels of a scene, given as positions [samples, 2] of row and column.

    The scene is an argument, and the positions are the samples, so `cross_val_score` and
    `GridSearchCV` divide positions. Patches of neighbouring positions overlap: give groups that lie
    apart, such as blocks or polygons, to `GroupKFold`, or the score is flattered. Scaling is fitted
    on the positions that are trained on.

    Args:
        scene: a scene or its cube, numbers [rows, columns, bands]; labels in it are not used.
        model: a name of `hsi_jax.models.MODELS`, or as of `find_model`.
        patch_size: side of the patches, odd; None for the model's own.
        model_options: of the network, such as "features=(32, 32, 64)".
        components: principal components, 0 for all bands; None for the model's own.
        epochs: passes over the samples.
        batch_size: samples of a step.
        learning_rate: the highest one.
        random_state: of the first parameters, batches and dropout.

    Attributes:
        classes_: the labels, sorted, [C].
        model_: the `hsi_jax.trained.TrainedModel`, which makes maps and can be exported.
    """

    def __init__(
        self,
        scene: Scene | np.ndarray,
        model: Model = "cnn2d",
        *,
        patch_size: int | None = None,
        model_options: str = "",
        components: int | None = None,
        epochs: int = 40,
        batch_size: int = 32,
        learning_rate: float = 0.001,
        random_state: Any = None,
    ):
        self.scene = scene
        self.model = model
        self.patch_size = patch_size
        self.model_options = model_options
        self.components = components
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state

    @property
    def _patch_size(self) -> int | None:
        return self.patch_size

    def fit(self, X: Any, y: Any) -> "PatchClassifier":
        """Trains on positions [n, 2] and their labels [n].

        Raises:
            ValueError: if they do not fit each other or the scene.
        """
        positions, labels = self._checked(X, y, dtype=np.int64)
        cube = self._cube()
        ids = _ids(positions, cube.shape)
        if len(np.unique(ids)) < len(ids):
            raise InputError("`X` holds a position twice; give each pixel once")
        self._train(cube, ids, labels)
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class of `classes_` at positions [n, 2], float32 [n, C]."""
        check_is_fitted(self, "model_")
        positions = self._checked(X, dtype=np.int64, reset=False)
        cube = self._cube()
        return self._probabilities(cube, _ids(positions, cube.shape))

    def _cube(self) -> np.ndarray:
        return np.asarray(self.scene.cube if isinstance(self.scene, Scene) else self.scene)


def _ids(positions: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if positions.shape[1] != 2 or (positions < 0).any() or (positions >= shape[:2]).any():
        raise InputError(
            f"`X` has shape {positions.shape}; give a row and a column for each pixel, from 0 to "
            f"{shape[0] - 1} and to {shape[1] - 1}"
        )
    return positions[:, 0] * shape[1] + positions[:, 1]
