"""What the estimators have in common: training, predicting and being pickled.

Estimators follow scikit-learn's rules: constructor arguments are kept as they are, what a fit finds
ends in an underscore. `tests/sklearn` runs scikit-learn's own `check_estimator` on them.
"""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from hsi_jax.data.scene.scene import UNLABELLED, Scene
from hsi_jax.data.splits.split import NO_IDS, Split
from hsi_jax.models import MODELS
from hsi_jax.session.scene_training import train_scene
from hsi_jax.temporary import temporary_folder
from hsi_jax.train import Recipe, evaluation
from hsi_jax.train.samples import Patches
from hsi_jax.trained import TrainedModel
from hsi_jax.trained.prediction_devices import PredictionDevices


class PixelClassifier(ClassifierMixin, BaseEstimator):
    """A network that is trained on some pixels of a cube.

    Subclasses have the constructor arguments `model`, `model_options`, `components`, `epochs`,
    `batch_size`, `learning_rate` and `random_state`, and say by `_patch_size` what a pixel sees.

    Attributes:
        classes_: the labels, sorted, [C].
        model_: the trained model.
    """

    model_: TrainedModel
    classes_: np.ndarray

    @property
    def _patch_size(self) -> int | None:
        raise NotImplementedError

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class of `classes_`, float32 [n, C]."""
        raise NotImplementedError

    def predict(self, X: Any) -> np.ndarray:
        """The label of each sample, [n]."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def _train(self, cube: np.ndarray, ids: np.ndarray, labels: Any) -> None:
        """Trains on the pixels `ids`, int [n], of a cube [rows, columns, bands].

        Raises:
            ValueError: if there are not two classes.
        """
        check_classification_targets(labels)
        self.classes_, classes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"{type(self).__name__} needs two classes at least, not one class")
        given: Any = self.get_params(deep=False)
        truth = np.full(cube.shape[:2], UNLABELLED, np.int32)
        truth.flat[ids] = classes
        scene = Scene(
            "samples",
            cube,
            truth,
            class_names=tuple(map(str, self.classes_)),
            class_ids=tuple(range(1, len(self.classes_) + 1)),
        )
        ids = np.unique(ids).astype(np.int32)
        self.model_ = train_scene(
            scene,
            Split("all", ids, NO_IDS, ids),  # who evaluates it has test samples
            model=given["model"],
            options=given["model_options"],
            patch_size=self._patch_size,
            components=given["components"],
            recipe=Recipe(
                epochs=given["epochs"],
                batch_size=given["batch_size"],
                learning_rate=given["learning_rate"],
                seed=int(check_random_state(given["random_state"]).randint(2**31 - 1)),
            ),
        ).model

    def _checked(self, *data: Any, dtype: Any, reset: bool = True) -> Any:
        """Arrays as scikit-learn wants them: one, or samples and labels."""
        return validate_data(self, *data, dtype=dtype, reset=reset)

    def _probabilities(self, cube: np.ndarray, ids: np.ndarray) -> np.ndarray:
        """The probability of each class for pixels of a cube, float32 [n, C]."""
        model = self.model_
        size, scaling = model.description.input_shape[0], model.preprocessing
        patches = Patches.of_scene(cube, None, size, preprocessing=scaling)
        state, samples = model.prediction_state(), model.description.microbatch_size
        given = PredictionDevices(state, samples).arguments(patches)
        return evaluation.predict_probabilities(ids=ids.astype(np.int32), **given)

    def __getstate__(self) -> Any:
        """The model is kept as the files of its folder, which run no code when they are read."""
        state: dict[str, Any] = {**super().__getstate__()}  # pyright: ignore
        if "model_" in state:
            with temporary_folder() as folder:
                state["model_"].save(folder / "model")
                files = (folder / "model").iterdir()
                state["model_"] = {file.name: file.read_bytes() for file in files}
        return state

    def __setstate__(self, state: Any) -> None:
        state = dict(state)
        if "model_" in state:
            own = state["model"] not in MODELS
            with temporary_folder() as folder:
                for name, content in state["model_"].items():
                    (folder / name).write_bytes(content)
                state["model_"] = TrainedModel.load(folder, factory=state["model"] if own else None)
        super().__setstate__(state)
