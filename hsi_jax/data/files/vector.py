"""Labels as polygons or points, burnt onto the pixels of a scene."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hsi_jax.data.files.classes_of_features import classes_of_features
from hsi_jax.data.files.file_kind import no_such_file, remedy
from hsi_jax.data.files.gdal_guard import check_vector
from hsi_jax.data.files.georeference import check_projections
from hsi_jax.data.files.raster_source import RasterFacts
from hsi_jax.errors import InputError

VECTOR_SUFFIXES = (".geojson", ".json", ".shp", ".gpkg")
_SHAPES = {"Point", "MultiPoint", "Polygon", "MultiPolygon"}
OUTSIDE = -1


@dataclass(frozen=True, eq=False)
class BurntLabels:
    """Polygons or points as pixels.

    Attributes:
        ids: int32 [rows, columns], class id, or 0 where no feature lies.
        polygon_ids: int32 [rows, columns], number of the feature in its file from 0, or -1.
        class_names: of the ids.
        remarks: what a user has to know of it, a sentence each.
    """

    ids: np.ndarray
    polygon_ids: np.ndarray
    class_names: dict[int, str]
    remarks: tuple[str, ...]


def burn_labels(
    path: str | Path,
    shape: tuple[int, int],
    grid: RasterFacts,
    *,
    attribute: str | None = None,
    touched: bool = False,
    may_miss: bool = False,
) -> BurntLabels:
    """Reads polygons or points and finds the pixels that they cover.

    A polygon covers the pixels whose centre lies in it. A pixel in features of several classes gets
    no class. Coordinates are brought to the reference system of the scene.

    Args:
        path: GeoJSON, shapefile or GeoPackage of one layer.
        shape: rows and columns of the scene.
        grid: of the scene: its transform and reference system.
        attribute: that names the class; see `classes_of_features` for the default.
        touched: whether a polygon covers all pixels that it touches.
        may_miss: whether no feature need lie on the scene.

    Raises:
        InputError: if the file cannot be read, has lines, or no feature with a class lies on the
            scene; if the scene has no transform; or if a library is missing.
    """
    if grid.transform is None:
        raise InputError(
            f"{path} has polygons or points, but the scene does not say where on the Earth it "
            f"lies; give a cube with a georeference, or a label map of its rows and columns."
        )
    layer = _read(Path(path))
    classes = classes_of_features(layer.attributes, attribute, str(path))
    shapes, remarks = _on_the_scene(layer, grid, str(path))
    known = enumerate(zip(classes.ids, shapes, strict=True))
    used = [number for number, pair in known if None not in pair]

    def burn(values: Sequence[tuple[int, int]], fill: int) -> np.ndarray:
        """The value of the last feature that covers each pixel, from (feature, value)."""
        pairs = [(shapes[number], value) for number, value in values]
        return _burn(pairs, shape, grid.transform, fill=fill, touched=touched)

    polygon_ids = burn([(number, number) for number in used], OUTSIDE)
    covered = np.unique(polygon_ids[polygon_ids != OUTSIDE])
    if not covered.size and not may_miss:
        raise InputError(
            f"No feature of {path} with a class covers the centre of a pixel of the scene; check "
            f"that both are of the same place, and their reference systems."
        )
    table = np.array([*(class_id or 0 for class_id in classes.ids), 0], np.int32)
    ids = table[polygon_ids]  # -1 takes the last one
    members = [[(n, 1) for n in used if classes.ids[n] == class_id] for class_id in classes.names]
    disputed = sum((burn(features, 0) for features in members), np.zeros(shape, np.int32)) > 1
    ids[disputed], polygon_ids[disputed] = 0, OUTSIDE
    expected = np.array(used) if may_miss else covered
    remarks += _left_out(classes.ids, used, expected, disputed=disputed, name=Path(path).name)
    return BurntLabels(ids, polygon_ids, classes.names, (*classes.remarks, *remarks))


def read_attributes(path: str | Path) -> dict[str, np.ndarray]:
    """The attributes of all features of a GeoJSON, shapefile or GeoPackage, by their names.

    Raises:
        InputError: as `burn_labels`, if the file cannot be read.
    """
    return _read(Path(path)).attributes


@dataclass(frozen=True, eq=False)
class _Layer:
    shapes: list[dict | None]
    attributes: dict[str, np.ndarray]
    crs: str | None


def _read(path: Path) -> _Layer:
    try:
        import rasterio  # noqa: F401, used below
        import shapely
        from pyogrio import list_layers
        from pyogrio.raw import read
    except ImportError:
        raise InputError(
            f"{path} can be read with rasterio, pyogrio and shapely only, and one of them is not "
            f"installed: python -m pip install pyogrio shapely rasterio"
        ) from None
    if not path.is_file():
        raise no_such_file(path)
    check_projections(path)
    try:
        content = check_vector(path)
        layers = list_layers(content)
        filled = [number for number, (_, kind) in enumerate(layers) if kind]
        if len(filled) != 1:  # QGIS keeps its styles in a layer without geometries
            names = ", ".join(str(layers[number][0]) for number in filled)
            raise InputError(
                f"{path} has {len(filled)} layers with geometries ({names}); give a file with one."
            )
        facts, _, geometries, columns = read(content, layer=filled[0])
        geometries = shapely.from_wkb(geometries)
        shapes = [
            None if shape is None or shape.is_empty else shapely.geometry.mapping(shape)
            for shape in geometries
        ]
    except InputError:
        raise
    except Exception as error:  # a damaged file may make the parsers raise anything
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}: {error}); {remedy(path)}."
        ) from error
    kinds = {kind for shape in shapes if shape for kind in _kinds(shape)} - _SHAPES
    if kinds:
        raise InputError(f"{path} has {', '.join(sorted(kinds))}; give polygons or points.")
    attributes = dict(zip(facts["fields"].tolist(), columns, strict=True))
    return _Layer(shapes, attributes, facts["crs"])


def _kinds(shape: dict) -> set[str]:
    """What a shape is; of a collection, what its parts are."""
    if shape["type"] != "GeometryCollection":
        return {shape["type"]}
    return set().union(*map(_kinds, shape["geometries"]))


def _on_the_scene(
    layer: _Layer, grid: RasterFacts, source: str
) -> tuple[list[dict | None], list[str]]:
    """The shapes in coordinates of the scene, and what is to be said of it."""
    from rasterio.crs import CRS
    from rasterio.warp import transform_geom

    if layer.crs is None or grid.crs is None:
        which = source if layer.crs is None else "the scene"
        said = f"{which} names no reference system: coordinates are taken to be those of the other."
        return layer.shapes, [said]
    given, wanted = CRS.from_user_input(layer.crs), CRS.from_user_input(grid.crs)
    if given == wanted:
        return layer.shapes, []
    try:
        return [
            None if shape is None else transform_geom(given, wanted, shape)
            for shape in layer.shapes
        ], []
    except Exception as error:
        raise InputError(
            f"{source} cannot be brought from {layer.crs} to the reference system of the scene "
            f"({error}); check both."
        ) from error


def _burn(
    shapes: Sequence[tuple[Any, int]],
    shape: tuple[int, int],
    transform: Sequence[float] | None,
    *,
    fill: int,
    touched: bool,
) -> np.ndarray:
    """The value of the last shape that covers each pixel, int32 [rows, columns]."""
    from rasterio.features import rasterize
    from rasterio.transform import Affine

    if not shapes:
        return np.full(shape, fill, np.int32)
    return rasterize(
        shapes,
        out_shape=shape,
        fill=fill,
        transform=Affine(*(transform or ())),
        all_touched=touched,
        dtype="int32",
    )


def _left_out(
    ids: Sequence[int | None],
    used: Sequence[int],
    covered: np.ndarray,
    *,
    disputed: np.ndarray,
    name: str,
) -> list[str]:
    """What a user has to know of features without pixels and pixels without a class."""
    remarks = []
    features = f"features of {name}"
    if len(used) < len(ids):
        remarks.append(
            f"{len(ids) - len(used)} of {len(ids)} {features} have no class or no shape."
        )
    if covered.size < len(used):
        remarks.append(
            f"{len(used) - covered.size} of {len(used)} {features} cover no pixel of their own."
        )
    if disputed.any():
        remarks.append(f"{disputed.sum()} pixels in features of several classes are unlabelled.")
    return remarks
