"""Class names that GDAL and QGIS keep beside a raster, in its .aux.xml."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from hsi_jax.data.scene.wavelengths import to_nanometres

_VALUE, _NAME = (("5",), ("value", "gridcode")), (("2",), ("class", "class_name", "name", "label"))


def class_names_beside(path: Path) -> dict[int, str] | None:
    """The names of the values of the first band.

    They are those of the categories or, where there are none, of the raster attribute table: its
    columns are found by their usage, or else by their usual names.

    Args:
        path: of the raster; `gdal_guard.check_beside` has seen the file beside it.

    Returns:
        Names by value, None where the file has none.

    Raises:
        Exception: of any kind, if it is damaged.
    """
    beside = path.with_name(f"{path.name}.aux.xml")
    if not beside.is_file():
        return None
    band = ElementTree.parse(beside).getroot().find("PAMRasterBand[@band='1']")
    if band is None:
        return None
    categories = [each.text or "" for each in band.findall("CategoryNames/Category")]
    table = band.find("GDALRasterAttributeTable")
    pairs = enumerate(categories) if any(categories) else _rows(table)
    return {value: name.strip() for value, name in pairs if name.strip()} or None


def _rows(table: ElementTree.Element | None) -> list[tuple[int, str]]:
    if table is None:
        return []
    fields = table.findall("FieldDefn")
    value, name = (_column(fields, *words) for words in (_VALUE, _NAME))
    if value is None or name is None:
        return []
    rows = [[cell.text or "" for cell in row.findall("F")] for row in table.findall("Row")]
    return [(int(float(row[value])), row[name]) for row in rows]


def _column(
    fields: list[ElementTree.Element], usages: tuple[str, ...], names: tuple[str, ...]
) -> int | None:
    """The number of the first column with one of these usages, else with one of these names."""
    for tag, words in (("Usage", usages), ("Name", names)):
        for number, field in enumerate(fields):
            if (field.findtext(tag) or "").strip().lower() in words:
                return number
    return None


def tagged_wavelengths(dataset: Any) -> np.ndarray | None:
    """The wavelengths, nm, that GDAL and others write into the tags of a GeoTIFF's bands."""
    imagery = [dataset.tags(i, ns="IMAGERY") for i in dataset.indexes]
    if all("CENTRAL_WAVELENGTH_UM" in band for band in imagery):
        return to_nanometres([band["CENTRAL_WAVELENGTH_UM"] for band in imagery], "um")
    tags = [{key.lower(): text for key, text in dataset.tags(i).items()} for i in dataset.indexes]
    if not all("wavelength" in band for band in tags):
        return None
    units = {**dataset.tags(), **tags[0]}
    values = [band["wavelength"] for band in tags]
    return to_nanometres(values, units.get("wavelength_units") or units.get("wavelength_unit"))
