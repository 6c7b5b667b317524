"""ENVI files: numbers in one file, and in another, the header, what they mean.

GDAL reads the numbers. Here are the checks that it does not make, and what the header says beside.
"""

import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hsi_jax.data.files.file_kind import DAMAGED, check_plain, remedy
from hsi_jax.data.scene.wavelengths import to_nanometres
from hsi_jax.errors import InputError

HEADER_SUFFIX = ".hdr"
_DATA_SUFFIXES = ("", ".img", ".dat", ".bin", ".raw", ".bsq", ".bil", ".bip", ".cube", ".hyspex")
_NEEDED = ("samples", "lines", "bands", "data type", "interleave")
_FIELD = re.compile(r"^[ \t]*([^=;{}\n]+?)[ \t]*=[ \t]*(\{[^}]*\}|[^\n]*)", re.MULTILINE)


@dataclass(frozen=True, eq=False)
class Header:
    """What a header says beside what GDAL knows.

    Attributes:
        scale_factor: by which numbers are divided to become reflectances.
        wavelengths: of all bands, float64 [bands], nm, or None.
        bad_bands: 0-based.
        band_names: of all bands, or empty.
        class_names: of the ids of a classification, or None.
    """

    scale_factor: float
    wavelengths: np.ndarray | None
    bad_bands: tuple[int, ...]
    band_names: tuple[str, ...]
    class_names: dict[int, str] | None


def both_files(path: Path) -> list[Path]:
    """The file with the numbers and its header, of which a path names one; see `data_file`."""
    if path.suffix.lower() == HEADER_SUFFIX:
        return [path, data_file(path)]
    return [path, *itertools.chain(*_headers(path))]


def _headers(path: Path) -> list[list[Path]]:
    """Those that belong to a file with numbers: named after its name, and after its stem."""
    return [_beside(path, f"{name}{HEADER_SUFFIX}") for name in (path.name, path.stem)]


def data_file(path: Path) -> Path:
    """The file with the numbers.

    Args:
        path: of it, or of its header.

    Raises:
        InputError: if the other file of the two is missing, or if several files could be it.
    """
    if path.suffix.lower() != HEADER_SUFFIX:
        own, other = _headers(path)
        if not own and not other:
            reason = remedy(path)
            raise InputError(
                f"{path} is no .mat, .npy, .npz, .h5 or GeoTIFF file (.tif), and there is no "
                f"header {path.stem}{HEADER_SUFFIX} beside it, as ENVI files have; "
                f"{'give a file of these' if reason == DAMAGED else reason}."
            )
        if own and other and own[0].read_bytes() != other[0].read_bytes():
            raise InputError(
                f"{path} has two headers that differ, {own[0].name} and {other[0].name}; GDAL "
                f"takes the second: rename it, or the file that it belongs to."
            )
        return path
    found = [file for suffix in _DATA_SUFFIXES for file in _beside(path, f"{path.stem}{suffix}")]
    # One with a header of its own belongs to that.
    own = [file for file in found if f"{file.name}{HEADER_SUFFIX}".lower() == path.name.lower()]
    found = own or [file for file in found if not _beside(path, f"{file.name}{HEADER_SUFFIX}")]
    if len(found) != 1:
        listing = ", ".join(entry.name for entry in found) or f"no {path.stem}.img or the like"
        raise InputError(
            f"{path} is the header of an ENVI file; beside it is {listing}: give the file with "
            f"the numbers."
        )
    return data_file(found[0])


def _beside(path: Path, name: str) -> list[Path]:
    """The files of this name in the folder of a path, in upper or lower case."""
    found = [entry for entry in path.parent.iterdir() if entry.name.lower() == name.lower()]
    for entry in found:
        if entry.exists():
            check_plain(entry)
    return sorted(entry for entry in found if entry.is_file())


def read_header(path: Path, dataset: Any) -> Header:
    """Checks a file against its header, and reads what GDAL leaves to us.

    Args:
        path: of the numbers.
        dataset: the file as rasterio has opened it.

    Raises:
        InputError: if the header lacks something, contradicts itself, or describes a file of
            another size.
    """
    fields = _fields(next(file for file in dataset.files if file.lower().endswith(HEADER_SUFFIX)))
    _check_size(path, dataset, fields)
    bands = dataset.count
    wavelengths = _numbers(path, fields, "wavelength", bands)
    good = _numbers(path, fields, "bbl", bands)
    bad = () if good is None else tuple(np.flatnonzero(good == 0).tolist())
    factor = _numbers(path, fields, "reflectance scale factor", 1)
    if factor is not None and not factor[0] > 0:
        raise InputError(
            f"The header of {path} has the reflectance scale factor {factor[0]}; correct it."
        )
    names = _items(fields.get("band names", ""))
    classes = _items(fields.get("class names", ""))
    return Header(
        scale_factor=1.0 if factor is None else float(factor[0]),
        wavelengths=None
        if wavelengths is None
        else to_nanometres(wavelengths, fields.get("wavelength units")),
        bad_bands=bad,
        band_names=tuple(names) if len(names) == bands else (),
        class_names=dict(enumerate(classes)) or None,
    )


def _fields(header: str) -> dict[str, str]:
    """The fields of a header, by name in lower case; lists with their braces."""
    content = Path(header).read_bytes()
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # never fails
    lines = [line for line in text.splitlines() if not line.startswith(";")]
    found = _FIELD.findall("\n".join(lines))
    return {" ".join(name.lower().split()): value.strip() for name, value in found}


def _check_size(path: Path, dataset: Any, fields: Mapping[str, str]) -> None:
    missing = [name for name in _NEEDED if name not in fields]
    item_bytes = np.dtype(dataset.dtypes[0]).itemsize
    if item_bytes > 1 and "byte order" not in fields:
        missing.append("byte order")
    if missing:
        raise InputError(f"The header of {path} lacks {', '.join(missing)}; add it.")
    if fields["interleave"].lower() not in ("bsq", "bil", "bip"):
        raise InputError(
            f"The header of {path} has the interleave {fields['interleave']}; give bsq, bil or bip."
        )
    sizes = {"lines": dataset.height, "samples": dataset.width, "bands": dataset.count}
    for name, known in sizes.items():
        if fields[name].strip() != str(known):
            raise InputError(f"The header of {path} has {name} = {fields[name]}; correct it.")
    if fields.get("file compression", "0") != "0":
        return  # GDAL notices the end of a compressed file
    offset = _numbers(path, fields, "header offset", 1)
    start = 0 if offset is None else int(offset[0])
    described = start + dataset.width * dataset.height * dataset.count * item_bytes
    size = path.stat().st_size
    if size != described:
        raise InputError(
            f"{path} has {size} bytes, but its header describes {described}: {start} before the "
            f"numbers, then {dataset.height} lines, {dataset.width} samples and {dataset.count} "
            f"bands of {item_bytes} bytes. Correct the header, or copy the file again if it is cut."
        )


def _numbers(path: Path, fields: Mapping[str, str], name: str, count: int) -> np.ndarray | None:
    """The numbers of a field, float64 [count]; None if the header lacks it."""
    if name not in fields:
        return None
    items = _items(fields[name])
    if len(items) != count:
        raise InputError(
            f"The header of {path} has {len(items)} values of '{name}', not {count}; correct it."
        )
    try:
        numbers = np.array([float(item) for item in items])
    except ValueError:
        numbers = np.array([np.nan])
    if not np.isfinite(numbers).all():
        raise InputError(f"The header of {path} has a '{name}' that is no number; correct it.")
    return numbers


def _items(text: str) -> list[str]:
    """The parts of a list such as "{a, b}"."""
    text = text.strip().strip("{}").strip()
    return [item.strip() for item in text.split(",")] if text else []
