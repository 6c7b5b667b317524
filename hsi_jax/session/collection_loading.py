"""From the options to a collection of scenes that a run learns from."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from hsi_jax.cluster.devices import JaxDevice
from hsi_jax.cluster.exchange import add, gather, num_processes, rank
from hsi_jax.command_line import with_flags
from hsi_jax.data.collection.collection_split import CollectionSplit
from hsi_jax.data.collection.exact_fit import fit_scaling
from hsi_jax.data.collection.kept_arrays import KeptArrays
from hsi_jax.data.collection.labelled_pixels import LabelledPixels
from hsi_jax.data.collection.scene_collection import SceneCollection
from hsi_jax.data.collection.survey import Survey, survey
from hsi_jax.data.collection.team import Team
from hsi_jax.data.collection.tile_order import TileOrder
from hsi_jax.data.collection.unlabelled_pixels import split_unlabelled, without_labels
from hsi_jax.data.splits.split import Split
from hsi_jax.data.splits.table import SplitRequest
from hsi_jax.errors import printable
from hsi_jax.kernels.compilation_cache import default_folder, is_own
from hsi_jax.session.learning_options import WITHOUT_TEST
from hsi_jax.session.options import RunOptions
from hsi_jax.session.resolve import Resolved
from hsi_jax.train import Dataset, Feeding, choose_patches, collection_dataset

SCENE_FRACTION, HELD_OUT = 0.1, 0.1  # where no option says otherwise
MAX_REMARKS = 12  # on the scenes
_MESSAGE_BYTES = 1000


def open_collection(options: RunOptions) -> SceneCollection:
    """The collection that the options name.

    Raises:
        InputError: that names the row of its table, if something is missing or does not fit.
    """
    data = options.data
    return SceneCollection.open(
        options.collection.scenes,
        labels=data.labels,
        reading=data.reading,
        labels_attribute=data.labels_attribute or None,
        labels_touched=data.labels_touched,
    )


def load_collection(resolved: Resolved, devices: Sequence[JaxDevice]) -> Dataset:
    """The pixels of the collection that the options name, ready for these devices.

    They are the labelled ones, or all of them where no labels are learnt. Every process must call
    it.

    Raises:
        InputError: on data that are not there or cannot be used.
    """
    options, start, team = resolved.options, resolved.start, _team()
    folder = default_folder(os.environ, "scenes")
    kept = KeptArrays(folder if folder and (not folder.exists() or is_own(folder)) else None)
    collection = open_collection(options)
    if start:
        start.match(collection)  # here, before any scene is looked through
    pixels, split, found = _look(options, collection, team=team, kept=kept)
    size, components = _choose_patches(resolved, pixels, split)
    scaling = fit_scaling(
        pixels, split.train, components, origin=found.origin, team=team, kept=kept
    )
    order = TileOrder(
        split.train,
        pixels.tile_starts,
        batch_size=options.recipe.batch_size,
        mixed_tiles=options.collection.mixed_tiles,
        seed=options.recipe.seed,
    )
    return collection_dataset(
        pixels,
        split,
        start.adapt(collection, scaling) if start else scaling,
        patch_size=size,
        order=order,
        devices=devices,
        feeding=Feeding(
            feed=options.data.feed,
            cache_bytes=options.data.cache_mb * 2**20,
            on_unreadable=options.collection.on_unreadable,
            tell=_tell,
        ),
        augment=resolved.augment,
        value_ranges=found.value_ranges,
    )


def _look(
    options: RunOptions, collection: SceneCollection, *, team: Team, kept: KeptArrays
) -> tuple[LabelledPixels, Split, Survey]:
    """The pixels that have data, their split, and what a look through the scenes has found."""
    division, unseen = _division(options), []
    if options.learning.pretrains:
        if options.learning.pretrain_on == WITHOUT_TEST:
            unseen = division.testing_scenes(collection)
        collection = without_labels(collection, unseen)
    pixels = LabelledPixels.of(collection, options.collection.tile_side)
    found = survey(pixels, options.data.reading, team=team, kept=kept)
    lost = int(np.count_nonzero(found.lost))
    which = "pixels" if options.learning.pretrains else "labelled pixels"
    words = (f"{lost} {which} have no data and are left out.",) if lost else ()
    remarks = (*collection.remarks, *words, *found.remarks)
    if (more := len(remarks) - MAX_REMARKS) > 0:
        remarks = (*remarks[:MAX_REMARKS], f"{more} more remarks of this kind are left out.")
    told = dataclasses.replace(collection, remarks=remarks)
    pixels = dataclasses.replace(pixels.without(found.lost), collection=told)
    if options.learning.pretrains:
        fraction = division.validation_fraction
        return pixels, split_unlabelled(pixels, division.seed, fraction, unseen), found
    return pixels, division.divide(pixels), found


def _choose_patches(resolved: Resolved, pixels: LabelledPixels, split: Split) -> tuple[int, int]:
    """The side of a patch and the number of components."""
    options = resolved.options
    if resolved.start:
        assert options.model.patch_size  # that of the model
        return options.model.patch_size, 0
    return choose_patches(
        options.model_name,
        pixels.collection.num_bands,
        len(split.train),
        patch_size=options.model.patch_size,
        components=options.data.components,
    )


def _division(options: RunOptions) -> CollectionSplit:
    """How labelled pixels are divided, and which are held out for validation."""
    asked, scenes = options.split, options.collection
    fraction, held_out = asked.train_fraction, asked.validation_fraction
    if fraction is None and asked.train_per_class is None:
        fraction = SCENE_FRACTION
    request = SplitRequest(
        labels=np.zeros((0, 0), np.int32),  # of each scene in turn
        seed=options.recipe.seed,
        train_fraction=fraction,
        train_per_class=asked.train_per_class,
        small_classes=asked.small_classes,
        guard=options.guard,
        block_size=asked.block_size,
    )
    return CollectionSplit(
        kind=asked.split,
        seed=options.recipe.seed,
        validation_fraction=HELD_OUT if held_out is None else held_out,
        column=scenes.group_column,
        folds=scenes.folds,
        fold=scenes.fold,
        request=request,
    )


def _team() -> Team:
    """The processes of this run."""
    if num_processes() == 1:
        return Team()

    def texts(text: bytes) -> list[bytes]:
        padded = text[:_MESSAGE_BYTES].ljust(_MESSAGE_BYTES, b"\0")
        rows = gather(np.frombuffer(padded, np.uint8))
        return [row.tobytes().rstrip(b"\0") for row in rows]

    return Team(rank(), num_processes(), add, texts)


def _tell(text: str) -> None:
    """Tells what happens while training, above the progress bar."""
    number = f"[{rank()}] " if num_processes() > 1 else ""
    tqdm.write(printable(with_flags(f"{number}NOTE     {text}")))
