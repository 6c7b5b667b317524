"""What a trained model is given: a scene or images, checked and ready for the devices."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsi_jax.data.images.image_set import ImageSet
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.scene.band_match import Bands
from hsi_jax.data.scene.scene import UNLABELLED, Scene
from hsi_jax.data.scene.stored_cube import StoredCube
from hsi_jax.errors import InputError, InputWarning
from hsi_jax.train.samples import Patches, Samples
from hsi_jax.trained.description import Description
from hsi_jax.trained.scene_reading import (
    bands_as_trained,
    cube_as_trained,
    scene_as_trained,
    warn_of_scene,
)

Data = Scene | ImageSet | np.ndarray


@dataclass(frozen=True, eq=False)
class Inputs:
    """Samples to predict.

    Attributes:
        samples: for `Replicas`.
        shape: of their classes: (rows, columns) of a scene, or (n,) of images.
        nodata: bool of that shape, True where a scene has no data; or None.
    """

    samples: Patches | Samples
    shape: tuple[int, ...]
    nodata: np.ndarray | None = None

    @property
    def ids(self) -> np.ndarray:
        """The ids of all samples, int32 [n]."""
        return np.arange(np.prod(self.shape), dtype=np.int32)


def inputs_of(description: Description, preprocessing: Preprocessing | None, data: Data) -> Inputs:
    """All pixels of a scene, or all images, for a model.

    Args:
        description: of the model.
        preprocessing: of the model, or None if it takes images.
        data: a scene or its cube, numbers [rows, columns, bands], of which what a masked array
            hides is no data; an image set, or numbers [n, rows, columns, channels].

    Raises:
        InputError: if the data have other bands, or another size, than the model takes; see
            `bands_as_trained`.

    Warns:
        InputWarning: if values look like no data or are unlike those of training, if the images
            have another dtype, or if something is taken from the model; see `scene_as_trained`.
    """
    if preprocessing is None:
        return _image_inputs(description, data)
    if isinstance(data, ImageSet):
        raise InputError("the model was trained on the pixels of a scene; give a scene")
    if isinstance(data, Scene):
        cube, nodata = _of_scene(description, scene_as_trained(description, data))
    else:
        cube, nodata = cube_as_trained(description, data)
    patches = Patches.of_scene(
        cube, None, description.input_shape[0], nodata=nodata, preprocessing=preprocessing
    )
    return Inputs(patches, cube.shape[:2], nodata)


def _of_scene(
    description: Description, scene: Scene
) -> tuple[np.ndarray | StoredCube, np.ndarray | None]:
    """The cube of a scene with the bands of the model, and its pixels without data."""
    bands = bands_as_trained(
        description,
        Bands(scene.shape[2], scene.wavelengths, scene.band_names),
        f"scene {scene.name}",
        kept_bands=scene.kept_bands,
        shape=scene.shape,
    )
    warn_of_scene(description, scene, bands)
    return (scene.cube if bands is None else scene.cube[..., bands]), scene.nodata


def _image_inputs(description: Description, data: Data) -> Inputs:
    if isinstance(data, Scene):
        raise InputError("the model was trained on whole images; give images, not a scene")
    images: Any = data.read(np.arange(len(data))) if isinstance(data, ImageSet) else data
    shape = description.input_shape
    if images.ndim != 4 or images.shape[1:] != shape:
        raise InputError(
            f"the images have shape {images.shape}, but the model takes "
            f"[n, {', '.join(map(str, shape))}]"
        )
    if description.image_dtype and images.dtype.name != description.image_dtype:
        warnings.warn(
            f"the images hold {images.dtype.name}, but the model was trained on "
            f"{description.image_dtype}, so their values may mean something else; give images of "
            f"the same type",
            InputWarning,
            stacklevel=4,  # the caller of `predict`
        )
    return Inputs(Samples((images, np.full(len(images), UNLABELLED, np.int32))), (len(images),))


def labelled_inputs(
    description: Description,
    preprocessing: Preprocessing | None,
    data: Scene | ImageSet,
    ids: np.ndarray | None,
) -> tuple[Patches | Samples, np.ndarray, np.ndarray]:
    """The samples, all labels as class indexes of the model, and which samples to evaluate.

    Args:
        description: of the model.
        preprocessing: of the model, or None if it takes images.
        data: a scene or an image set.
        ids: of the samples to evaluate, or None: all that are labelled.

    Raises:
        InputError: as `labels_of` and `inputs_of`, or if there is nothing to evaluate.
    """
    labels = labels_of(description, data)
    if isinstance(data, ImageSet):
        ids = _check_ids(labels, ids)  # only these images are read
        labels, images = labels[ids], data.read(ids)
        inputs_of(description, preprocessing, images)  # checks them
        return Samples((images, labels)), labels, np.arange(len(ids), dtype=np.int32)
    inputs = inputs_of(description, preprocessing, data)
    if inputs.nodata is not None:
        labels = np.where(inputs.nodata.ravel(), UNLABELLED, labels)
    ids = _check_ids(labels, ids)
    return inputs.samples.replace(labels=labels), labels, ids


def _check_ids(labels: np.ndarray, ids: np.ndarray | None) -> np.ndarray:
    """The samples to evaluate, int32."""
    if ids is None:
        ids = np.flatnonzero(labels != UNLABELLED)
    ids = np.asarray(ids)
    if not ids.size:
        raise InputError("`ids` names no sample; give some that are labelled")
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise InputError(f"`ids` has shape {ids.shape} and dtype {ids.dtype}; give a list of ids")
    if ids.min() < 0 or ids.max() >= len(labels):
        raise InputError(
            f"`ids` reaches from {ids.min()} to {ids.max()}, but the samples are 0 to "
            f"{len(labels) - 1}"
        )
    if without := np.count_nonzero(labels[ids] == UNLABELLED):
        raise InputError(f"{without} samples of `ids` have no label or no data; leave them out")
    return ids.astype(np.int32)


def labels_of(description: Description, data: Scene | ImageSet) -> np.ndarray:
    """The labels of data as class indexes of a model, int32 [all samples]; -1 is unlabelled.

    Classes of a scene are matched by name where the scene and the model name them, else by their
    ids.

    Raises:
        InputError: if there are no labels, or a class that the model does not know.
    """
    description.require_classes()
    if isinstance(data, ImageSet):
        if tuple(data.class_names) != description.class_names:
            raise InputError(
                f"the images have the classes {', '.join(data.class_names)}, but the model knows "
                f"{', '.join(description.class_names)}"
            )
        return data.labels.astype(np.int32)
    labels = data.require_labels()
    known = _keys(description.class_ids, description.class_names)
    given = _keys(data.class_ids, data.class_names)
    if known is None or given is None:
        known, given = [*description.class_ids], [*data.class_ids]
    index = {key: number for number, key in enumerate(known)}
    classes = zip(given, data.class_ids, data.class_names, strict=True)
    unknown = [f"{name} (id {number})" for key, number, name in classes if key not in index]
    if unknown:
        own = zip(description.class_names, description.class_ids, strict=True)
        raise InputError(
            f"scene {data.name} has the classes {', '.join(unknown)}, which the model does not "
            f"know; it knows {', '.join(f'{name} (id {number})' for name, number in own)}"
        )
    table = [*(index[key] for key in given), UNLABELLED]
    return np.array(table, np.int32)[labels.ravel()]  # -1 takes the last one


def _keys(class_ids: tuple[int, ...], class_names: tuple[str, ...]) -> list[str] | None:
    """The names that tell classes apart; None if they only repeat the ids, or are not unique."""
    names = [" ".join(name.casefold().split()) for name in class_names]
    made_up = [f"class {number}" for number in class_ids]
    return None if names == made_up or len({*names}) < len(names) else names
