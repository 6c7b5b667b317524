"""What the parts of a file are, before any of their numbers is read."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MAX_PARTS = 10_000  # of a file that are listed; cells and structs beyond are not looked into
MAX_DEPTH = 20  # of cells and structs in each other


@dataclass(frozen=True)
class StoredArray:
    """A part that a file claims to have; no memory of its size has been taken yet.

    Attributes:
        path: where it is: "gt", "hsi.Data" in a struct, "scenes[1]" in a cell (the first is 0), or
            "" in a file of one array.
        kind: what it holds: a dtype, "sparse float64", "logical", "text", "cell", ...
        shape: its axes, as `read` gives them.
        dtype: of what `read` gives; None for what is not real numbers.
        read: reads it; None for what is not real numbers.
        stored_whole: whether each value takes bytes in the file, were it not compressed.
        nodata_values: what `read` gives where the file says that there are no data.
    """

    path: str
    kind: str
    shape: tuple[int, ...]
    dtype: np.dtype | None = None
    read: Callable[[], np.ndarray] | None = None
    stored_whole: bool = True
    nodata_values: tuple[float, ...] = ()

    @property
    def num_bytes(self) -> int:
        """Size in memory, as a Python int, which cannot overflow."""
        return math.prod(self.shape) * (self.dtype.itemsize if self.dtype else 0)

    @property
    def is_numeric(self) -> bool:
        """Whether it holds numbers, and not true and false or something else."""
        return self.read is not None and self.kind != "logical"

    @property
    def is_nested(self) -> bool:
        """Whether it lies in a struct or cell."""
        return "." in self.path or "[" in self.path

    def __str__(self):
        return f"{self.path or 'unnamed'}: {self.kind} {self.shape}"


def indexed(path: str, number: int, shape: tuple[int, ...]) -> str:
    """The path of an element of a cell, such as "c[1]" in a vector or "c[0,1]" in a matrix.

    Args:
        path: of the cell.
        number: of the element in MATLAB's order, from 0.
        shape: of the cell, in MATLAB's order.
    """
    if sum(size != 1 for size in shape) <= 1:
        return f"{path}[{number}]"
    place = np.unravel_index(number, shape, order="F")
    return f"{path}[{','.join(str(int(index)) for index in place)}]"


def dense(rows, columns, values, shape: tuple[int, int]) -> np.ndarray:
    """The array of a sparse one; what does not name a place in it is a ValueError.

    Args:
        rows: of the values, whole numbers [n].
        columns: of the values, whole numbers [n].
        values: [n].
        shape: of the array.
    """
    for places, size in ((rows, shape[0]), (columns, shape[1])):
        if places.size and not (places.min() >= 0 and places.max() < size):
            raise ValueError(f"a sparse array of shape {shape} names places outside of it")
    array = np.zeros(shape, values.dtype)
    array[rows, columns] = values
    return array
