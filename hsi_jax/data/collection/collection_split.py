"""Which labelled pixels of a collection train, validate and test."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hsi_jax.data.collection.labelled_pixels import LabelledPixels
from hsi_jax.data.collection.scene_collection import SceneCollection
from hsi_jax.data.collection.scene_table import ROLES
from hsi_jax.data.splits.split import NO_IDS, Split
from hsi_jax.data.splits.table import SplitFunction, SplitRequest, find_split
from hsi_jax.data.splits.validation import hold_out
from hsi_jax.errors import InputError

SCENES, GROUP = "scenes", "group"
WITHIN = ("random", "disjoint", "polygons")  # in each scene


@dataclass(frozen=True, eq=False, kw_only=True)
class CollectionSplit:
    """How the labelled pixels of a collection are divided.

    Attributes:
        kind: "scenes" by the roles of the table; "group" with whole groups in each set; else the
            name of a split of one scene, which is made in each scene.
        seed: of the draw.
        validation_fraction: part of the training samples that is held out to validate where the
            split has no validation pixels of its own: whole scenes, or whole groups.
        column: of the table, whose text is the group.
        folds: parts into which the groups are dealt, in the order of their names; None for each
            group a part of its own.
        fold: the part that tests, from 0.
        request: of a split within each scene; its labels are those of the scene.
    """

    kind: str
    seed: int = 0
    validation_fraction: float = 0.1
    column: str = GROUP
    folds: int | None = None
    fold: int = 0
    request: SplitRequest | None = None

    def divide(self, pixels: LabelledPixels) -> Split:
        """The split of some pixels.

        Raises:
            InputError: if a set would be empty, a role or group is missing, or as the split of a
                scene.
        """
        if self.kind == SCENES:
            split = self._by_roles(pixels)
        elif self.kind == GROUP:
            split = self._by_groups(pixels)
        else:
            return self._within(pixels)
        if split.validation.size or not self.validation_fraction:
            return split
        return hold_out(split, pixels.labels, self.validation_fraction, self.seed)

    def _by_roles(self, pixels: LabelledPixels) -> Split:
        scenes = pixels.collection.scenes
        roles = [scene.row.role for scene in scenes]
        numbers = {role: [k for k, own in enumerate(roles) if own == role] for role in ROLES}
        sets = {role: _ids_of(pixels, own) for role, own in numbers.items()}
        for role in ("train", "test"):
            if not len(sets[role]):
                raise InputError(
                    f"`split`=scenes: no scene with labels has the role {role}; give it in the "
                    f"column role of the table"
                )
        remarks = [", ".join(f"{len(own)} scenes {role}" for role, own in numbers.items()) + "."]
        if unused := roles.count(""):
            remarks.append(f"{unused} scenes have no role and are in no set.")
        named = sets["train"], sets["validation"], sets["test"]
        return Split(SCENES, *named, remarks=tuple(remarks), groups=_scene_numbers(pixels))

    def _by_groups(self, pixels: LabelledPixels) -> Split:
        names, groups, testing = self._deal(pixels.collection)
        train = [k for k, name in enumerate(names) if name and name not in testing]
        test = [k for k, name in enumerate(names) if name in testing]
        sets = {"train": _ids_of(pixels, train), "test": _ids_of(pixels, test)}
        for name, ids in sets.items():
            if not len(ids):
                raise InputError(f"`fold`={self.fold}: no scene with labels is left to {name}")
        number = {name: place for place, name in enumerate(["", *groups])}
        own = np.array([number[name] for name in names])
        part = f"part {self.fold} of {self.folds or len(groups)}"
        remarks = [f"{self.column} {', '.join(sorted(testing))}: tests ({part})."]
        if "" in names:
            remarks.append(f"{names.count('')} scenes have no {self.column} and are in no set.")
        return Split(
            GROUP,
            sets["train"],
            NO_IDS,
            sets["test"],
            remarks=tuple(remarks),
            groups=own[_scene_numbers(pixels)],
        )

    def testing_scenes(self, collection: SceneCollection) -> list[int]:
        """The numbers of the scenes that test as a whole.

        Raises:
            InputError: if the split is made within scenes, or there are no such groups.
        """
        if self.kind == SCENES:
            return [k for k, scene in enumerate(collection) if scene.row.role == "test"]
        if self.kind == GROUP:
            names, _, testing = self._deal(collection)
            return [k for k, name in enumerate(names) if name in testing]
        raise InputError(
            f"`split`={self.kind} is made within scenes; give `split`={SCENES} or {GROUP}, whose "
            f"test scenes can be left out as a whole"
        )

    def _deal(self, collection: SceneCollection) -> tuple[list[str], list[str], set[str]]:
        """The group of each scene, all groups, and those that test."""
        names = [self._group(scene) for scene in collection]
        groups = sorted({name for name in names if name})
        folds = len(groups) if self.folds is None else self.folds
        if not 2 <= folds <= len(groups) or not 0 <= self.fold < folds:
            raise InputError(
                f"`folds`={folds} and `fold`={self.fold}: the column {self.column} has "
                f"{len(groups)} groups ({', '.join(groups[:20])}); give 2 to {len(groups)} folds, "
                f"and a fold from 0 to one less"
            )
        return names, groups, set(groups[self.fold :: folds])

    def _group(self, scene) -> str:
        if self.column not in scene.row.groups:
            raise InputError(
                f"`group_column`={self.column}: {scene.row.where} has no such column; it has "
                f"{', '.join(scene.row.groups) or 'none'}"
            )
        return scene.row.groups[self.column]

    def _within(self, pixels: LabelledPixels) -> Split:
        """Divides each scene by itself; what is alone in its class there is in no set."""
        request = self.request or SplitRequest(labels=np.zeros((0, 0), int), seed=self.seed)
        divide = find_split(self.kind)
        parts: list[Split] = []
        for number, scene in enumerate(pixels.collection):
            if len(scene.pixels):
                with scene.row.named():
                    part = self._of_scene(pixels, number, divide, request)
                parts += [part] if part else []
        if not parts:
            raise InputError(f"`split`={self.kind}: no scene has a class with two labelled pixels")
        sets = {role: np.concatenate([getattr(part, role) for part in parts]) for role in ROLES}
        sets = {role: np.sort(ids).astype(np.int32) for role, ids in sets.items()}
        remarks = [f"Each of {len(parts)} scenes is divided by itself."]
        remarks += [remark for part in parts for remark in part.remarks]
        named = sets["train"], sets["validation"], sets["test"]
        return Split(self.kind, *named, remarks=tuple(remarks), guard=parts[0].guard)

    def _of_scene(
        self, pixels: LabelledPixels, number: int, divide: SplitFunction, request: SplitRequest
    ) -> Split | None:
        """The split of one scene as sample ids; None where no class can be divided."""
        scene, ids = pixels.collection[number], pixels.ids_of_scene(number)
        own, known = pixels.pixels[ids], pixels.labels[ids]
        classes, local, counts = np.unique(known, return_inverse=True, return_counts=True)
        usable = counts > 1
        renumbered = np.where(usable, np.cumsum(usable) - 1, -1)
        labels = np.full(scene.size, -1, np.int32)
        labels.flat[own] = renumbered[local]
        if not usable.any():
            return None
        names = tuple(pixels.collection.class_names[k] for k in classes[usable])
        polygons = None if scene.polygons is None else scene.label_map(scene.polygons)
        asked = replace(request, labels=labels, polygon_ids=polygons, class_names=names)
        split = hold_out(divide(asked), labels, self.validation_fraction, self.seed)
        sample = np.full(labels.size, -1, np.int32)
        sample[own] = np.arange(ids.start, ids.stop)
        sets = [sample[ids] for ids in (split.train, split.validation, split.test)]
        alone = int(np.count_nonzero(~usable))
        remarks = [
            f"{scene.name}: {alone} classes have a single pixel, which is in no set."
        ] * bool(alone)
        return Split(self.kind, *sets, remarks=tuple(remarks), guard=split.guard)


def _ids_of(pixels: LabelledPixels, scenes: Sequence[int]) -> np.ndarray:
    """The sample ids of some scenes, int32, increasing."""
    parts = [pixels.ids_of_scene(number) for number in scenes]
    ids = [np.arange(part.start, part.stop, dtype=np.int32) for part in parts]
    return np.concatenate([NO_IDS, *ids])


def _scene_numbers(pixels: LabelledPixels) -> np.ndarray:
    """The number of the scene of each sample, int32 [n]."""
    counts = np.diff(pixels.scene_starts)
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)
