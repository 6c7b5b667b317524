"""Maps as GeoTIFF, for GDAL and QGIS."""

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from hsi_jax.evaluate.maps.class_key import ClassKey
from hsi_jax.evaluate.maps.map_grid import Grid, import_rasterio, written_whole

_LARGE = 1024  # a longer side gets tiles and overviews
_CACHE = 2**26  # bytes of GDAL's own cache


def write_geotiff(
    path: Path,
    strips: Iterable[np.ndarray],
    grid: Grid,
    *,
    dtype: str,
    nodata: float | None,
    names: tuple[str, ...] = (),
    scale: float = 1.0,
    colours: Mapping[int, tuple[int, ...]] | None = None,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Writes bands strip by strip; see `hsi_jax.evaluate.maps.map_files.write_numbers`.

    A large file is a Cloud Optimized GeoTIFF: it has tiles and overviews, so that a GIS shows any
    part of it at once. While it is written, the file is twice on the disk.

    Args:
        path: of the file.
        strips: from the first row on, [rows, columns] or [rows, columns, bands].
        grid: of the pixels.
        dtype: of the numbers.
        nodata: what stands for no data, or None.
        names: of the bands; none for one band.
        scale: by which the numbers are to be multiplied.
        colours: red, green, blue and alpha of each value, for whole numbers without sign.
        notes: how the map was made, by name; GDAL shows them as metadata.
    """
    rasterio = import_rasterio(str(path))
    profile = _profile(rasterio, grid, len(names) or 1) | {"dtype": dtype, "nodata": nodata}
    large = max(grid.rows, grid.columns) > _LARGE
    with written_whole(path) as partial, warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        strip_file = partial.with_name(f"{partial.name}.strips") if large else partial
        try:
            with (
                rasterio.Env(GDAL_CACHEMAX=_CACHE),
                rasterio.open(strip_file, "w", **profile) as file,
            ):
                if notes:
                    file.update_tags(**{f"hsi_jax_{name}": text for name, text in notes.items()})
                if colours:
                    file.write_colormap(1, colours)
                if names:
                    file.descriptions = names
                if scale != 1:
                    file.scales = (scale,) * file.count
                _write_strips(rasterio, file, strips, dtype)
            if large:
                _optimise(strip_file, partial)
        finally:
            if large:
                strip_file.unlink(missing_ok=True)


def _profile(rasterio: Any, grid: Grid, bands: int) -> dict[str, Any]:
    """What rasterio needs to know of a new file, but for its numbers."""
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": grid.rows,
        "width": grid.columns,
        "count": bands,
        "crs": grid.crs,
        "compress": "deflate",
        "bigtiff": "if_safer",
        "interleave": "band",
    }
    if grid.transform:
        profile["transform"] = rasterio.Affine(*grid.transform)
    return profile


def _optimise(source: Path, target: Path) -> None:
    """Copies a GeoTIFF into one with tiles and overviews.

    Every pixel of an overview is one of the pixels that it stands for: a mean of class ids would
    be another class.
    """
    import rasterio
    from rasterio.shutil import copy

    with rasterio.Env(GDAL_CACHEMAX=_CACHE):
        copy(
            source,
            target,
            driver="COG",
            compress="deflate",
            overview_resampling="nearest",
            overview_compress="deflate",
            bigtiff="if_safer",
        )


def _write_strips(rasterio: Any, file: Any, strips: Iterable[np.ndarray], dtype: str) -> None:
    start = 0  # row
    for strip in strips:
        bands = strip[None] if strip.ndim == 2 else np.moveaxis(strip, -1, 0)
        window = rasterio.windows.Window(0, start, strip.shape[1], len(strip))
        file.write(bands.astype(dtype, copy=False), window=window)
        start += len(strip)


def describe_classes(path: Path, key: ClassKey) -> None:
    """Writes names and colours as GDAL keeps them beside a GeoTIFF, for it and QGIS to read."""
    names = {**key.name_of, key.nodata: "no data"}
    root = ElementTree.Element("PAMDataset")
    band = ElementTree.SubElement(root, "PAMRasterBand", band="1")
    categories = ElementTree.SubElement(band, "CategoryNames")
    for value in range(max(names) + 1):
        ElementTree.SubElement(categories, "Category").text = names.get(value, "")
    table = ElementTree.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    # Types 0 and 2 are whole numbers and text; usages are those of GDAL's GDALRATFieldUsage.
    fields = [("Value", 0, 5), ("Class", 2, 2), ("Red", 0, 6), ("Green", 0, 7), ("Blue", 0, 8)]
    for index, (name, kind, usage) in enumerate(fields):
        field = ElementTree.SubElement(table, "FieldDefn", index=str(index))
        for tag, text in (("Name", name), ("Type", kind), ("Usage", usage)):
            ElementTree.SubElement(field, tag).text = str(text)
    for index, (value, rgb) in enumerate(key.rgb.items()):
        row = ElementTree.SubElement(table, "Row", index=str(index))
        for cell in (value, key.name_of[value], *rgb):
            ElementTree.SubElement(row, "F").text = str(cell)
    ElementTree.indent(root)
    with written_whole(aux_file(path)) as partial:
        ElementTree.ElementTree(root).write(partial, encoding="utf-8")


def aux_file(path: Path) -> Path:
    """The file in which GDAL keeps what a GeoTIFF itself cannot hold."""
    return path.with_name(f"{path.name}.aux.xml")
