"""Maps as files: GeoTIFF, ENVI, NumPy and PNG, by suffix, written strip by strip."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.evaluate.maps.class_key import ClassKey
from hsi_jax.evaluate.maps.envi_map import check_position, write_envi
from hsi_jax.evaluate.maps.geotiff_map import aux_file, describe_classes, write_geotiff
from hsi_jax.evaluate.maps.map_grid import Grid, import_rasterio, written_whole

CLASS_SUFFIXES = (".tif", ".tiff", ".hdr", ".npy", ".png")
NUMBER_SUFFIXES = (".tif", ".tiff", ".npy")
Strips = Iterable[np.ndarray]


def check_file(path: Path, suffixes: tuple[str, ...], argument: str, grid: Grid) -> None:
    """Checks that a map can be written to a file of that name.

    Args:
        path: of the file.
        suffixes: that it may have.
        argument: what messages call it.
        grid: of the map.

    Raises:
        InputError: if the suffix is unknown, needs a library that is missing, or cannot hold the
            position of the map.
    """
    if path.suffix.lower() not in suffixes:
        raise InputError(f"`{argument}`={path}: give a name that ends in {', '.join(suffixes)}")
    if path.suffix.lower() in (".tif", ".tiff"):
        import_rasterio(str(path))
    if path.suffix.lower() == ".hdr":
        check_position(path, grid)


def files_of(path: Path) -> list[Path]:
    """All files that a map of this name consists of."""
    if path.suffix.lower() == ".hdr":
        return [path, path.with_suffix(".img")]
    if path.suffix.lower() in (".tif", ".tiff"):
        return [path, aux_file(path)]
    return [path]


def key_of(path: Path, key: ClassKey) -> ClassKey:
    """The key of a map in a file of this name: as given, or counted where the format needs that."""
    return key.counted() if path.suffix.lower() == ".hdr" else key


def write_classes(
    path: Path,
    strips: Strips,
    grid: Grid,
    key: ClassKey,
    *,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Writes a class map, whole or not at all.

    Args:
        path: of the file; its suffix is one of `CLASS_SUFFIXES`.
        strips: the map from its first row on, 0 for no class and index + 1 for the others, uint8
            or uint16 [rows, columns].
        grid: of the map.
        key: of the classes, from `key_of`.
        notes: how the map was made, by name; GeoTIFF and ENVI hold them.

    Raises:
        InputError: if a library is missing.
        StorageError: if the file cannot be written.
        ValueError: if the key is not that of the format.
    """
    if key != key_of(path, key):
        raise ValueError(f"{path} needs the key that key_of makes of it")
    suffix = path.suffix.lower()
    values = (key.table[strip] for strip in strips)
    if suffix == ".hdr":
        write_envi(path, values, grid, key, notes=notes or {})
    elif suffix == ".png":
        _write_png(path, values, key)
    elif suffix == ".npy":
        write_numbers(path, values, grid, dtype=key.dtype)
    else:
        colours = {**{value: (*rgb, 255) for value, rgb in key.rgb.items()}, key.nodata: (0,) * 4}
        given = {"dtype": key.dtype, "nodata": key.nodata, "colours": colours, "notes": notes or {}}
        write_geotiff(path, values, grid, **given)
        describe_classes(path, key)


def write_numbers(
    path: Path,
    strips: Strips,
    grid: Grid,
    *,
    dtype: str,
    names: tuple[str, ...] = (),
    nodata: float | None = None,
    scale: float = 1.0,
) -> None:
    """Writes numbers, whole or not at all.

    Args:
        path: of the file; its suffix is one of `NUMBER_SUFFIXES`.
        strips: from the first row on, [rows, columns] or [rows, columns, bands].
        grid: of the pixels.
        dtype: of the numbers.
        names: of the bands; none for an array without that axis.
        nodata: what stands for no data.
        scale: by which readers multiply the numbers; a GeoTIFF holds it.

    Raises:
        InputError: if a library is missing.
        StorageError: if the file cannot be written.
    """
    if path.suffix.lower() == ".npy":
        shape = (grid.rows, grid.columns, *([len(names)] if names else []))
        with written_whole(path) as partial, open(partial, "wb") as file:
            descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
            header = {"descr": descr, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for strip in strips:
                file.write(np.ascontiguousarray(strip, dtype).data)
        return
    write_geotiff(path, strips, grid, dtype=dtype, nodata=nodata, names=names, scale=scale)


def _write_png(path: Path, strips: Strips, key: ClassKey) -> None:
    from PIL import Image

    values = np.concatenate(list(strips))
    colours = np.zeros((int(np.iinfo(key.dtype).max) + 1, 4), np.uint8)
    for value, rgb in key.rgb.items():
        colours[value] = *rgb, 255
    with written_whole(path) as partial:
        if key.dtype == "uint8":
            image = Image.fromarray(values)
            image.putpalette(colours[:, :3].tobytes())
            image.save(partial, "PNG", transparency=key.nodata)
        else:
            Image.fromarray(colours[values]).save(partial, "PNG")
