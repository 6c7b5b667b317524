"""TIFF pictures of any number of bands and any type, by tifffile.

GDAL takes each page for a picture of its own, and knows nothing of axes: it fails
`test_pages_of_one_size_are_bands` and `test_arrays_of_unknown_axes`. PIL reads 8 bits of colours.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from hsi_jax.data.images.opened_picture import (
    OpenedPicture,
    bands_first_remark,
    has_bands_first,
    turned,
    turned_shape,
)
from hsi_jax.errors import InputError

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SMALL_BYTES = 2**24
_MAX_INFLATION = 1032  # of deflate; other codings exceed that only for constant pictures
_GDAL_NODATA = 42113  # a tag
_OPACITY = (1, 2)  # associated and unassociated, in the tag ExtraSamples


@contextmanager
def open_tiff(stream: IO[bytes], source: str) -> Iterator[OpenedPicture | None]:
    """Opens a TIFF; None if it has one or three bands of 8 bits, which PIL reads in more codings.

    All its bands are kept, also one that is called opacity. Pages of one size are bands.

    Raises:
        InputError: if it holds several pictures, or, when it is read, if it is coded in a way that
            needs another package.
    """
    import tifffile

    with tifffile.TiffFile(stream) as file:
        page: Any = file.pages.first
        if len(file.pages) == 1 and _is_plain(page):
            yield None
            return
        series = _only_series(file, source)
        order, remarks = _order(series, source)
        if set(getattr(page, "extrasamples", ())) & set(_OPACITY):
            remarks.append("a band that the file calls opacity is kept")
        if nodata := page.tags.get(_GDAL_NODATA):
            value = str(nodata.value).strip("\0 ")
            remarks.append(f"{value}, which the file declares as no data, is taken as a value")
        rows, columns, bands = (*(series.shape[k] for k in order), 1)[:3]
        orientation = int(getattr(page.tags.get("Orientation"), "value", 1))

        def read() -> np.ndarray:
            _check_claims(series, file.filehandle.size)
            rest = [k for k in range(len(series.shape)) if k not in order]  # of size 1
            pixels = _decode(series, source).reshape(series.shape).transpose(*order, *rest)
            return turned(pixels.reshape(rows, columns, bands), orientation)

        shape = turned_shape((rows, columns, bands), orientation)
        yield OpenedPicture(shape, np.dtype(series.dtype), read, "; ".join(remarks))


def _order(series: Any, source: str) -> tuple[list[int], list[str]]:
    """Which axes are the rows, the columns and, if there are, the bands; and remarks on that."""
    axes, shape, remarks = series.axes, series.shape, []
    if "Q" in axes and len(axes) == 3:  # the file does not say what they are
        first = has_bands_first(shape)
        axes = "SYX" if first else "YXS"
        remarks = [bands_first_remark(shape)] if first else []
    bands = [k for k, axis in enumerate(axes) if axis not in "YX" and shape[k] > 1]
    if axes.count("Y") != 1 or axes.count("X") != 1 or len(bands) > 1:
        raise InputError(
            f"{source} has the axes {axes} of {shape}; give an image with rows, columns and bands."
        )
    return [axes.index("Y"), axes.index("X"), *bands], remarks


def _is_plain(page: Any) -> bool:
    kind = getattr(page.photometric, "name", "")
    deep = page.bitspersample not in (1, 2, 4, 8) or page.sampleformat not in (1, 4)
    if deep or page.imagedepth != 1:
        return False
    if page.samplesperpixel == 1:
        return True
    return (page.samplesperpixel, kind) in ((3, "RGB"), (3, "YCBCR"), (4, "SEPARATED"))


def _only_series(file: Any, source: str) -> Any:
    """The picture of a file, which may also hold small versions and masks of it."""
    first, *more = file.series
    if any(not (part.pages[0].is_reduced or part.pages[0].is_mask) for part in more):
        raise InputError(
            f"{source} holds {len(file.series)} pictures, of {first.shape} and {more[0].shape} "
            f"values; give one picture in each file."
        )
    return first


def _check_claims(series: Any, size: int) -> None:
    """Checks that the file can hold the picture, and that its parts lie in it."""
    if series.nbytes > max(_SMALL_BYTES, _MAX_INFLATION * size):
        raise ValueError(f"{size} bytes cannot hold a picture of {series.shape}")
    max_bytes = max(_SMALL_BYTES, 16 * series.nbytes)  # tiles reach over the edges
    for page in filter(None, series.pages):
        ends = map(sum, zip(page.dataoffsets, page.databytecounts, strict=False))
        if max(ends, default=0) > size:
            raise ValueError("its parts lie beyond its end")
        if math.prod(page.chunks) * series.dtype.itemsize > max_bytes:
            raise ValueError(f"its parts claim a shape of {page.chunks}")


def _decode(series: Any, source: str) -> np.ndarray:
    try:
        return series.asarray(maxworkers=1)  # the images are read by several threads already
    except (ValueError, ImportError) as error:  # as tifffile says it, by coding
        if "imagecodecs" not in str(error) and not isinstance(error, ImportError):
            raise
        raise InputError(
            f"{source} is compressed in a way that needs the package imagecodecs ({error}): "
            f"python -m pip install imagecodecs"
        ) from error
