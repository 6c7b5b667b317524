"""What a classifier learns from: a scene's pixels or a set's images, ready for the devices."""

from collections.abc import Callable
from dataclasses import dataclass, field

import jax
import numpy as np
from flax import linen as nn

from hsi_jax.data.collection.labelled_pixels import LabelledPixels
from hsi_jax.data.collection.scene_collection import SceneCollection
from hsi_jax.data.collection.tile_order import TileOrder
from hsi_jax.data.images.image_set import ImageSet
from hsi_jax.data.preprocess import Preprocessing
from hsi_jax.data.scene.band_match import some_of, value_ranges
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.scene.stored_cube import spectra_at
from hsi_jax.data.splits.split import Split, class_counts
from hsi_jax.errors import InputError
from hsi_jax.models import BUILT_IN, Model, build_model, check_input, find_trait, parse_options
from hsi_jax.train.augmentation import Preparation
from hsi_jax.train.losses import ClassLoss
from hsi_jax.train.recipe import Recipe
from hsi_jax.train.samples import Patches, SampleSource, Stream
from hsi_jax.train.state import TrainState, create_state


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled samples, divided and ready for the devices.

    Attributes:
        name: as reports call it.
        note: what a reader of results has to know, or "".
        class_names: C names.
        class_ids: the id that each class has in the files.
        labels: class index of each sample, -1 where unlabelled, int32 [n].
        split: which samples train, validate and test.
        samples: for `Replicas`.
        input_shape: of the model's input.
        prepare: from the samples to the model's inputs, or None where they are the inputs.
        scene: whose pixels they are, or None.
        preprocessing: of the scene's spectra, or None.
        value_ranges: of each band of the scene, the 1st and the 99th percentile.
        images: whose images they are, or None.
        pixels: of the collection of scenes whose pixels they are, or None.
        order: in which its training samples come; None for any other dataset.
        events: what happened to its files in this process while they were read, a sentence each.
    """

    name: str
    note: str
    class_names: tuple[str, ...]
    class_ids: tuple[int, ...]
    labels: np.ndarray
    split: Split
    samples: SampleSource | Stream
    input_shape: tuple[int, int, int]
    prepare: Preparation | None = None
    scene: Scene | None = None
    preprocessing: Preprocessing | None = None
    value_ranges: tuple[tuple[float, float], ...] = ()
    images: ImageSet | None = None
    pixels: LabelledPixels | None = None
    order: TileOrder | None = None
    events: list[str] = field(default_factory=list)

    def require_images(self) -> ImageSet:
        """The images that the samples are.

        Raises:
            InputError: if they are the pixels of a scene.
        """
        if self.images is None:
            raise InputError(f"{self.name} is a scene, not a set of images")
        return self.images

    def batches(self, recipe: Recipe) -> Callable[[int], np.ndarray]:
        """The samples of each step of a training, int32 [batch size], by its number."""
        if self.order is not None:
            return self.order.batch_ids
        return recipe.batches(self.split.train, self.labels)

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.class_names)

    @property
    def source(self) -> Scene | SceneCollection | None:
        """The scene, or the scenes, whose pixels the samples are; None for images."""
        return self.scene if self.pixels is None else self.pixels.collection


def scene_dataset(
    scene: Scene,
    split: Split,
    *,
    model: Model,
    patch_size: int | None = None,
    components: int | None = None,
    augment: tuple[str, ...] = (),
    fit_on_scene: bool = False,
    adapt: Callable[[Scene, Preprocessing], Preprocessing] | None = None,
    hidden: np.ndarray | None = None,
) -> Dataset:
    """The pixels of a scene, scaled by what its training pixels say, ready to be cut into patches.

    Args:
        scene: with labels, unless nothing but its patches is learnt.
        split: of its pixels.
        model: name of the architecture, whose defaults hold where the next two are None.
        patch_size: side of a patch, odd.
        components: principal components; 0 keeps all bands.
        augment: names of `hsi_jax.train.AUGMENTATIONS`.
        fit_on_scene: fits the scaling and the components on all pixels that have data, as many
            papers do, although test pixels are among them.
        adapt: makes the preprocessing of a scene of the one that was fitted; None keeps that one.
        hidden: ids of pixels that patches hold as if they had no data, int32 [n]; or None.

    Raises:
        InputError: if the model cannot take such patches.
    """
    size, bands = patch_size or find_trait(model, "default_patch_size"), scene.shape[2]
    _check_neighbours(scene, size)
    if components is None:
        default: int = find_trait(model, "default_components")
        components = min(default, bands, len(split.train) - 1)
    if not adapt:
        check_input(model, size, components or bands)
    preprocessing, ranges = _look_at_spectra(scene, split.train, components, fit_on_scene)
    if adapt:
        preprocessing = adapt(scene, preprocessing)
        check_input(model, size, preprocessing.num_channels)
    given = {"nodata": _without_data(scene, hidden), "preprocessing": preprocessing}
    patches = Patches.of_scene(scene.cube, scene.labels, size, **given)
    return Dataset(
        name=scene.name,
        note=scene.note,
        class_names=scene.class_names,
        class_ids=scene.class_ids,
        labels=patches.labels,
        split=split,
        samples=patches,
        input_shape=(size, size, patches.cube.shape[-1]),
        # The cube is normalised already, so only augmentation is left to do.
        prepare=Preparation((0.0,), (1.0,), augment) if augment else None,
        scene=scene,
        preprocessing=preprocessing,
        value_ranges=ranges,
    )


def _without_data(scene: Scene, hidden: np.ndarray | None) -> np.ndarray | None:
    """The pixels that patches hold as 0, bool [rows, columns]; None if there are none."""
    if hidden is None:
        return scene.nodata
    mask = np.zeros(scene.shape[:2], bool)
    mask.flat[hidden] = True
    return mask if scene.nodata is None else mask | scene.nodata


def _look_at_spectra(
    scene: Scene, train: np.ndarray, components: int, fit_on_scene: bool
) -> tuple[Preprocessing, tuple[tuple[float, float], ...]]:
    """The scaling of a scene, fitted on its training pixels, and the ranges of all its values."""
    with_data = np.ones(scene.cube.shape[:2], bool) if scene.nodata is None else ~scene.nodata
    pixels = np.flatnonzero(with_data)
    fitted, looked_at = (pixels if fit_on_scene else train), some_of(pixels)
    # Read once, where the scene is on a disk.
    spectra = spectra_at(scene.cube, np.concatenate([fitted, looked_at]))[np.newaxis]
    ids = np.arange(spectra.shape[1])
    ranges = value_ranges(spectra, ids[len(fitted) :])
    return Preprocessing.fit(spectra, ids[: len(fitted)], components), ranges


def _check_neighbours(scene: Scene, patch_size: int) -> None:
    rows, columns = scene.cube.shape[:2]
    if min(rows, columns) == 1 and patch_size > 1:
        raise InputError(
            f"`patch_size`={patch_size}: the pixels of {scene.name} ({rows} x {columns}) do not "
            f"lie in a plane; choose a model of single spectra, `model`=cnn1d, or another with "
            f"`patch_size`=1"
        )


def first_state(dataset: Dataset, recipe: Recipe, model: Model, options: str = "") -> TrainState:
    """The first state of a network for a dataset.

    Args:
        dataset: that it will learn from.
        recipe: by which it will.
        model: name of the architecture, or what makes it; see `hsi_jax.models.find_model`.
        options: of it, as `hsi_jax.models.parse_options` reads them.

    Raises:
        InputError: for an unknown model or option, or a model whose logits are not [batch, C].
    """
    module = build_model(model, dataset.num_classes, parse_options(model, options))
    optimizer = recipe.make_optimizer(recipe.num_steps(len(dataset.split.train)))
    counts = class_counts(dataset.split.train, dataset.labels, dataset.num_classes)
    state = create_state(
        module,
        optimizer,
        dataset.input_shape,
        seed=recipe.seed,
        prepare=dataset.prepare,
        loss=ClassLoss.of_training(recipe.loss, counts),
    )
    if model not in BUILT_IN:
        _check_logits(module, state, dataset)
    return state


def _check_logits(module: nn.Module, state: TrainState, dataset: Dataset) -> None:
    """Checks the shape of a network's logits, of which a loss would take any; computes nothing."""
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    inputs = jax.ShapeDtypeStruct((2, *dataset.input_shape), np.float32)
    logits = jax.eval_shape(module.apply, variables, inputs)
    shape = getattr(logits, "shape", None)
    if shape != (2, dataset.num_classes):
        raise InputError(
            f"`model`: {type(module).__name__} maps inputs {inputs.shape} to {shape}; it must give "
            f"logits [batch, classes], here (2, {dataset.num_classes})"
        )
