"""How much of a map each class covers."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hsi_jax.evaluate.maps.class_key import ClassKey
from hsi_jax.evaluate.maps.map_grid import Grid, written_whole
from hsi_jax.evaluate.tables.formats import csv_text
from hsi_jax.run.area_summary import AreaSummary


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


def write_areas(
    path: Path,
    counts: np.ndarray,
    key: ClassKey,
    grid: Grid,
    *,
    adjusted: AreaSummary | None = None,
) -> None:
    """Writes a table, a line for each class: value, name, pixels and, where known, hectares.

    Args:
        path: of the .csv file.
        counts: as `count_classes` gives them.
        key: of the classes.
        grid: of the map; hectares need a projected reference system.
        adjusted: areas of this map by test pixels; for further columns, of which those that end
            in _95 are half widths of intervals of 95 %.

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
    if adjusted and adjusted.classes:
        table = [[*row, *more] for row, more in zip(table, _columns(adjusted), strict=True)]
    with written_whole(path) as partial:
        partial.write_text(csv_text(table), encoding="utf-8")


def _columns(adjusted: AreaSummary) -> list[list[object]]:
    """Further columns: a header, a row for each class, and an empty one for no data."""
    per_pixel = adjusted.hectares_per_pixel
    unit, scale = ("hectares", per_pixel) if per_pixel else ("pixels", 1.0)
    header = [f"adjusted_{unit}", f"adjusted_{unit}_95", "users_accuracy", "users_accuracy_95"]
    header += ["producers_accuracy", "producers_accuracy_95", "tested", "probability_sample"]
    sample = {True: "yes", False: "no", None: "unknown"}[adjusted.probability_sample]
    return [
        [*header],
        *(
            [
                f"{one.pixels * scale:.4f}",
                f"{one.pixels_half_width * scale:.4f}",
                *map(
                    _fraction,
                    (
                        one.users_accuracy,
                        one.users_half_width,
                        one.producers_accuracy,
                        one.producers_half_width,
                    ),
                ),
                one.tested,
                sample,
            ]
            for one in adjusted.classes
        ),
        [""] * len(header),
    ]


def _fraction(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
