"""What the sets of a split of a collection have in common: scenes, sites, dates, ground, pixels."""

from dataclasses import dataclass

import numpy as np

from hsi_jax.data.collection.collected_scene import CollectedScene
from hsi_jax.data.collection.labelled_pixels import LabelledPixels
from hsi_jax.data.splits.distance import count_leakage
from hsi_jax.data.splits.split import Split

SCENE, GROUND = "scene", "ground"


@dataclass(frozen=True, eq=False)
class Shared:
    """How much of the test was learnt from, in one way or another.

    Attributes:
        fractions: part of the test pixels that lie in the same scene, or in a scene of the same
            site, date, ... (each group of the table), or on the same ground by the rectangles of
            the scenes, as pixels that were learnt from.
        in_patch: test pixels with a pixel that was learnt from in their patch, in their scene.
        validation_in_patch: validation pixels with a training pixel in theirs.
    """

    fractions: dict[str, float]
    in_patch: int
    validation_in_patch: int


def find_shared(pixels: LabelledPixels, split: Split, patch_size: int) -> Shared:
    """Looks for what the test has in common with training and validation.

    Args:
        pixels: of the collection.
        split: of them.
        patch_size: side of a patch.
    """
    scenes = pixels.collection.scenes
    learnt, tested = (
        _counts(pixels, ids)
        for ids in (np.concatenate([split.train, split.validation]), split.test)
    )
    total = max(1, int(tested.sum()))
    fractions = {SCENE: float(tested[learnt > 0].sum() / total)}
    for column in _columns(scenes):
        groups = np.array([scene.row.groups.get(column, "") for scene in scenes])
        seen = np.isin(groups, groups[(learnt > 0) & (groups != "")])
        fractions[column] = float(tested[seen].sum() / total)
    if all(scene.corners is not None for scene in scenes):
        same = [_overlaps(scenes, k, learnt > 0) for k in range(len(scenes))]
        fractions[GROUND] = float(tested[same].sum() / total)
    sets = [_counts(pixels, getattr(split, name)) > 0 for name in ("train", "validation", "test")]
    both = np.flatnonzero(np.sum(sets, 0) > 1).tolist()
    counts = [_in_patches(pixels, split, k, patch_size) for k in both]
    in_patch, validation = np.sum(counts, 0).tolist() if counts else (0, 0)
    return Shared(fractions, int(in_patch), int(validation))


def _counts(pixels: LabelledPixels, ids: np.ndarray) -> np.ndarray:
    """How many of some samples each scene has, int [scenes]."""
    return np.diff(np.searchsorted(np.sort(ids), pixels.scene_starts))


def _columns(scenes: tuple[CollectedScene, ...]) -> list[str]:
    """The columns of the table that say something of all scenes, and not the same of each."""
    names = dict.fromkeys(name for scene in scenes for name in scene.row.groups)
    return [name for name in names if any(scene.row.groups.get(name) for scene in scenes)]


def _overlaps(scenes: tuple[CollectedScene, ...], number: int, learnt: np.ndarray) -> bool:
    """Whether a scene lies, in part, where one of those does, or is one of them."""
    own = scenes[number]
    if learnt[number]:
        return True
    others = [scenes[k] for k in np.flatnonzero(learnt) if scenes[k].facts.crs == own.facts.crs]
    return any(_meet(_rectangle(own), _rectangle(other)) for other in others)


def _rectangle(scene: CollectedScene) -> np.ndarray:
    """The least and the greatest coordinates, [2, 2]."""
    corners = scene.corners
    assert corners is not None
    return np.stack([corners.min(1), corners.max(1)])


def _meet(one: np.ndarray, two: np.ndarray) -> bool:
    """Whether two rectangles share an area, beyond what rounding gives those that touch."""
    common = np.minimum(one[1], two[1]) - np.maximum(one[0], two[0])
    return bool((common > 1e-6 * np.minimum(one[1] - one[0], two[1] - two[0])).all())


def _in_patches(
    pixels: LabelledPixels, split: Split, number: int, patch_size: int
) -> tuple[int, int]:
    """The test and the validation pixels of a scene with a pixel that was learnt from near."""
    ids = pixels.ids_of_scene(number)
    sets = {}
    for name in ("train", "validation", "test"):
        own = getattr(split, name)
        inside = own[np.searchsorted(own, ids.start) : np.searchsorted(own, ids.stop)]
        sets[name] = np.sort(pixels.pixels[inside])
    of_scene, size = Split(split.kind, **sets), pixels.collection[number].size
    return (
        count_leakage(of_scene, size, patch_size),
        count_leakage(of_scene, size, patch_size, "validation"),
    )
