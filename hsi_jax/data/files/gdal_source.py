"""GeoTIFF and ENVI files, read by GDAL through rasterio."""

import functools
import itertools
import math
import threading
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hsi_jax.data.files import envi
from hsi_jax.data.files.file_kind import remedy
from hsi_jax.data.files.gdal_guard import GDAL_OPTIONS, check_beside
from hsi_jax.data.files.georeference import check_grid, georeference
from hsi_jax.data.files.raster_source import RasterSource
from hsi_jax.data.files.side_names import class_names_beside, tagged_wavelengths
from hsi_jax.data.scene.nodata import holds, uncounted_bands
from hsi_jax.errors import InputError

TIFF_SUFFIXES = (".tif", ".tiff")
_MAX_BANDS = 10_000  # each takes GDAL's time and memory, even where it has no pixels
_LOOK = 256  # rows and columns that are looked at together


def open_gdal(paths: Sequence[Path]) -> RasterSource:
    """Opens files whose bands follow each other.

    Args:
        paths: GeoTIFF files, or ENVI files or their headers (.hdr).

    Raises:
        InputError: if a file cannot be read or is of another format, if they do not lie on one
            grid, or if rasterio is missing.
    """
    parts = [_open(path) for path in paths]
    first = parts[0]
    for part in parts[1:]:
        check_grid((first.path, part.path), first.dataset, part.dataset)
    dtype, fill = _common_type(parts)
    rows, columns = first.dataset.shape
    bands = sum(part.dataset.count for part in parts)
    lock = threading.Lock()  # a dataset serves one thread at a time

    @functools.cache
    def ignored() -> tuple[int, ...]:
        """The bands that do not count for the rule for pixels without data; inside the lock."""
        declared = [value for part in parts for value in part.dataset.nodatavals]
        return uncounted_bands(_blocks(parts), [value for value in declared if value is not None])

    def read(rows: slice, columns: slice) -> np.ndarray:
        with lock:
            return _read(parts, (rows, columns), np.dtype(dtype), fill=fill, ignored=ignored())

    with _explained(first.path):  # texts of a file may be in any encoding
        names, wavelengths = zip(*((p.names, p.wavelengths) for p in parts), strict=True)
        (transform, wkt), class_names = georeference(first.path, first.dataset), first.class_names
    return RasterSource(
        (rows, columns, bands),
        dtype,
        read,
        block_rows=max(part.dataset.block_shapes[0][0] for part in parts),
        block_columns=max(part.dataset.block_shapes[0][1] for part in parts),
        nodata_values=() if fill is None else (fill,),
        wavelengths=_joined_wavelengths(wavelengths),
        band_names=_joined_names(names),
        bad_bands=_joined_bands(parts, lambda p: p.header.bad_bands if p.header else ()),
        opacity_bands=_joined_bands(parts, _opacity_bands),
        crs=wkt,
        transform=transform,
        class_names=class_names,
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """One file.

    Attributes:
        path: of its numbers.
        dataset: of rasterio.
        header: of an ENVI file.
    """

    path: Path
    dataset: Any
    header: envi.Header | None

    @functools.cached_property
    def scaling(self) -> list[tuple[float, float]]:
        """Scale and offset of each band."""
        divisor = self.header.scale_factor if self.header else 1.0
        pairs = zip(self.dataset.scales, self.dataset.offsets, strict=True)
        return [(scale / divisor, offset / divisor) for scale, offset in pairs]

    @property
    def has_mask(self) -> bool:
        """Whether pixels may have no data."""
        return self.has_mask_band or any(value is not None for value in self.dataset.nodatavals)

    @functools.cached_property
    def has_mask_band(self) -> bool:
        """Whether a mask tells it. What GDAL calls alpha is a band: often an infrared one."""
        flags = [{flag.name for flag in band} for band in self.dataset.mask_flag_enums]
        return any(names == {"per_dataset"} for names in flags)

    @property
    def names(self) -> list[str]:
        """Of each band, "" where it has none; of a single band, else the file's."""
        if self.header and self.header.band_names:
            return list(self.header.band_names)
        # GDAL makes descriptions of an ENVI file from its wavelengths, in any encoding.
        given = [None] * self.dataset.count if self.header else self.dataset.descriptions
        return [name or (self.path.stem if len(given) == 1 else "") for name in given]

    @property
    def class_names(self) -> dict[int, str] | None:
        """Of a label map."""
        if self.header and self.header.class_names:
            return self.header.class_names
        names = class_names_beside(self.path) if self.dataset.count == 1 else None
        return (names and {k: v for k, v in names.items() if k != self.dataset.nodata}) or None

    @property
    def wavelengths(self) -> np.ndarray | None:
        """Of each band, nm."""
        return self.header.wavelengths if self.header else tagged_wavelengths(self.dataset)


def _open(path: Path) -> _Part:
    rasterio = _rasterio(path)
    header = None
    driver = "GTiff" if path.suffix.lower() in TIFF_SUFFIXES else "ENVI"
    path = path if driver == "GTiff" else envi.data_file(path)
    path = path.absolute()  # which cannot be taken for an address
    check_beside(path)
    with _explained(path), rasterio.Env(**GDAL_OPTIONS), warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        dataset = rasterio.open(path, driver=driver)
        if driver == "ENVI":
            header = envi.read_header(path, dataset)
    if dataset.count > _MAX_BANDS:
        raise InputError(
            f"{path} claims {dataset.count} bands, more than {_MAX_BANDS}; if it is damaged, copy "
            f"or download it again, and else divide it."
        )
    if dataset.transform.is_degenerate:
        raise InputError(f"{path} has a georeference in which pixels have no area; correct it.")
    if dataset.subdatasets:
        raise InputError(
            f"{path} holds {len(dataset.subdatasets)} images one after the other; save each in its "
            f"own file, or all as one array of a .npy (tifffile reads them so)."
        )
    for dtype in dataset.dtypes:
        if np.dtype(_plain(dtype)).kind not in "iuf":
            raise InputError(f"{path} has numbers of type {dtype}; give real numbers.")
    return _Part(path, dataset, header)


def _rasterio(path: Path) -> Any:
    try:
        import rasterio
        import rasterio.errors
    except ImportError:
        raise InputError(
            f"{path} can be read with rasterio only, which is not installed: "
            f"python -m pip install rasterio"
        ) from None
    return rasterio


@contextmanager
def _explained(path: Path):
    """Says which file is at fault, whatever GDAL raises."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        cause = error.__cause__ or error
        raise InputError(
            f"{path} cannot be read ({type(error).__name__}: {cause}); {remedy(path)}."
        ) from error


def _plain(dtype: str) -> str:
    """NumPy's name of a type of GDAL; NumPy has no complex integers."""
    return "complex64" if dtype.startswith("complex_int") else dtype


def _common_type(parts: Sequence[_Part]) -> tuple[np.dtype, float | None]:
    """The type of all bands together, and the value that stands for no data, if any."""
    stored = np.result_type(*(dtype for part in parts for dtype in part.dataset.dtypes))
    scaled = any(pair != (1.0, 0.0) for part in parts for pair in part.scaling)
    if not any(part.has_mask for part in parts):
        return (_floating(stored) if scaled else stored), None
    value = next((part.dataset.nodata for part in parts if part.dataset.nodata is not None), None)
    if not scaled and value is not None and _holds(stored, value):
        return stored, value
    return _floating(stored), float("nan")


def _floating(dtype: np.dtype) -> np.dtype:
    return np.result_type(dtype, np.float32)


def _holds(dtype: np.dtype, value: float) -> bool:
    """Whether a value can be told from others in an array of this type."""
    if dtype.kind == "f":
        return True
    limits = np.iinfo(dtype)
    return value == round(value) and limits.min <= value <= limits.max


def _read(
    parts: Sequence[_Part],
    window: tuple[slice, slice],
    dtype: np.dtype,
    *,
    fill: float | None,
    ignored: Collection[int],
) -> np.ndarray:
    """A window, with `fill` in all bands of pixels without data by the rule of `data.scene.nodata`.

    A value counts in the bands that declare it, except in those of `ignored`.
    """
    import rasterio

    shape = [part.stop - part.start for part in window]
    array = np.empty((*shape, sum(part.dataset.count for part in parts)), dtype)
    missing, zeros = np.zeros(shape, bool), []
    band = 0
    for part in parts:
        layers = _layers(part, window)
        if part.has_mask_band:
            with _explained(part.path), rasterio.Env(**GDAL_OPTIONS):
                missing |= part.dataset.dataset_mask(window=window) == 0
        facts = zip(layers, part.dataset.nodatavals, part.scaling, strict=True)
        for layer, value, (scale, offset) in facts:
            if value is not None and band not in ignored:
                held = holds(layer, value)
                if value == 0:
                    zeros.append(held)
                else:
                    missing |= held
            array[:, :, band] = layer if (scale, offset) == (1, 0) else layer * scale + offset
            band += 1
    if zeros:  # a common measurement: it must stand in all bands that declare it
        missing |= np.all(zeros, axis=0)
    if fill is not None:
        array[missing] = fill
    return array


def _layers(part: _Part, window: tuple[slice, slice]) -> np.ndarray:
    """The numbers of a file as they are stored, [bands, rows, columns]."""
    import rasterio

    with _explained(part.path), rasterio.Env(**GDAL_OPTIONS):
        return part.dataset.read(window=window)


def _blocks(parts: Sequence[_Part]) -> Iterator[np.ndarray]:
    """All pixels as they are stored, [rows, columns, bands] each."""
    starts = []
    blocks = parts[0].dataset.block_shapes[0]
    for size, block in zip(parts[0].dataset.shape, blocks, strict=True):
        step = block * math.ceil(_LOOK / block)
        starts.append([slice(start, min(start + step, size)) for start in range(0, size, step)])
    for window in itertools.product(*starts):
        layers = np.concatenate([_layers(part, window) for part in parts])
        yield np.moveaxis(layers, 0, 2)


def _joined_names(names: Sequence[Sequence[str]]) -> tuple[str, ...]:
    joined = tuple(itertools.chain.from_iterable(names))
    return joined if any(joined) else ()


def _joined_wavelengths(known: Sequence[np.ndarray | None]) -> np.ndarray | None:
    found = [wavelengths for wavelengths in known if wavelengths is not None]
    return np.concatenate(found) if len(found) == len(known) else None


def _opacity_bands(part: _Part) -> list[int]:
    kinds = enumerate(part.dataset.colorinterp)
    return [band for band, kind in kinds if kind.name == "alpha"]


def _joined_bands(
    parts: Sequence[_Part], of_part: Callable[[_Part], Sequence[int]]
) -> tuple[int, ...]:
    """Bands of single files, counted over all of them."""
    starts = itertools.accumulate((part.dataset.count for part in parts), initial=0)
    return tuple(s + band for s, part in zip(starts, parts, strict=False) for band in of_part(part))
