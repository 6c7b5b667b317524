"""How much of a map each class covers."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hsi_jax.evaluate.maps.class_key import ClassKey
from hsi_jax.evaluate.maps.map_grid import Grid, written_whole
from hsi_jax.evaluate.tables.formats import csv_text


def count_classes(strips: Iterable[np.ndarray], num_classes: int) -> np.ndarray:
    """Pixels of no class and of each class, int64 [C + 1].

    Args:
        strips: of a map, 0 for no class and index + 1 for the others.
        num_classes: C.
    """
    counts = np.zeros(num_classes + 1, np.int64)
    for strip in strips:
        counts += np.bincount(strip.ravel(), minlength=num_classes + 1)
    return counts


def write_areas(path: Path, counts: np.ndarray, key: ClassKey, grid: Grid) -> None:
    """Writes a table, a line for each class: value, name, pixels and, where known, hectares.

    Args:
        path: of the .csv file.
        counts: as `count_classes` gives them.
        key: of the classes.
        grid: of the map; hectares need a projected reference system.

    Raises:
        InputError: if a reference system is given but rasterio is missing.
        StorageError: if the file cannot be written.
    """
    hectares = grid.hectares_per_pixel
    rows = zip((*key.values, key.nodata), (*key.names, "no data"), np.roll(counts, -1), strict=True)
    table: list[list[object]] = [
        ["value", "class", "pixels", *(["hectares"] if hectares else [])],
        *([v, name, n, *([f"{n * hectares:.4f}"] if hectares else [])] for v, name, n in rows),
    ]
    with written_whole(path) as partial:
        partial.write_text(csv_text(table), encoding="utf-8")
