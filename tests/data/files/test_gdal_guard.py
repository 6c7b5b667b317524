"""Foreign rasters and vectors reach no other file and no network; pipes are not waited for."""

import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from hsi_jax.data import Raster, burn_labels, read_raster
from hsi_jax.errors import InputError
from tests.field import fuzz_samples

CUBE = np.random.default_rng(0).integers(0, 4000, (7, 6, 5)).astype(np.uint16)
GRID = Raster(np.ones((7, 6, 3)), crs=fuzz_samples.CRS, transform=fuzz_samples.TRANSFORM)
VECTORS = (".geojson", ".json", ".gpkg", ".shp")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sound")
    fuzz_samples.write_rasters(folder, CUBE, np.ones((7, 6), np.uint8))
    boxes = [fuzz_samples._box(0, 0, 3, 3), fuzz_samples._box(3, 3, 7, 6)]
    fuzz_samples._write_vector(folder / "areas.shp", boxes)
    return folder


@pytest.fixture
def folder(sound, tmp_path, monkeypatch):
    """Sound files: scene.tiff, map.tiff, envi.img with envi.hdr, areas.geojson, .gpkg and .shp."""
    monkeypatch.setenv("GDAL_HTTP_TIMEOUT", "5")  # a call that is made must fail, not hang
    return shutil.copytree(sound, tmp_path, dirs_exist_ok=True)


def read(path):
    if path.suffix in VECTORS:
        return burn_labels(path, (7, 6), GRID).ids
    return read_raster(path, ndim=2 if path.stem == "map" else 3).array


def raster_vrt(target):
    return (
        f'<VRTDataset rasterXSize="6" rasterYSize="7"><VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource><SourceFilename>{target}</SourceFilename><SourceBand>1</SourceBand>"
        f"</SimpleSource></VRTRasterBand></VRTDataset>"
    )


def vector_vrt(target):
    return (
        f'<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>{target}</SrcDataSource>'
        f"</OGRVRTLayer></OGRVRTDataSource>"
    )


def streamed(target):
    """What GDAL calls GDALG: JSON that names commands."""
    command = f"gdal vector pipeline ! read {target} ! filter"
    return json.dumps({"type": "gdal_streamed_alg", "command_line": command})


def overviews(target):
    return (
        f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI key="OVERVIEW_FILE">{target}</MDI>'
        f"</Metadata></PAMDataset>"
    )


def web_service(target):
    return f"<OGRWFSDataSource><URL>{target.removeprefix('/vsicurl/')}</URL></OGRWFSDataSource>"


HOSTILE = [
    *(("scene.tiff", f"scene.tiff{end}", raster_vrt) for end in ("", ".ovr", ".msk")),
    *(("envi.img", f"envi.img{end}", raster_vrt) for end in (".ovr", ".msk")),
    *((name, f"{name}.aux.xml", overviews) for name in ("scene.tiff", "envi.img")),
    ("envi.img", "envi.aux.xml", overviews),
    ("map.tiff", "map.tiff.msk", raster_vrt),
    *((f"areas{end}", f"areas{end}", vector_vrt) for end in VECTORS),
    *((f"areas{end}", f"areas{end}", streamed) for end in VECTORS),
    *((f"areas{end}", f"areas{end}", web_service) for end in VECTORS),
    *((f"areas{end}", f"areas{end}", raster_vrt) for end in VECTORS),
]


@pytest.mark.parametrize(("path", "written", "content"), HOSTILE)
@pytest.mark.parametrize("where", ["network", "disk"])
def test_a_file_that_names_others_is_refused(path, written, content, where, folder, server):
    other = folder / "other.geojson"
    other.write_bytes((folder / "areas.geojson").read_bytes())
    target = f"/vsicurl/{server.url('x.geojson')}" if where == "network" else other
    (folder / written).write_text(content(str(target)))
    with pytest.raises(InputError, match=written.partition(".")[0]):
        read(folder / path)
    assert server.requests == []


ALIVE = """
import contextlib, sys, pyogrio, rasterio
with contextlib.suppress(Exception):
    pyogrio.raw.read(sys.argv[1])
with contextlib.suppress(Exception), rasterio.open(sys.argv[1]) as file:
    file.overviews(1)
"""


@pytest.mark.parametrize("content", [vector_vrt, streamed, web_service, overviews])
def test_what_is_written_here_would_reach_the_network(content, folder, server):
    """GDAL follows such files where nothing keeps it from that."""
    opened = "envi.img" if content is overviews else "alive.json"
    written = "envi.img.aux.xml" if content is overviews else opened
    (folder / written).write_text(content(f"/vsicurl/{server.url('x.tif')}"))
    # In a process of its own: GDAL holds the lock that the server needs.
    subprocess.run((sys.executable, "-c", ALIVE, folder / opened), check=True, capture_output=True)
    assert server.requests


@pytest.mark.parametrize("place", ["file", "feature", "geometry"])
@pytest.mark.parametrize("kind", ["link", "URL"])
def test_a_reference_system_at_an_address_is_refused(place, kind, folder, server):
    path = folder / "areas.geojson"
    content = json.loads(path.read_text())
    feature = content["features"][0]
    holder = {"file": content, "feature": feature, "geometry": feature["geometry"]}[place]
    address = server.url("crs")
    holder["crs"] = {"type": kind, "properties": {"href": address, "url": address}}
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="address"):
        read(path)
    assert server.requests == []


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE VIEW more AS SELECT fid, geom, ogr_geocode('x') AS class FROM areas",
        "CREATE VIEW more AS SELECT fid, geom, \"GDAL_get_pixel_value\"('x') AS c FROM areas",
        "INSERT INTO sqlite_master(type, name, tbl_name, rootpage, sql) VALUES('table', 'more', "
        "'more', 0, 'CREATE VIRTUAL TABLE more USING VirtualOGR(''/vsicurl/http://x'')')",
    ],
)
def test_a_database_that_reaches_out_is_refused(sql, folder):
    path = folder / "areas.gpkg"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA writable_schema=1")
        database.execute(sql)
    database.close()
    with pytest.raises(InputError, match="'more'"):
        read(path)


@pytest.mark.parametrize(
    ("path", "pipe"),
    [
        *(("scene.tiff", name) for name in ("scene.tiff", "scene.tfw", "scene.aux", "scene.msk")),
        *(("scene.tiff", f"scene.tiff{end}") for end in (".aux.xml", ".ovr", ".msk")),
        *(("envi.img", name) for name in ("envi.img", "envi.hdr", "envi.sta", "envi.img.aux.xml")),
        ("envi.hdr", "envi.img"),
        *(("areas.shp", f"areas{end}") for end in (".shp", ".shx", ".dbf", ".prj", ".cpg")),
        *(("areas.gpkg", f"areas.gpkg{end}") for end in ("", "-journal", "-wal")),
        *((name, name) for name in ("areas.geojson", "new.npy", "new.npz", "new.mat", "new.h5")),
    ],
)
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_a_pipe_is_refused_at_once(path, pipe, kind, folder, monkeypatch):
    monkeypatch.chdir(folder)  # the address of a socket must be short
    Path(pipe).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(pipe)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(pipe)
    else:
        Path(pipe).symlink_to("/dev/zero")
    with pytest.raises(InputError, match=rf"{pipe} is a {kind}"):
        read(folder / path)


def test_a_mask_beside_is_seen_whatever_the_environment_says(folder):
    mask = np.where(np.arange(42).reshape(7, 6) < 12, 0, 255).astype(np.uint8)
    path = folder / "plain.tiff"
    fuzz_samples._write_geotiff(path, CUBE)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.write_mask(mask)
    assert (folder / "plain.tiff.msk").exists()
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        raster = read_raster(path)
    np.testing.assert_array_equal(np.isnan(raster.array).all(axis=2), mask == 0)
