"""Opens the scenes of a collection one after another: their grids, bands and labels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hsi_jax.data.collection.collected_scene import CollectedScene
from hsi_jax.data.collection.scene_table import SceneRow
from hsi_jax.data.files.label_file import LabelFile, read_labels
from hsi_jax.data.files.raster import files_read
from hsi_jax.data.files.raster_source import Raster, RasterFacts, RasterSource
from hsi_jax.data.scene.band_match import Bands, doubt_on_order, match_bands
from hsi_jax.data.scene.bands import dropped_bands
from hsi_jax.data.scene.label_ids import UNLABELLED, LabelMap, read_label_map
from hsi_jax.data.scene.read_options import ReadOptions
from hsi_jax.errors import InputError


@dataclass(frozen=True, eq=False)
class OpenedScene:
    """A scene that is open, before its classes are joined with those of others."""

    scene: CollectedScene
    label_map: LabelMap | None = None
    labels: LabelFile | None = None

    @property
    def own_classes(self) -> tuple[str, Sequence[int], Sequence[str | None]]:
        """What `join_classes` takes of it."""
        assert self.label_map
        assert self.labels
        names = self.labels.class_names
        ids = self.label_map.class_ids
        return self.scene.row.where, ids, [names.get(class_id) for class_id in ids]

    def with_classes(self, numbers: np.ndarray | None) -> CollectedScene:
        """The scene with the common numbers of its own classes."""
        if self.label_map is None or self.labels is None or numbers is None:
            return self.scene
        own = self.label_map.labels.ravel()
        pixels = np.flatnonzero(own != UNLABELLED).astype(np.int32)
        polygons = self.labels.polygon_ids
        classes = numbers[own[pixels]] if len(numbers) else np.empty(0, np.int32)
        found = None if polygons is None else polygons.ravel()[pixels].astype(np.int32)
        return replace(self.scene, pixels=pixels, classes=classes, polygons=found)


class Opening:
    """Opens scenes one after another; the first one decides the bands."""

    def __init__(self, reading: ReadOptions, open_source, attribute: str | None, touched: bool):
        self._reading, self._open_source = reading, open_source
        self._attribute, self._touched = attribute, touched
        self._bands: Bands | None = None
        self.file_bands, self.kept = 0, None
        self.remarks: list[str] = []

    @property
    def bands(self) -> Bands:
        """Those of the first scene that are used."""
        assert self._bands
        return self._bands

    def open(self, row: SceneRow) -> OpenedScene:
        """Opens a scene and reads its labels."""
        with row.named():
            source = self._open_source(row.image)
            rows, columns, _ = source.shape
            if rows * columns > np.iinfo(np.int32).max:
                raise InputError(f"{row.image} has {rows} x {columns} pixels; cut it into scenes")
            declared = unique_values((*source.nodata_values, *self._reading.nodata))
            scene = CollectedScene(
                row=row,
                shape=source.shape,
                dtype=np.dtype(source.dtype),
                facts=_facts(source),
                nodata_values=declared,
                files=tuple(files_read(row.image)),
                open_source=self._open_source,
                bands=self._match(row, source),
            )
            if not row.labels:
                return OpenedScene(scene)
            labels = self._labels_of(row, scene)
            return OpenedScene(scene, self._label_map(row, labels, scene.size), labels)

    def _match(self, row: SceneRow, source: RasterSource) -> np.ndarray | None:
        """The bands of a scene that are used, None for all."""
        given = Bands(source.shape[2], source.wavelengths, source.band_names or None)
        if self._bands is None:
            self._take(row, source)
            return self.kept
        found = match_bands(self._bands, given, source="the scene")
        if found is None:
            if given.count != self.file_bands:
                raise InputError(
                    f"it has {given.count} bands, but the first scene has {self.file_bands}, and "
                    f"neither wavelengths nor names tell which are the same"
                )
            if doubt := doubt_on_order(self._bands, given, row.where):
                self.remarks.append(f"{doubt[0].upper()}{doubt[1:]}.")
            return self.kept
        in_order = given.count == len(found) and (found == np.arange(len(found))).all()
        return None if in_order else found

    def _take(self, row: SceneRow, source: RasterSource) -> None:
        """Takes the bands of the first scene."""
        self.file_bands = source.shape[2]
        dropped = dropped_bands(
            self._reading.drop_bands, self.file_bands, source.bad_bands, row.image
        )
        kept = np.setdiff1d(np.arange(self.file_bands), dropped)
        self.kept = kept if dropped else None
        names, known = source.band_names, source.wavelengths
        self._bands = Bands(
            len(kept),
            None if known is None else np.asarray(known)[kept],
            [names[band] for band in kept] if names else None,
            owner="the first scene",
            verb="has",
        )

    def _labels_of(self, row: SceneRow, scene: CollectedScene) -> LabelFile:
        # Of the grid alone: an array that takes no memory stands for the cube.
        grid = Raster(np.broadcast_to(np.float32(0), scene.shape), **scene.facts.facts)
        how = {"attribute": self._attribute, "touched": self._touched}
        labels = read_labels(row.labels, grid, may_miss=True, **how)
        if labels.ids.squeeze().shape != scene.size:
            raise InputError(
                f"{row.labels} has the shape {labels.ids.shape}, but {row.image} has "
                f"{scene.size[0]} rows and {scene.size[1]} columns; give labels of its grid"
            )
        self.remarks += labels.remarks
        return labels

    def _label_map(self, row: SceneRow, labels: LabelFile, size: tuple[int, int]) -> LabelMap:
        return read_label_map(
            labels.ids.reshape(size),
            unlabelled=self._reading.unlabelled,
            declared=labels.nodata_values,
            names=labels.class_names,
            min_classes=0,
            source=row.labels,
        )


def _facts(source: RasterSource):
    """What a source says, without the source itself, which would keep its file open."""
    return RasterFacts(**source.facts)


def unique_values(values: Iterable[float]) -> tuple[float, ...]:
    """Each value once, NaN too."""
    return tuple({repr(float(value)): float(value) for value in values}.values())
