"""The pixels of a collection without their labels, to be learnt from by what is hidden of them."""

import math
from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction

import numpy as np

from hsi_jax.data.collection.collected_scene import CollectedScene
from hsi_jax.data.collection.labelled_pixels import LabelledPixels
from hsi_jax.data.collection.scene_collection import SceneCollection
from hsi_jax.data.splits.split import NO_IDS, Split, seeded_generator
from hsi_jax.errors import InputError

MOST = 10_000_000  # pixels; each takes 8 bytes


def without_labels(
    collection: SceneCollection, unseen: Collection[int] = (), *, most: int = MOST
) -> SceneCollection:
    """The collection with pixels all over its scenes in place of the labelled ones.

    Args:
        collection: of scenes.
        unseen: numbers of scenes that get none.
        most: pixels; where there are more, only every k-th row and column gives some.

    Raises:
        InputError: if no scene is left.
    """
    seen = [k for k in range(len(collection)) if k not in unseen]
    if not seen:
        raise InputError("all scenes of the collection test; none is left to learn from")
    total = sum(math.prod(collection[k].size) for k in seen)
    step = math.isqrt(max(total - 1, 0) // most) + 1
    scenes = [
        _with_pixels(scene, NO_IDS if number in unseen else _grid(scene.size, step))
        for number, scene in enumerate(collection)
    ]
    thinned = (
        f"{total} pixels are more than {most}: every {step}th row and column gives some to learn "
        f"from; the others lie in their patches.",
    )
    return replace(
        collection,
        scenes=tuple(scenes),
        class_names=(),
        class_ids=(),
        remarks=(*collection.remarks, *(thinned if step > 1 else ())),
    )


def split_unlabelled(
    pixels: LabelledPixels, seed: int, validation_fraction: float, unseen: Collection[int] = ()
) -> Split:
    """All pixels, those of some tiles held out to measure errors on.

    Args:
        pixels: of a collection without labels.
        seed: of the draw, 0 or more.
        validation_fraction: part of the tiles that is held out: at least one, unless it is 0 or
            there is just one tile.
        unseen: numbers of scenes that have none.
    """
    used = np.flatnonzero(np.diff(pixels.tile_starts))
    number = math.floor(Fraction(str(validation_fraction)) * len(used))
    if validation_fraction and len(used) > 1:
        number = max(number, 1)
    held = np.zeros(len(pixels), bool)
    for tile in seeded_generator(seed, stream=3).permutation(used)[:number]:
        held[pixels.ids_of_tile(int(tile))] = True
    ids = np.arange(len(pixels), dtype=np.int32)
    names = ", ".join(pixels.collection[k].name for k in sorted(unseen))
    remarks = [
        f"Labels are not read, and no pixel of the scenes that test is: {names}."
        if unseen
        else "Labels are not read. All scenes are seen, and with them the test pixels of any split."
    ]
    if number:
        remarks.append(
            f"{number} of {len(used)} tiles, drawn at random, are held out to measure errors on; "
            f"at their edges they lie in the patches of others."
        )
    kind = "all scenes but those that test" if unseen else "all scenes"
    return Split(kind, ids[~held], ids[held], NO_IDS, tuple(remarks))


def _grid(size: tuple[int, int], step: int) -> np.ndarray:
    rows, columns = (np.arange(0, length, step, dtype=np.int32) for length in size)
    return (rows[:, np.newaxis] * size[1] + columns).ravel()


def _with_pixels(scene: CollectedScene, pixels: np.ndarray) -> CollectedScene:
    return replace(scene, pixels=pixels, classes=np.full(len(pixels), -1, np.int32), polygons=None)
