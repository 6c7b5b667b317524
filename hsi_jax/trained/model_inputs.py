"""What a trained model is given: a scene or images, checked and ready for the devices."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from hsi_jax.data.images.image_set import ImageSet
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.scene.band_match import doubt_on_values, match_bands, value_ranges
from hsi_jax.data.scene.scene import UNLABELLED, Scene
from hsi_jax.data.scene.stored_cube import StoredCube
from hsi_jax.errors import InputError, InputWarning
from hsi_jax.train.samples import Patches, Samples
from hsi_jax.trained.description import Description
from hsi_jax.trained.scene_reading import cube_as_trained, scene_as_trained

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
        data: a scene or its cube, numbers [rows, columns, bands]; an image set, or numbers
            [n, rows, columns, channels].

    Raises:
        InputError: if the data have other bands, or another size, than the model takes. Bands are
            matched by wavelength where both have them.

    Warns:
        InputWarning: if the values seem to be in another unit than those of training, if the images
            have another dtype, or if something is taken from the model; see `scene_as_trained`.
    """
    if preprocessing is None:
        return _image_inputs(description, data)
    if isinstance(data, ImageSet):
        raise InputError("the model was trained on the pixels of a scene; give a scene")
    if isinstance(data, Scene):
        scene = scene_as_trained(description, data)
    else:
        scene = cube_as_trained(description, data)
    patches = Patches.of_scene(
        _bands_of(description, scene),
        None,
        description.input_shape[0],
        nodata=scene.nodata,
        preprocessing=preprocessing,
    )
    return Inputs(patches, scene.cube.shape[:2], scene.nodata)


def _bands_of(description: Description, scene: Scene) -> np.ndarray | StoredCube:
    """The cube with the bands of the model; warns if its values seem to be in another unit."""
    source, cube = f"scene {scene.name}", scene.cube
    if _has_whole_file(description, scene):
        cube = cube[..., list(description.kept_bands or ())]
    else:
        _check_bands(description, scene)
        bands = match_bands(
            description.wavelengths,
            description.num_bands,
            scene.wavelengths,
            cube.shape[-1],
            source=source,
        )
        if bands is not None:
            cube = cube[..., bands]
    if description.value_ranges:
        missing = np.zeros(cube.shape[:2], bool) if scene.nodata is None else scene.nodata
        found = value_ranges(cube, np.flatnonzero(~missing))
        doubt = doubt_on_values(description.value_ranges, found, source)
        if doubt:
            warnings.warn(doubt, InputWarning, stacklevel=4)  # the caller of `predict`
    return cube


def _has_whole_file(description: Description, scene: Scene) -> bool:
    """Whether the scene has all bands of such a file as the model took some bands of."""
    bands = scene.cube.shape[-1]
    return bool(description.kept_bands) and (
        scene.kept_bands is None and bands == description.file_bands != description.num_bands
    )


def _check_bands(description: Description, scene: Scene) -> None:
    """Checks that a scene has the bands of the model, as far as their number tells."""
    if scene.kept_bands not in (None, description.kept_bands):
        raise InputError(
            f"scene {scene.name} has other bands of its file than the model takes; read it without "
            f"`drop_bands`"
        )
    *others, bands = scene.cube.shape
    known = description.wavelengths is not None and scene.wavelengths is not None
    if known or bands == description.num_bands:  # by wavelength, any number may do
        return
    of_file = f" of {description.file_bands}" if description.kept_bands else ""
    needed = f"scene {scene.name} has {bands} bands, but the model takes {description.num_bands}"
    for axis, size in enumerate(others):
        if size in (description.num_bands, description.file_bands):
            raise InputError(
                f"{needed}{of_file}; its axis {axis} has {size}: if those are the bands, read it "
                f"with `band_axis`={axis}"
            )
    raise InputError(f"{needed}{of_file}; give a scene with the same bands")


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


def labels_of(description: Description, data: Scene | ImageSet) -> np.ndarray:
    """The labels of data as class indexes of a model, int32 [all samples]; -1 is unlabelled.

    Classes of a scene are matched by their ids.

    Raises:
        InputError: if there are no labels, or a class that the model does not know.
    """
    if isinstance(data, ImageSet):
        if tuple(data.class_names) != description.class_names:
            raise InputError(
                f"the images have the classes {', '.join(data.class_names)}, but the model knows "
                f"{', '.join(description.class_names)}"
            )
        return data.labels.astype(np.int32)
    labels = data.require_labels()
    index = {class_id: number for number, class_id in enumerate(description.class_ids)}
    unknown = [str(class_id) for class_id in data.class_ids if class_id not in index]
    if unknown:
        raise InputError(
            f"scene {data.name} has classes with the ids {', '.join(unknown)}, which the model "
            f"does not know; it knows {', '.join(map(str, description.class_ids))}"
        )
    table = [*(index[class_id] for class_id in data.class_ids), UNLABELLED]
    return np.array(table, np.int32)[labels.ravel()]  # -1 takes the last one
