"""A trained model as one value: it can be saved, loaded, evaluated and asked for a map."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from hsi_jax.data.images.image_set import ImageSet
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.scene.scene import UNLABELLED, Scene
from hsi_jax.errors import InputError
from hsi_jax.models import Model
from hsi_jax.run.checkpoint import Checkpoint, Checkpoints
from hsi_jax.train import evaluation
from hsi_jax.train.augmentation import Preparation
from hsi_jax.train.samples import Patches, Samples
from hsi_jax.train.state import Classification, Task, TrainState
from hsi_jax.trained import network as networks
from hsi_jax.trained.description import Description
from hsi_jax.trained.export import export_model
from hsi_jax.trained.model_folder import (
    DESCRIPTION,
    WEIGHTS,
    read_checkpoint,
    read_folder,
    write_model,
)
from hsi_jax.trained.model_inputs import Data, inputs_of, labelled_inputs
from hsi_jax.trained.prediction_devices import PredictionDevices
from hsi_jax.trained.weights_file import read_arrays, read_layouts

# One for all states: JAX compares it when it looks for what it has compiled.
NO_OPTIMIZER = optax.identity()


@dataclass(frozen=True, eq=False, repr=False)
class TrainedModel:
    """What a training has learnt, and all that is needed to use it.

    A file runs no code: it names one of the networks of `hsi_jax.models.MODELS`. A network of your
    own loads where you give its factory.

    Attributes:
        description: all of it but arrays.
        preprocessing: of a scene's spectra, or None for a model of whole images.
        params: tree of float32 arrays.
        batch_stats: running statistics; an empty dict without any.
        factory: what makes the network, if it is not one of `hsi_jax.models.MODELS`.
    """

    description: Description
    preprocessing: Preprocessing | None
    params: Any
    batch_stats: Any
    factory: Model | None = None

    def __repr__(self) -> str:
        known = self.description
        rows, columns, channels = known.input_shape
        numbers = sum(leaf.size for leaf in jax.tree.leaves(self.params))
        data = known.provenance.dataset or "unknown data"
        made = f"{self.num_classes} classes" if self.num_classes else "what is hidden"
        return (
            f"TrainedModel({known.architecture}, {numbers:,} parameters: {rows} x {columns} x "
            f"{channels} to {made}, trained on {data})"
        )

    @classmethod
    def of_checkpoint(
        cls, checkpoint: Checkpoint, *, factory: Model | None = None
    ) -> "TrainedModel":
        """The model of the best state in a checkpoint that a run has written.

        Args:
            checkpoint: of a run.
            factory: as of `load`.

        Raises:
            InputError: if the checkpoint does not describe its model, or as `load`.
        """
        source = "the checkpoint"
        description, arrays = read_checkpoint(checkpoint)
        networks.check_arrays(description, factory, arrays, source)
        return cls._of_arrays(description, arrays, factory, source)

    @classmethod
    def of_run(cls, folder: str | Path, *, factory: Model | None = None) -> "TrainedModel":
        """The model of a run's folder: the final one, or else that of its newest sound checkpoint.

        Args:
            folder: of the run.
            factory: as of `load`.

        Raises:
            InputError: if it has neither, or as `load`.
        """
        folder = Path(folder)
        if (folder / "model" / DESCRIPTION).exists():
            return cls.load(folder / "model", factory=factory)
        checkpoint = Checkpoints(folder / "checkpoints").newest(repair=False)  # it may be running
        if checkpoint is None:
            raise InputError(
                f"{folder} holds neither a trained model (model/{DESCRIPTION}) nor a sound "
                f"checkpoint; check the folder"
            )
        return cls.of_checkpoint(checkpoint, factory=factory)

    def save(self, folder: str | Path, overwrite: bool = False) -> None:
        """Writes the model to a new folder, whole or not at all; see `write_model`.

        Args:
            folder: of the model.
            overwrite: whether a saved model may be replaced.

        Raises:
            InputError: if there is something that may not be replaced.
            StorageError: if the folder cannot be written.
        """
        trees = {"params": self.params, "batch_stats": self.batch_stats, **self.arrays_beside()}
        write_model(Path(folder), self.description, networks.flatten(trees), overwrite)

    @classmethod
    def load(cls, folder: str | Path, *, factory: Model | None = None) -> "TrainedModel":
        """Reads a saved model. No more memory is taken than its network needs.

        Args:
            folder: of the model.
            factory: what makes a network of your own: a class or function of num_classes and the
                model's options, package.module:factory, or the network itself. A model of
                `hsi_jax.models.MODELS` needs none.

        Raises:
            InputError: if the folder holds no model, a damaged one, one of another format, one
                whose weights do not fit its architecture, or a network that you must name.
        """
        folder, source = Path(folder), str(folder)
        description = read_folder(folder)
        layouts = read_layouts(folder / WEIGHTS)
        networks.check_arrays(description, factory, layouts, source)
        arrays = read_arrays(folder / WEIGHTS, layouts)
        return cls._of_arrays(description, arrays, factory, source)

    @classmethod
    def _of_arrays(
        cls,
        description: Description,
        arrays: Mapping[str, np.ndarray],
        factory: Model | None,
        source: str,
    ) -> "TrainedModel":
        """The model of arrays whose layouts fit."""
        networks.check_values(arrays, source)
        trees = networks.unflatten(arrays)
        preprocessing = None
        if description.kind == "patch":
            preprocessing = Preprocessing.from_arrays(trees["preprocessing"])
        params, statistics = trees.get("params", {}), trees.get("batch_stats", {})
        return cls(description, preprocessing, params, statistics, factory)

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.description.class_names)

    def arrays_beside(self) -> dict[str, dict[str, np.ndarray]]:
        """The arrays that are not weights, which a checkpoint keeps for `of_checkpoint`."""
        preprocessing = self.preprocessing
        return {} if preprocessing is None else {"preprocessing": preprocessing.to_arrays()}

    @property
    def network(self) -> Model:
        """What makes the network: a name of `hsi_jax.models.MODELS`, or the factory.

        Raises:
            InputError: if it is neither.
        """
        return networks.choose_network(self.description, self.factory, "the model")

    def module(self) -> nn.Module:
        """The network.

        Raises:
            InputError: if it is one of your own that cannot be made.
        """
        return networks.build_network(self.network, self.description)

    def prediction_state(self, task: Task | None = None) -> TrainState:
        """The state that predicts, not replicated; by default a classifier of samples."""
        self.description.require_classes()
        if task is None:
            mean, deviation = self.description.mean, self.description.deviation
            prepare = Preparation(mean, deviation) if self.description.kind == "image" else None
            task = Classification(self.module(), prepare)
        return TrainState(
            step=jnp.int32(0),
            params=self.params,
            batch_stats=self.batch_stats,
            opt_state=(),
            seed=jnp.uint32(0),
            optimizer=NO_OPTIMIZER,
            task=task,
        )

    def predict(
        self,
        data: Data,
        *,
        devices: int | None = None,
        on_progress: evaluation.OnProgress = lambda samples: None,
    ) -> np.ndarray:
        """The class of every pixel of a scene, labelled or not, or of every image.

        Args:
            data: a scene or its cube, numbers [rows, columns, bands]; for a model of whole images
                an image set or numbers [n, rows, columns, channels].
            devices: how many of JAX's devices share the work; None for all accelerators, or for
                one device on a CPU.
            on_progress: told the number of samples after each call of the devices.

        Returns:
            Class indexes, int32 [rows, columns] with -1 where the scene has no data, or int32 [n].
            `label_ids` turns them into the ids of label files.

        Raises:
            InputError: if the data have other bands, or another size, than the model takes.
        """
        inputs = inputs_of(self.description, self.preprocessing, data)
        given = self._on_devices(inputs.samples, devices)
        classes, _ = evaluation.predict(ids=inputs.ids, on_progress=on_progress, **given)
        classes = classes.reshape(inputs.shape)
        return classes if inputs.nodata is None else np.where(inputs.nodata, UNLABELLED, classes)

    def predict_probabilities(
        self,
        data: Data,
        *,
        devices: int | None = None,
        on_progress: evaluation.OnProgress = lambda samples: None,
    ) -> np.ndarray:
        """The probability of each class for every pixel or image; arguments as of `predict`.

        Returns:
            float32 [rows, columns, C] with NaN where the scene has no data, or [n, C].
        """
        inputs = inputs_of(self.description, self.preprocessing, data)
        given = self._on_devices(inputs.samples, devices)
        rows = evaluation.predict_probabilities(ids=inputs.ids, on_progress=on_progress, **given)
        probabilities = rows.reshape(*inputs.shape, -1)
        if inputs.nodata is not None:
            probabilities[inputs.nodata] = np.nan
        return probabilities

    def evaluate(
        self, data: Scene | ImageSet, ids: np.ndarray | None = None, *, devices: int | None = None
    ) -> evaluation.Assessment:
        """Compares predictions with labels; see `labels_of` for how classes are matched.

        Args:
            data: a scene with labels, or an image set.
            ids: pixels (row * columns + column) or images to look at, int [n]; None for all that
                are labelled, among which may be those that the model was trained on.
            devices: as for `predict`.

        Raises:
            InputError: if there are no labels, a class that the model does not know, or no
                samples; or as `predict`.
        """
        samples, labels, ids = labelled_inputs(self.description, self.preprocessing, data, ids)
        given = self._on_devices(samples, devices)
        return evaluation.evaluate(ids=ids, labels=labels, num_classes=self.num_classes, **given)

    def _on_devices(self, samples: Patches | Samples, devices: int | None) -> dict[str, Any]:
        size = self.description.microbatch_size
        return PredictionDevices(self.prediction_state(), size, devices).arguments(samples)

    def export(self, path: str | Path, **how: Any) -> None:
        """Writes a file that other programs run; see `hsi_jax.trained.export.export_model`."""
        export_model(self, Path(path), **how)

    def label_ids(self, classes: np.ndarray) -> np.ndarray:
        """Turns class indexes into the ids of label files (-1 becomes the unlabelled id).

        Args:
            classes: class indexes 0..C-1 or -1, of any shape.

        Returns:
            int32 of the same shape.
        """
        ids = np.array([*self.description.class_ids, self.description.unlabelled_id], np.int32)
        return ids[np.asarray(classes)]  # -1 takes the last one
