"""The pixels of a map, and what all writers of maps have in common."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsi_jax.errors import InputError, StorageError

_MERCATOR = re.compile(r'(?:METHOD|PROJECTION)\["(?:Mercator|Popular Visualisation)')


@dataclass(frozen=True)
class Grid:
    """The pixels of a map and where they lie.

    Attributes:
        rows: of the map.
        columns: of the map.
        crs: coordinate reference system, WKT or a code such as "EPSG:32616", or None.
        transform: affine (a, b, c, d, e, f) as rasterio orders it, or None.
    """

    rows: int
    columns: int
    crs: str | None = None
    transform: tuple[float, float, float, float, float, float] | None = None

    @property
    def hectares_per_pixel(self) -> float | None:
        """The area of a pixel, or None where `metres_per_unit` is."""
        metres = None if self.crs is None else metres_per_unit(self.crs)
        if metres is None or self.transform is None:
            return None
        a, b, _, d, e, _ = self.transform
        return abs(a * e - b * d) * metres**2 / 1e4


def metres_per_unit(crs: str) -> float | None:
    """Metres on the ground in a unit of a projected coordinate reference system.

    Args:
        crs: WKT or a code such as "EPSG:32616".

    Returns:
        None if the system is not projected, or not understood, or a Mercator map, where a metre of
        the map is a metre on the ground at one latitude alone; or if rasterio is missing.
    """
    try:
        import rasterio.crs
        import rasterio.errors
    except ImportError:
        return None
    try:
        system = rasterio.crs.CRS.from_user_input(crs)
        if not system.is_projected or _MERCATOR.search(system.to_wkt()):
            return None
        return system.linear_units_factor[1]
    except rasterio.errors.CRSError:
        return None


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A file to be written, which gets its name when it is whole.

    Raises:
        StorageError: if it cannot be written.
    """
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield partial
        partial.replace(path)
    except Exception as error:  # rasterio has its own kinds for a full disk
        if isinstance(error, OSError) or type(error).__module__.startswith("rasterio"):
            raise StorageError(f"{path} cannot be written: {error}") from None
        raise
    finally:
        partial.unlink(missing_ok=True)


def import_rasterio(what: str) -> Any:
    """Rasterio, with the parts of it that are used.

    Raises:
        InputError: saying what needs it, if it is missing.
    """
    try:
        import rasterio
        import rasterio.crs
        import rasterio.errors
        import rasterio.windows
    except ImportError:
        raise InputError(
            f"{what} needs rasterio, which is not installed: python -m pip install rasterio"
        ) from None
    return rasterio
