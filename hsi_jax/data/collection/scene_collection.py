"""Many scenes with common bands and classes, each of which stays in its files until it is read."""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsi_jax.data.collection.class_table import join_classes
from hsi_jax.data.collection.collected_scene import CollectedScene
from hsi_jax.data.collection.opening import OpenedScene, Opening, unique_values
from hsi_jax.data.collection.scene_table import read_scene_table
from hsi_jax.data.files.raster import open_raster
from hsi_jax.data.scene.read_options import CONSTANT, ReadOptions
from hsi_jax.errors import InputError

_OPEN_FILES = 16  # that stay open; others are opened again when they are read


@dataclass(frozen=True, eq=False, kw_only=True)
class SceneCollection:
    """Scenes of a table; `len`, iteration and numbers give its scenes.

    Attributes:
        name: of the table.
        scenes: in the order of its rows.
        class_names: C names; none if no scene has labels.
        class_ids: the id of each class in maps.
        unlabelled_ids: the ids of pixels without a class; the first is written to maps.
        wavelengths: of the bands that are used, nm, or None.
        band_names: of these bands, or None.
        num_bands: how many there are.
        file_bands: bands of the first scene's file.
        kept_bands: those of them that are used, or None for all.
        nodata_values: that files or the user declare, of all scenes.
        remarks: what a user has to know of it, a sentence each.
    """

    name: str
    scenes: tuple[CollectedScene, ...]
    class_names: tuple[str, ...]
    class_ids: tuple[int, ...]
    unlabelled_ids: tuple[int, ...]
    wavelengths: np.ndarray | None
    band_names: tuple[str, ...] | None
    num_bands: int
    file_bands: int
    kept_bands: tuple[int, ...] | None
    nodata_values: tuple[float, ...]
    remarks: tuple[str, ...] = ()

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        labels: str = "",
        reading: ReadOptions | None = None,
        labels_attribute: str | None = None,
        labels_touched: bool = False,
    ) -> "SceneCollection":
        """Opens the scenes of a table and reads their labels; pixels are read later.

        The first scene says which bands there are, and in which order. Those of the others are
        matched to them by wavelength, else by name, else by their order. Grids, reference systems
        and pixel sizes may differ. Classes are joined by name; see `join_classes`.

        Args:
            path: of the table; see `read_scene_table`.
            labels: pattern of the labels; see there.
            reading: of the arrays. Bands to drop are those of the first scene.
            labels_attribute: of polygons, that names the class.
            labels_touched: whether polygons label all pixels that they touch.

        Raises:
            InputError: that names the row, if a file is missing or does not fit.
        """
        reading = reading or ReadOptions()
        _check_reading(reading)
        rows = read_scene_table(path, labels)
        open_source = functools.lru_cache(_OPEN_FILES)(open_raster)
        opening = Opening(reading, open_source, labels_attribute, labels_touched)
        opened = [opening.open(row) for row in rows]
        labelled = [entry for entry in opened if entry.label_map]
        table = join_classes([entry.own_classes for entry in labelled]) if labelled else None
        numbers = dict(zip(map(id, labelled), table.numbers if table else (), strict=True))
        first = opening.bands
        declared = (value for entry in opened for value in entry.scene.nodata_values)
        return cls(
            name=Path(path).stem.replace("*", "") or "scenes",
            scenes=tuple(entry.with_classes(numbers.get(id(entry))) for entry in opened),
            class_names=table.names if table else (),
            class_ids=table.ids if table else (),
            unlabelled_ids=_unlabelled_ids(labelled, table.ids if table else ()),
            wavelengths=None if first.wavelengths is None else np.asarray(first.wavelengths),
            band_names=tuple(first.names) if first.names else None,
            num_bands=first.count,
            file_bands=opening.file_bands,
            kept_bands=None if opening.kept is None else tuple(opening.kept.tolist()),
            nodata_values=unique_values(declared),
            remarks=tuple(dict.fromkeys(opening.remarks)),
        )

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[CollectedScene]:
        return iter(self.scenes)

    def __getitem__(self, number: int) -> CollectedScene:
        return self.scenes[number]

    @property
    def num_classes(self) -> int:
        """C."""
        return len(self.class_names)

    @property
    def class_counts(self) -> np.ndarray:
        """Labelled pixels of each scene and class, int [scenes, C]."""
        return np.stack([scene.class_counts(self.num_classes) for scene in self.scenes])

    def digest(self) -> "hashlib._Hash":
        """SHA-256 of all grids and labels, and of some pixels of each scene."""
        digest = hashlib.sha256(f"{self.num_bands} {self.class_names}".encode())
        for scene in self.scenes:
            scene.add_to(digest)
        return digest


def _check_reading(reading: ReadOptions) -> None:
    if CONSTANT in reading.drop_bands:
        raise InputError(
            f"`drop_bands`={CONSTANT} goes with one scene; of a collection, give the numbers of "
            f"the bands in its first scene"
        )
    if reading.band_axis not in (None, 2):
        raise InputError(
            f"`band_axis`={reading.band_axis}: the bands of a collection lie along the last axis"
        )


def _unlabelled_ids(opened: Sequence[OpenedScene], class_ids: Sequence[int]) -> tuple[int, ...]:
    """Ids that no class has, the commonest first."""
    own = [entry.label_map.unlabelled_ids[0] for entry in opened if entry.label_map]
    free = [class_id for class_id in dict.fromkeys([*own, 0, -1]) if class_id not in class_ids]
    return tuple(free) or (min(class_ids) - 1,)
