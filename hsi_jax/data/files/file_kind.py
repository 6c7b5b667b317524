"""What to say of a file that is not there, or cannot be read: what it is by its first bytes."""

import os
import stat
from pathlib import Path

from hsi_jax.errors import InputError

DAMAGED = "if it is damaged, copy or download it again"
HDF5_SUFFIXES = (".h5", ".hdf5", ".mat", ".he5", ".hdf", ".nc", ".nc4")
_HEAD_BYTES = 200

# First bytes, what has them, and the suffixes under which it is read.
_KINDS = (
    (b"\x93NUMPY", "a .npy file", (".npy",)),
    (b"PK\x03\x04", "a zip archive, as .npz files are", (".npz",)),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", HDF5_SUFFIXES),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", (".mat",)),
    (b"MATLAB 7.3 MAT-file", "a MATLAB file", (".mat",)),
    *((magic, "a TIFF", (".tif", ".tiff")) for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", (".png",)),
    (b"\xff\xd8\xff", "a JPEG picture", (".jpg", ".jpeg")),
    (b"ENVI", "the header of an ENVI file", (".hdr",)),
)
_TO_TIFF = "it is {}; make a GeoTIFF of it (gdal_translate)"
_TO_GPKG = "it is {}; make a GeoPackage of it (ogr2ogr -f GPKG)"
# First bytes of what is not read at all, and what to do with it.
_OTHERS = (
    (b"\x1f\x8b", "it is packed by gzip; unpack it"),
    (b"BZh", "it is packed by bzip2; unpack it"),
    (b"\xfd7zXZ", "it is packed by xz; unpack it"),
    (b"Rar!", "it is a .rar archive; unpack it"),
    (b"7z\xbc\xaf", "it is a .7z archive; unpack it"),
    (b"CDF", "it is a NetCDF file of version 3; save it as netCDF-4 (nccopy -k nc4)"),
    (b"\x0e\x03\x13\x01", "it is an HDF4 file; save the array as .npy, .mat or GeoTIFF"),
    (b"EHFA_HEADER_TAG", _TO_TIFF.format("an ERDAS file")),
    (b"\0\0\0\x0cjP  ", _TO_TIFF.format("a JPEG 2000 picture")),
    (b"<VRTDataset", _TO_TIFF.format("a VRT, which only names other files")),
    (b"<OGRVRTDataSource", _TO_GPKG.format("a VRT, which only names other files")),
    (b"fgb\x03fgb", _TO_GPKG.format("a FlatGeobuf file")),
    (b"PAR1", _TO_GPKG.format("a Parquet file")),
    (b"SQLite format 3", "it is a database of SQLite; a GeoPackage ends in .gpkg"),
    (b"\0\0\x27\x0a", "it is a shapefile; rename it to end in .shp"),
    (b"SIMPLE  =", "it is a FITS file; save the array as .npy, .mat or GeoTIFF"),
    (b"\x80", "it is a pickle, which is never loaded; save the array with numpy.save"),
    (b"version https://git-lfs", "it is a pointer of Git LFS; fetch the file by git lfs pull"),
)


def remedy(path: str | os.PathLike) -> str:
    """What to do about a file that cannot be read, without a full stop at the end."""
    path = Path(path)
    try:
        if not path.is_file():
            return "it is no plain file"
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        return f"it cannot be opened: {error.strerror}"
    if not head:
        return "the file is empty; copy or download it again"
    for magic, kind, suffixes in _KINDS:
        if head.startswith(magic):
            if path.suffix.lower() in suffixes:
                return DAMAGED
            return f"by its content it is {kind}; rename it to end in {' or '.join(suffixes[:3])}"
    for magic, words in _OTHERS:
        if head.startswith(magic):
            return words
    if b"<kml" in head:
        return _TO_GPKG.format("a KML file")
    if head.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a page of a web server, not the file that was to be downloaded; get that one"
    return DAMAGED


def check_plain(path: str | os.PathLike) -> None:
    """Raises InputError if a path leads to a pipe, socket or device, which may never end."""
    mode = os.stat(path).st_mode
    for is_such, kind in (
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    ):
        if is_such(mode):
            raise InputError(f"{path} is {kind}, which is not read; remove it or give a file.")


def no_such_file(path: str | os.PathLike, kind: str = "") -> InputError:
    """The error on a path that names no file.

    Args:
        path: which.
        kind: words for what was looked for, such as "that fits ".
    """
    if os.path.isdir(path):
        return InputError(f"{path} is a folder; give a file in it.")
    if os.path.exists(path):
        check_plain(path)
    if os.path.islink(path):
        return InputError(
            f"{path} is a link to {os.readlink(path)}, where there is no file; check the link."
        )
    return InputError(f"There is no file {kind}{path}; check the path.")
