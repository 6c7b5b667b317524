"""A hyperspectral scene: a cube of spectra, with labels and position where known."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hsi_jax.data.files.raster_source import RasterSource
from hsi_jax.data.scene.axes import Oriented, orient
from hsi_jax.data.scene.bands import check_bands, keep_bands
from hsi_jax.data.scene.cube import CheckedCube
from hsi_jax.data.scene.data_array import to_xarray
from hsi_jax.data.scene.label_ids import UNLABELLED, read_label_map
from hsi_jax.data.scene.read_options import ReadOptions
from hsi_jax.data.scene.stored_cube import StoredCube
from hsi_jax.errors import InputError

__all__ = ["UNLABELLED", "Scene"]


@dataclass(frozen=True, eq=False)
class Scene:
    """A hyperspectral cube, with its ground truth and its position on the Earth where known.

    Attributes:
        name: short name, used in file names and log lines.
        cube: float32 [rows, columns, bands], in whatever unit the file has; all values finite, 0
            where a pixel has no data. A scene that does not hold its cube has a `StoredCube`, whose
            rows are read when they are needed.
        labels: int32 [rows, columns], class index 0..C-1, or -1 where a pixel is unlabelled; None
            if the scene has no ground truth.
        class_names: C names; none without ground truth.
        class_ids: the id that each class has in the file, increasing; none without ground truth.
        class_colours: "#rrggbb" of each class, "" where the user chose none; empty if for no class.
        rgb_bands: 0-based bands to show as red, green and blue, or None if not known.
        unlabelled_ids: the ids that stand for "unlabelled"; the first is written to maps.
        unlabelled_counts: how many pixels hold each such id in the file, by id or "nan"; without
            the pixels that have no data.
        note: what a reader of results on this scene has to know, or "".
        wavelengths: float64 [bands], centre of each band in nanometres, or None if not known.
        band_names: of the bands, or None if not known.
        nodata: bool [rows, columns], True where a pixel has no data; None if all have.
        nodata_values: the values that were declared as no data.
        nodata_labelled: pixels without data that have the id of a class.
        file_bands: number of bands in the file; None if all of them are in the cube.
        kept_bands: the bands of the file that are in the cube, counted from 0; None if all are.
        band_axis: axis along which the bands lie in the file.
        remarks: what to tell the user before the scene is used, a sentence each; arguments stand
            between backquotes.
        crs: coordinate reference system, WKT or a code such as "EPSG:32616", or None.
        transform: the affine transform (a, b, c, d, e, f) from pixels to the coordinates of crs,
            x = a * column + b * row + c and y = d * column + e * row + f, or None.
        polygon_ids: int32 [rows, columns], number of the polygon or point that a label comes from,
            or -1; None if the labels come from none.
    """

    name: str
    cube: np.ndarray | StoredCube
    labels: np.ndarray | None = None
    class_names: tuple[str, ...] = ()
    class_ids: tuple[int, ...] = ()
    class_colours: tuple[str, ...] = ()
    rgb_bands: tuple[int, int, int] | None = None
    unlabelled_ids: tuple[int, ...] = (0,)
    unlabelled_counts: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    wavelengths: np.ndarray | None = None
    band_names: tuple[str, ...] | None = None
    nodata: np.ndarray | None = None
    nodata_values: tuple[float, ...] = ()
    nodata_labelled: int = 0
    file_bands: int | None = None
    kept_bands: tuple[int, ...] | None = None
    band_axis: int = 2
    remarks: tuple[str, ...] = ()
    crs: str | None = None
    transform: tuple[float, float, float, float, float, float] | None = None
    polygon_ids: np.ndarray | None = None

    @classmethod
    def from_arrays(
        cls,
        name: str,
        cube: np.ndarray,
        label_ids: np.ndarray | None = None,
        *,
        reading: ReadOptions | None = None,
        class_names: Mapping[int, str] | None = None,
        rgb_bands: Sequence[int] | None = None,
        source: str = "the arrays given",
        note: str = "",
        wavelengths: Sequence[float] | np.ndarray | None = None,
        band_names: Sequence[str] | None = None,
        bad_bands: Sequence[int] = (),
        nodata: np.ndarray | None = None,
        declared_ids: Sequence[float] = (),
        crs: str | None = None,
        transform: Sequence[float] | None = None,
        polygon_ids: np.ndarray | None = None,
        stored: RasterSource | None = None,
    ) -> "Scene":
        """Checks the arrays of a scene and renumbers its classes 0..C-1.

        The arguments that are not listed here are attributes of the class; bands are those of the
        file.

        Args:
            name: short name of the scene.
            cube: real numbers, [rows, columns, bands], in the order of axes that `orient` finds;
                finite, except where a pixel has no data. A list of pixels [pixels, bands] becomes
                a scene of one column. What a masked array hides is no data.
            label_ids: class ids of any dtype, [rows, columns]; the ids need not be contiguous.
                None for a scene without ground truth.
            reading: what the user says of the arrays.
            class_names: name of each id; an id without one is called "class <id>".
            source: where the arrays come from, for error messages.
            bad_bands: bands that the file declares as bad.
            nodata: bool [rows, columns]; where it is True the cube may hold anything, becomes 0,
                and the pixel becomes unlabelled. Pixels that hold a value of `reading.nodata` are
                added to it.
            declared_ids: ids that the file of the labels declares as "no data".
            stored: where the numbers of `cube` can be read again; the scene does not hold them
                then, if its bands lie along the last axis.

        Raises:
            InputError: if the cube is not real or not finite, if the labels are not a map of ids
                of the cube's rows and columns with at least two classes, if a value or an id looks
                like "no data" and `reading` does not say what it is, or if any other argument does
                not fit the cube.
        """
        arrays, reading = _in_order(cube, label_ids, reading or ReadOptions(), source)
        known = check_bands(
            arrays.cube, source, wavelengths=wavelengths, band_names=band_names, rgb_bands=rgb_bands
        )
        checked = CheckedCube.of(arrays.cube, reading, nodata, bad_bands=bad_bands, source=source)
        labels, remarks = _read_labels(
            arrays, checked, reading, names=class_names or {}, declared=declared_ids, source=source
        )
        return cls(
            name,
            note=note,
            nodata_values=reading.nodata,
            remarks=(*arrays.remarks, *checked.remarks, *remarks),
            polygon_ids=polygon_ids,
            **_cube_fields(arrays, checked, stored),
            **labels,
            **keep_bands(known, checked.kept_bands, arrays.cube.shape[2]),
            **_place(crs, transform, source),
        )

    @property
    def num_classes(self) -> int:
        """Number of classes, C; 0 without ground truth."""
        return len(self.class_ids)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, columns, bands)."""
        rows, columns, bands = self.cube.shape
        return rows, columns, bands

    @property
    def num_bands(self) -> int:
        """Bands of the cube."""
        return self.cube.shape[2]

    @property
    def has_labels(self) -> bool:
        """Whether the scene has ground truth."""
        return self.labels is not None

    def require_labels(self) -> np.ndarray:
        """Returns the labels, int32 [rows, columns], where they are needed.

        Raises:
            InputError: if the scene has no ground truth.
        """
        if self.labels is None:
            raise InputError(
                f"The scene {self.name} has no ground truth, which is needed here; give `labels`, "
                f"a map of class ids."
            )
        return self.labels

    @property
    def labelled(self) -> np.ndarray:
        """Flat ids (row * columns + column) of the labelled pixels, int32, increasing.

        Raises:
            InputError: if the scene has no ground truth.
        """
        return np.flatnonzero(self.require_labels() != UNLABELLED).astype(np.int32)

    def to_xarray(self) -> Any:
        """The cube as a DataArray, [band, y, x]; see `hsi_jax.data.to_xarray`."""
        return to_xarray(self)

    def original_labels(self, labels: np.ndarray) -> np.ndarray:
        """Turns class indexes back into the ids of the file (-1 becomes the first unlabelled id).

        Args:
            labels: class indexes 0..C-1 or -1, of any shape.

        Returns:
            The ids, int32, of the same shape.

        Raises:
            InputError: if the scene has no ground truth, and so no ids.
        """
        self.require_labels()
        labels = np.asarray(labels)
        ids = np.take(self.class_ids, labels)  # for -1 it is the last id, replaced below
        return np.where(labels == UNLABELLED, self.unlabelled_ids[0], ids).astype(np.int32)


def _in_order(
    cube: np.ndarray, label_ids: np.ndarray | None, reading: ReadOptions, source: str
) -> tuple[Oriented, ReadOptions]:
    """The arrays with their axes in order; what a mask hides is NaN, and declared as no data."""
    numbers, hidden = unmasked(cube)
    if hidden:
        declared = dict.fromkeys((*map(float, reading.nodata), math.nan))
        reading = replace(reading, nodata=tuple(declared))
    ids = None if label_ids is None else unmasked(label_ids)[0]
    return orient(numbers, ids, reading.band_axis, source), reading


def _read_labels(
    arrays: Oriented,
    checked: CheckedCube,
    reading: ReadOptions,
    *,
    names: Mapping[int, str],
    declared: Sequence[float],
    source: str,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The attributes of a scene that come from its labels, and remarks, also on fill values."""
    if arrays.label_ids is None:
        return {}, checked.look_for_fill_values(None, reading, source)
    found = read_label_map(
        arrays.label_ids,
        unlabelled=reading.unlabelled,
        declared=declared,
        names=names or dict.fromkeys(arrays.known_ids, ""),
        nodata=checked.nodata,
        source=source,
    )
    fields = {
        "labels": found.labels,
        "class_ids": found.class_ids,
        "class_names": tuple(names.get(i, f"class {i}") for i in found.class_ids),
        "unlabelled_ids": found.unlabelled_ids,
        "unlabelled_counts": found.unlabelled_counts,
        "nodata_labelled": found.hidden,
    }
    fills = checked.look_for_fill_values(found.labels != UNLABELLED, reading, source)
    return fields, (*found.remarks, *fills)


def _cube_fields(
    arrays: Oriented, checked: CheckedCube, stored: RasterSource | None
) -> dict[str, Any]:
    """The attributes of a scene that come from its numbers."""
    if stored and arrays.band_axis == 2:
        cube = StoredCube(stored, checked.kept_bands, checked.nodata)
    else:
        cube = checked.to_float32()
    return {"cube": cube, "nodata": checked.nodata, "band_axis": arrays.band_axis}


def unmasked(array: np.ndarray) -> tuple[np.ndarray, bool]:
    """An array that holds NaN where a masked array hides its values, and whether it hides any."""
    if not np.ma.is_masked(array):
        return np.asarray(array), False
    hidden = np.ma.getmaskarray(array)
    floats = np.result_type(array.dtype, np.float32)
    return np.where(hidden, floats.type(np.nan), np.ma.getdata(array).astype(floats)), True


def _place(crs: str | None, transform: Sequence[float] | None, source: str) -> dict[str, Any]:
    """The attributes of a scene that say where it lies."""
    if transform is None:
        return {"crs": crs}
    if len(transform) != 6 or not np.isfinite(transform).all():
        raise InputError(
            f"`transform`={tuple(transform)} of {source}: give six finite numbers a, b, c, d, e, f"
        )
    return {"crs": crs, "transform": tuple(float(number) for number in transform)}
