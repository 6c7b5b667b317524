"""Small sound files of scenes, labels and polygons, for `tests.field.fuzz`."""

import json
import warnings
from pathlib import Path

import numpy as np

TRANSFORM = (10.0, 0.0, 500000.0, 0.0, -10.0, 4000000.0)
CRS = "EPSG:32633"
VECTORS = (".geojson", ".shp", ".gpkg")


def write_rasters(folder: Path, cube: np.ndarray, labels: np.ndarray) -> None:
    """GeoTIFF and ENVI files, and polygons on them; each name tells what its file is."""
    _write_geotiff(folder / "scene.tiff", cube, nodata=7, compress="deflate")
    _write_geotiff(folder / "map.tiff", labels[:, :, np.newaxis], nodata=255)
    _write_envi(folder, cube)
    rows, columns = labels.shape
    boxes = [(0, 0, rows // 2, columns // 2), (rows // 2, columns // 2, rows, columns)]
    polygons = [_box(*corners) for corners in boxes]
    (folder / "areas.geojson").write_text(json.dumps(_features(polygons)))
    _write_vector(folder / "areas.gpkg", polygons)


def read_raster_sample(path: Path) -> np.ndarray:
    """Reads any of these, as the reader of its kind does."""
    from hsi_jax.data import Raster, burn_labels
    from hsi_jax.data.files.raster import read_raster

    if path.suffix in VECTORS:
        scene = Raster(np.ones((7, 6, 3)), crs=CRS, transform=TRANSFORM)
        return burn_labels(path, (7, 6), scene).ids
    if path.suffix == ".txt":  # what a user types
        return _read_texts(path)
    return read_raster(path, ndim=2 if path.stem == "map" else 3).array


def _read_texts(path: Path) -> np.ndarray:
    """A line for each argument of `ReadOptions.parse`, then the paths of an array."""
    from hsi_jax.data import ReadOptions, Scene
    from hsi_jax.errors import InputError

    names = ("unlabelled", "nodata", "drop_bands", "band_axis")
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
        reading = ReadOptions.parse(**dict(zip(names, lines, strict=False)))
        cube = np.arange(7 * 6 * 5, dtype=np.float32).reshape(7, 6, 5)
        labels = np.arange(7 * 6).reshape(7, 6) % 3
        return Scene.from_arrays("it", cube, labels, reading=reading).cube
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


TEXTS = "0,255\n-9999,nan\n0,2-3,constant\n2\n"


def _write_geotiff(path: Path, cube: np.ndarray, **keywords) -> None:
    import rasterio
    from affine import Affine

    rows, columns, bands = cube.shape
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=rows,
        width=columns,
        count=bands,
        dtype=cube.dtype.name,
        crs=CRS,
        **{"transform": Affine(*TRANSFORM), **keywords},
    ) as file:
        file.write(np.moveaxis(cube, 2, 0))


def _write_envi(folder: Path, cube: np.ndarray) -> None:
    rows, columns, bands = cube.shape
    (folder / "envi.img").write_bytes(np.moveaxis(cube, 2, 0).astype("<u2").tobytes())
    waves = ", ".join(str(400 + 10 * band) for band in range(bands))
    (folder / "envi.hdr").write_text(
        f"ENVI\nsamples = {columns}\nlines = {rows}\nbands = {bands}\nheader offset = 0\n"
        f"data type = 12\ninterleave = bsq\nbyte order = 0\nwavelength = {{{waves}}}\n"
        f"wavelength units = Nanometers\nbbl = {{{', '.join('1' * bands)}}}\n"
        f"data ignore value = 7\nband names = {{{', '.join('abcde'[:bands])}}}\n"
    )


def _box(top: int, left: int, bottom: int, right: int) -> list[list[float]]:
    west, east = (TRANSFORM[2] + 10 * column for column in (left, right))
    north, south = (TRANSFORM[5] - 10 * row for row in (top, bottom))
    return [[west, north], [east, north], [east, south], [west, south], [west, north]]


def _features(polygons: list[list[list[float]]]) -> dict:
    return {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32633"}},
        "features": [
            {
                "type": "Feature",
                "properties": {"class": name},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
            for name, ring in zip(("corn", "soy"), polygons, strict=True)
        ],
    }


def _write_vector(path: Path, polygons: list[list[list[float]]]) -> None:
    import pyogrio
    import shapely

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyogrio.raw.write(
            path,
            shapely.to_wkb(np.array([shapely.Polygon(ring) for ring in polygons])),
            [np.array(["corn", "soy"])],
            ["class"],
            geometry_type="Polygon",
            crs=CRS,
        )
