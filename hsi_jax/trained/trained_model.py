"""A trained model as one value: it can be saved, loaded, evaluated and asked for a map."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import optax
from flax import linen as nn
from flax import traverse_util

from hsi_jax.cluster.devices import emulate_devices
from hsi_jax.data.images.image_set import ImageSet
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.scene.scene import UNLABELLED, Scene
from hsi_jax.errors import InputError
from hsi_jax.evaluate.figures.palette import hex_colours
from hsi_jax.hetero import Device, Profile, make_plan
from hsi_jax.models import build_model, options_to_text, parse_options
from hsi_jax.run.checkpoint import Checkpoint, Checkpoints
from hsi_jax.train.augmentation import Preparation
from hsi_jax.train.dataset import Dataset
from hsi_jax.train.evaluation import (
    Assessment,
    OnProgress,
    evaluate,
    predict,
    predict_probabilities,
)
from hsi_jax.train.replicas import Replicas
from hsi_jax.train.samples import Patches, Samples
from hsi_jax.train.state import Classification, Task, TrainState
from hsi_jax.trained.model_folder import (
    DESCRIPTION,
    Description,
    Provenance,
    read_description,
    read_model,
    write_model,
)
from hsi_jax.trained.model_inputs import Data, inputs_of, labelled_inputs

# One for all states: JAX compares it when it looks for what it has compiled.
NO_OPTIMIZER = optax.identity()


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """What a training has learnt, and all that is needed to use it.

    Loading executes nothing from the folder, except that a model of your own is made by its factory
    `package.module:factory`: load such a model from people you trust.

    Attributes:
        description: all of it but arrays.
        preprocessing: of a scene's spectra, or None for a model of whole images.
        params: tree of float32 arrays.
        batch_stats: running statistics; an empty dict without any.
    """

    description: Description
    preprocessing: Preprocessing | None
    params: Any
    batch_stats: Any

    @classmethod
    def of_training(
        cls,
        dataset: Dataset,
        state: TrainState,
        *,
        architecture: str,
        options: Mapping[str, Any],
        microbatch_size: int,
        provenance: Provenance,
    ) -> "TrainedModel":
        """The model of a state that was trained on a dataset.

        Args:
            dataset: that it learnt from.
            state: not replicated.
            architecture: name of the network.
            options: of the network.
            microbatch_size: samples that are predicted together.
            provenance: where the model comes from.
        """
        scene, prepare = dataset.scene, dataset.prepare
        common = {
            "architecture": architecture,
            "options": options_to_text(options),
            "class_names": tuple(dataset.class_names),
            "class_ids": tuple(int(class_id) for class_id in dataset.class_ids),
            "colours": hex_colours(dataset.num_classes),
            "input_shape": dataset.input_shape,
            "microbatch_size": microbatch_size,
            "provenance": provenance,
        }
        if scene is None:
            assert prepare is not None  # images are always normalised
            own: dict[str, Any] = {"mean": prepare.mean, "deviation": prepare.deviation}
            if dataset.images is not None:
                own["image_dtype"] = dataset.images.dtype.name
            description = Description(
                kind="image", num_bands=dataset.input_shape[-1], **own, **common
            )
        else:
            known = scene.wavelengths
            description = Description(
                kind="patch",
                num_bands=scene.cube.shape[-1],
                unlabelled_id=scene.unlabelled_ids[0],
                wavelengths=None if known is None else tuple(known.tolist()),
                band_names=scene.band_names or (),
                value_ranges=dataset.value_ranges,
                file_bands=scene.file_bands,
                kept_bands=scene.kept_bands,
                band_axis=scene.band_axis,
                nodata_values=tuple(None if v != v else v for v in scene.nodata_values),
                **common,
            )
        return cls(description, dataset.preprocessing, state.params, state.batch_stats)

    @classmethod
    def of_checkpoint(cls, checkpoint: Checkpoint) -> "TrainedModel":
        """The model of the best state in a checkpoint that a run has written.

        Raises:
            InputError: if the checkpoint does not describe its model.
        """
        facts, tree = checkpoint.facts, checkpoint.tree
        if "model" not in facts:
            raise InputError(
                "the checkpoint does not describe its model; it was written by an earlier version, "
                "or without the facts of a run"
            )
        description = read_description(facts["model"], "the checkpoint")
        provenance = msgspec.structs.replace(description.provenance, steps=facts["best_step"])
        description = msgspec.structs.replace(description, provenance=provenance)
        state = tree["best" if "best" in tree else "state"]
        trees = {"params": state["params"], "batch_stats": state.get("batch_stats", {})}
        return cls._of_trees(description, trees | tree.get("model", {}), "the checkpoint")

    @classmethod
    def of_run(cls, folder: str | Path) -> "TrainedModel":
        """The model of a run's folder: the final one, or else that of its newest sound checkpoint.

        Raises:
            InputError: if it has neither.
        """
        folder = Path(folder)
        if (folder / "model" / DESCRIPTION).exists():
            return cls.load(folder / "model")
        checkpoint = Checkpoints(folder / "checkpoints").newest(repair=False)  # it may be running
        if checkpoint is None:
            raise InputError(
                f"{folder} holds neither a trained model (model/{DESCRIPTION}) nor a sound "
                f"checkpoint; check the folder"
            )
        return cls.of_checkpoint(checkpoint)

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
        write_model(Path(folder), self.description, _flat(trees), overwrite)

    @classmethod
    def load(cls, folder: str | Path) -> "TrainedModel":
        """Reads a saved model.

        Raises:
            InputError: if the folder holds no model, a damaged one, one of another format, or one
                whose weights do not fit its architecture.
        """
        description, arrays = read_model(Path(folder))
        return cls._of_trees(
            description, traverse_util.unflatten_dict(arrays, sep="/"), str(folder)
        )

    @classmethod
    def _of_trees(cls, description: Description, trees: Mapping, source: str) -> "TrainedModel":
        preprocessing = None
        if description.kind == "patch":
            preprocessing = Preprocessing.from_arrays(trees.get("preprocessing", {}))
        model = cls(
            description, preprocessing, trees.get("params", {}), trees.get("batch_stats", {})
        )
        model._check_weights(source)
        return model

    def _check_weights(self, source: str) -> None:
        """Checks that the weights are those of the architecture."""
        module, shape = self.module(), (1, *self.description.input_shape)
        # Nothing is computed, so JAX need not start its devices yet.
        made = jax.eval_shape(lambda: module.init(jax.random.key(0), jnp.zeros(shape)))
        expected = _flat({"params": {}, "batch_stats": {}, **made})
        found = _flat({"params": self.params, "batch_stats": self.batch_stats})
        for name in sorted(expected.keys() | found.keys()):
            wanted, given = _shape(expected.get(name)), _shape(found.get(name))
            if wanted != given:
                raise InputError(
                    f"the weights of {source} do not fit {self.description.architecture}: {name} "
                    f"is {given}, but the architecture has {wanted}"
                )

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.description.class_names)

    def arrays_beside(self) -> dict[str, dict[str, np.ndarray]]:
        """The arrays that are not weights, which a checkpoint keeps for `of_checkpoint`."""
        return (
            {} if self.preprocessing is None else {"preprocessing": self.preprocessing.to_arrays()}
        )

    def module(self) -> nn.Module:
        """The network.

        Raises:
            InputError: if it is one of your own that cannot be imported or made.
        """
        name = self.description.architecture
        return build_model(name, self.num_classes, parse_options(name, self.description.options))

    def prediction_state(self, task: Task | None = None) -> TrainState:
        """The state that predicts, not replicated; by default a classifier of samples."""
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
        on_progress: OnProgress = lambda samples: None,
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
        machine = _Machine(self, inputs.samples, devices)
        classes, _ = predict(*machine.on(inputs.ids), **machine.division, on_progress=on_progress)
        classes = classes.reshape(inputs.shape)
        return classes if inputs.nodata is None else np.where(inputs.nodata, UNLABELLED, classes)

    def predict_probabilities(
        self,
        data: Data,
        *,
        devices: int | None = None,
        on_progress: OnProgress = lambda samples: None,
    ) -> np.ndarray:
        """The probability of each class for every pixel or image; arguments as of `predict`.

        Returns:
            float32 [rows, columns, C] with NaN where the scene has no data, or [n, C].
        """
        inputs = inputs_of(self.description, self.preprocessing, data)
        machine = _Machine(self, inputs.samples, devices)
        rows = predict_probabilities(
            *machine.on(inputs.ids), **machine.division, on_progress=on_progress
        )
        probabilities = rows.reshape(*inputs.shape, -1)
        if inputs.nodata is not None:
            probabilities[inputs.nodata] = np.nan
        return probabilities

    def evaluate(
        self, data: Scene | ImageSet, ids: np.ndarray | None = None, *, devices: int | None = None
    ) -> Assessment:
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
        machine = _Machine(self, samples, devices)
        return evaluate(*machine.on(ids), labels, num_classes=self.num_classes, **machine.division)

    def label_ids(self, classes: np.ndarray) -> np.ndarray:
        """Turns class indexes into the ids of label files (-1 becomes the unlabelled id).

        Args:
            classes: class indexes 0..C-1 or -1, of any shape.

        Returns:
            int32 of the same shape.
        """
        ids = np.array([*self.description.class_ids, self.description.unlabelled_id], np.int32)
        return ids[np.asarray(classes)]  # -1 takes the last one


class _Machine:
    """Devices that share the prediction of some samples by a model evenly."""

    def __init__(self, model: TrainedModel, samples: Patches | Samples, devices: int | None):
        description = model.description
        if devices is None:
            emulate_devices(1)
            devices = 1 if jax.default_backend() == "cpu" else jax.local_device_count()
        self._state = model.prediction_state()
        self._replicas = Replicas(devices, samples)
        profile = Profile(tuple(Device(f"device {number}", 1.0) for number in range(devices)))
        size = description.microbatch_size
        plan = make_plan("balanced", profile, devices * size, size)
        self.division = {"profile": profile, "plan": plan}

    def on(self, ids: np.ndarray) -> tuple[Replicas, TrainState, np.ndarray]:
        """The first arguments of a prediction of these samples."""
        return self._replicas, self._state, ids


def _flat(trees: Mapping) -> dict[str, Any]:
    return traverse_util.flatten_dict(dict(trees), sep="/")


def _shape(array: Any) -> str:
    return "missing" if array is None else f"an array {list(array.shape)}"
