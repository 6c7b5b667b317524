"""Checks of a foreign file before GDAL opens it.

GDAL opens what a file names, on the disk or in the network, and tries some 80 formats. Rasters are
opened with the one driver that is named. pyogrio cannot name one, so the first bytes of a vector
file must be those of its format, where no other driver takes them, and GeoJSON is parsed here.

The rule for files beside a raster or vector file: GDAL may read those that begin with its name (the
header, .aux.xml, world files, .msk and .ovr; .shx, .dbf, .prj and .cpg), whatever the variables of
the environment say, if they are plain files and name no others.
"""

import contextlib
import json
import os
import re
import sqlite3
import urllib.parse
from pathlib import Path
from typing import Any

from hsi_jax.data.files.file_kind import check_plain, remedy
from hsi_jax.errors import InputError

# Of rasterio.Env, against what a user has set: files beside are seen, the network is not.
GDAL_OPTIONS = {
    "GDAL_CACHEMAX": 64 * 2**20,  # GDAL would take a twentieth of the memory
    "GDAL_DISABLE_READDIR_ON_OPEN": "FALSE",
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "none",
    "GDAL_VRT_ENABLE_PYTHON": "NO",
}
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MAX_AUX_BYTES = 2**26
_GEOJSON = (
    *("FeatureCollection", "Feature", "Point", "MultiPoint", "Polygon", "MultiPolygon"),
    *("LineString", "MultiLineString", "GeometryCollection"),
)
_MEMBERS = ("type", "name", "crs", "features", "id", "properties", "geometry", "coordinates")
# SQL functions by which GDAL would open other files, and virtual tables but those of an index.
_REACHES_OUT = re.compile(
    r"\b(ogr_|gdal_|load_extension)|CREATE\s+VIRTUAL\s+TABLE(?!.*USING\s+['\"]?rtree)",
    re.IGNORECASE | re.DOTALL,
)


def check_beside(path: Path) -> None:
    """Checks the files beside a file that GDAL may open with it.

    Raises:
        InputError: if one is a pipe, socket or device, or names other files.
    """
    stem = path.stem.lower()
    with os.scandir(path.parent) as entries:
        found = [entry for entry in entries if entry.name.lower().startswith(stem)]
    for entry in found:
        if entry.is_dir() or not os.path.exists(entry.path):
            continue
        check_plain(entry.path)
        name = entry.name.lower()
        if name.endswith((".msk", ".ovr")) and not _starts_with(entry.path, _TIFF):
            raise InputError(
                f"{entry.path} is no TIFF, but GDAL takes it for a part of {path.name}; remove it."
            )
        if name.endswith(".aux.xml") and b"OVERVIEW_FILE" in _content(entry.path).upper():
            raise InputError(
                f"{entry.path} names another file with overviews of {path.name}, which is not "
                f"opened; remove it, or take that line out of it."
            )


def check_vector(path: Path) -> Path | bytes:
    """Checks that a vector file is what its suffix says and names no other file.

    Returns:
        What pyogrio may open: the absolute path; of GeoJSON, its content.

    Raises:
        InputError: if it is something else.
        Exception: of any kind, if it is damaged.
    """
    path = path.absolute()  # which cannot be taken for an address
    check_beside(path)
    suffix = path.suffix.lower()
    if suffix in (".geojson", ".json"):
        return _geojson(path)
    magic = b"\0\0\x27\x0a" if suffix == ".shp" else b"SQLite format 3\0"
    if not _starts_with(path, magic):
        kind = "shapefile" if suffix == ".shp" else "GeoPackage"
        raise InputError(f"{path} is no {kind}; {remedy(path)}.")
    if suffix == ".gpkg":
        _check_database(path)
    return path


def _starts_with(path: str | Path, magic: bytes | tuple[bytes, ...]) -> bool:
    with open(path, "rb") as file:
        return file.read(16).startswith(magic)


def _content(path: str | Path) -> bytes:
    with open(path, "rb") as file:
        content = file.read(_MAX_AUX_BYTES + 1)
    if len(content) > _MAX_AUX_BYTES:
        raise InputError(f"{path} has more than {_MAX_AUX_BYTES} bytes; remove it.")
    return content


def _geojson(path: Path) -> bytes:
    """The content without what GDAL would follow; no other driver takes it."""

    def check(found: dict) -> dict:
        kind = found.get("type")
        if isinstance(kind, str) and kind.lower() in ("link", "url"):
            raise InputError(
                f"{path} names its reference system by an address, which is not opened; name it "
                f"by its code, such as urn:ogc:def:crs:EPSG::32633."
            )
        return found

    if not _content_begins_with_brace(path):
        raise InputError(f"{path} is no GeoJSON; {remedy(path)}.")
    content: Any = json.loads(path.read_bytes(), object_hook=check)
    if content.get("type") not in _GEOJSON:
        raise InputError(f"{path} is JSON of the type {content.get('type')}; give GeoJSON.")
    kept = {name: content[name] for name in (*_MEMBERS, "geometries") if name in content}
    return json.dumps(kept).encode()


def _content_begins_with_brace(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def _check_database(path: Path) -> None:
    address = f"file:{urllib.parse.quote(str(path))}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
        for name, sql in database.execute("SELECT name, sql FROM sqlite_master WHERE sql NOTNULL"):
            if _REACHES_OUT.search(sql):
                raise InputError(
                    f"{path} has the table or view '{name}', which may open other files; give a "
                    f"GeoPackage of plain tables."
                )
