"""A trained model from its training, and where it comes from."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

import hsi_jax
from hsi_jax.data.collection.scene_collection import SceneCollection
from hsi_jax.data.scene.scene import Scene
from hsi_jax.data.splits.split import digest_of_samples
from hsi_jax.evaluate.figures.palette import hex_colours
from hsi_jax.models import MODELS, Model, find_model, name_model, options_to_text
from hsi_jax.train.dataset import Dataset
from hsi_jax.train.state import TrainState
from hsi_jax.trained.description import CLASSIFIER, PRETRAINED, Description, Provenance
from hsi_jax.trained.trained_model import TrainedModel

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def model_of_training(
    dataset: Dataset,
    state: TrainState,
    *,
    architecture: Model,
    options: Mapping[str, Any],
    microbatch_size: int,
    provenance: Provenance,
) -> TrainedModel:
    """The model of a state that was trained on a dataset.

    Args:
        dataset: that it learnt from.
        state: not replicated.
        architecture: name of the network, or what makes it; see `hsi_jax.models.find_model`.
        options: of the network.
        microbatch_size: samples that are predicted together.
        provenance: where the model comes from.
    """
    description = Description(
        task=CLASSIFIER if dataset.num_classes else PRETRAINED,
        architecture=name_model(architecture),
        options=options_to_text(options),
        class_names=tuple(dataset.class_names),
        class_ids=tuple(int(class_id) for class_id in dataset.class_ids),
        colours=_colours(dataset),
        input_shape=dataset.input_shape,
        microbatch_size=microbatch_size,
        provenance=provenance,
        value_ranges=dataset.value_ranges,
        **_of_data(dataset),
    )
    own = None if architecture in MODELS else find_model(architecture)
    return TrainedModel(description, dataset.preprocessing, state.params, state.batch_stats, own)


def _of_data(dataset: Dataset) -> dict[str, Any]:
    """The part of a description that the data decide."""
    if dataset.pixels is not None:
        return _of_collection(dataset.pixels.collection)
    return _of_images(dataset) if dataset.scene is None else _of_scene(dataset.scene)


def _of_collection(collection: SceneCollection) -> dict[str, Any]:
    """The part of a description that a collection of scenes decides."""
    known = collection.wavelengths
    dropped = collection.kept_bands is not None
    return {
        "kind": "patch",
        "num_bands": collection.num_bands,
        "unlabelled_id": collection.unlabelled_ids[0],
        "wavelengths": None if known is None else tuple(known.tolist()),
        "band_names": collection.band_names or (),
        "file_bands": collection.file_bands if dropped else None,
        "kept_bands": collection.kept_bands,
        "nodata_values": tuple(None if v != v else v for v in collection.nodata_values),
    }


def _colours(dataset: Dataset) -> tuple[str, ...]:
    if not dataset.num_classes:
        return ()
    return hex_colours(dataset.num_classes, dataset.scene.class_colours if dataset.scene else ())


def _of_scene(scene: Scene) -> dict[str, Any]:
    """The part of a description that a scene decides."""
    known = scene.wavelengths
    return {
        "kind": "patch",
        "num_bands": scene.cube.shape[-1],
        "unlabelled_id": scene.unlabelled_ids[0],
        "wavelengths": None if known is None else tuple(known.tolist()),
        "band_names": scene.band_names or (),
        "file_bands": scene.file_bands,
        "kept_bands": scene.kept_bands,
        "band_axis": scene.band_axis,
        "nodata_values": tuple(None if v != v else v for v in scene.nodata_values),
    }


def _of_images(dataset: Dataset) -> dict[str, Any]:
    """The part of a description that a set of images decides."""
    prepare, images = dataset.prepare, dataset.images
    assert prepare is not None  # images are always normalised
    return {
        "kind": "image",
        "num_bands": dataset.input_shape[-1],
        "mean": prepare.mean,
        "deviation": prepare.deviation,
        "image_dtype": "" if images is None else images.dtype.name,
    }


def provenance_of(
    dataset: Dataset,
    seed: int,
    steps: int,
    test: dict[str, float] | None = None,
    *,
    unseen: bool = True,
) -> Provenance:
    """Where a model that was trained on a dataset comes from.

    Args:
        dataset: that it learnt from.
        seed: of the training.
        steps: updates of its parameters.
        test: OA, AA and kappa on the test samples, where they are known.
        unseen: whether the training, and what it started from, has not seen the test samples.
    """
    split = dataset.split
    return Provenance(
        dataset=dataset.name,
        note=dataset.note,
        split=split.kind,
        counts={
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
        },
        seed=seed,
        steps=steps,
        test=test or {},
        test_digest=digest_of_samples(split.test) if unseen else "",
        unseen_scenes=_unseen_scenes(dataset) if unseen else (),
        versions=library_versions(),
    )


def _unseen_scenes(dataset: Dataset) -> tuple[str, ...]:
    """The scenes of a collection that neither train nor validate."""
    if dataset.pixels is None:
        return ()
    used = dataset.pixels.scene_of(np.concatenate([dataset.split.train, dataset.split.validation]))
    scenes = enumerate(dataset.pixels.collection)
    return tuple(scene.name for number, scene in scenes if number not in used)


def library_versions() -> dict[str, str]:
    """Versions of hsi_jax and of the libraries that its results depend on."""
    return {"hsi_jax": hsi_jax.__version__, **{name: version(name) for name in PACKAGES}}
