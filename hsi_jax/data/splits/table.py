"""The splits by name; another one is registered by `SPLITS.register`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hsi_jax.data.splits.disjoint import disjoint_split
from hsi_jax.data.splits.file_split import file_split
from hsi_jax.data.splits.polygons import polygon_split
from hsi_jax.data.splits.split import Split, random_split
from hsi_jax.errors import InputError
from hsi_jax.registry import Registry

FILE = "file"


@dataclass(frozen=True, eq=False, kw_only=True)
class SplitRequest:
    """What a split of a scene is made from; each uses what it needs.

    Attributes:
        labels: int [rows, columns], class index or -1.
        seed: of the draw, 0 or more.
        train_fraction: part of each class that trains, or None.
        train_per_class: number of training pixels of each class, or None.
        small_classes: as of `random_split`.
        guard: as of `disjoint_split`, pixels.
        block_size: as of `disjoint_split`, pixels.
        polygon_ids: int [rows, columns], as of `polygon_split`, or None.
        path: of a file with the split, or None.
        nodata: bool [rows, columns], pixels without data; or None.
        class_names: C names, for messages; or None.
    """

    labels: np.ndarray
    seed: int = 0
    train_fraction: float | None = None
    train_per_class: int | None = None
    small_classes: str = "error"
    guard: int = 0
    block_size: int = 8
    polygon_ids: np.ndarray | None = None
    path: str | Path | None = None
    nodata: np.ndarray | None = None
    class_names: tuple[str, ...] | None = None

    @property
    def amount(self) -> dict:
        """How much trains, and the names for messages."""
        return {
            "train_fraction": self.train_fraction,
            "train_per_class": self.train_per_class,
            "class_names": self.class_names,
        }


SplitFunction = Callable[[SplitRequest], Split]


def _random(request: SplitRequest) -> Split:
    return random_split(
        request.labels, request.seed, **request.amount, small_classes=request.small_classes
    )


def _disjoint(request: SplitRequest) -> Split:
    return disjoint_split(
        request.labels,
        request.seed,
        guard=request.guard,
        block_size=request.block_size,
        **request.amount,
    )


def _polygons(request: SplitRequest) -> Split:
    if request.polygon_ids is None:
        raise InputError(
            "`split`=polygons needs labels that come from polygons or points: .shp, .geojson or "
            ".gpkg"
        )
    return polygon_split(request.labels, request.polygon_ids, request.seed, **request.amount)


def _file(request: SplitRequest) -> Split:
    if request.path is None:
        raise InputError("`split`=file needs the `path` of the file")
    return file_split(request.path, request.labels, request.class_names, request.nodata)


SPLITS: Registry[SplitFunction] = Registry(
    "split",
    {"random": _random, "disjoint": _disjoint, "polygons": _polygons, FILE: _file},
)


def find_split(text: str, path: str | None = None) -> SplitFunction:
    """The split of a name, of package.module:function, or of a file.

    Args:
        text: as the user gives it.
        path: of a file that may have been meant.

    Raises:
        InputError: if it is none of these.
    """
    known = text in SPLITS or (":" in text and not Path(text).exists())
    if not known and Path(path or text).is_file():
        return SPLITS[FILE]
    return SPLITS.find(text)
