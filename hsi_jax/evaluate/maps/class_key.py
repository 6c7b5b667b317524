"""The key of a class map: which value stands for which class, its name and its colour.

A map has one key, by which its raster, legend, attribute table and table of areas are written.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hsi_jax.evaluate.figures.palette import rgb_colours

_TYPES = ("uint8", "uint16")


@dataclass(frozen=True)
class ClassKey:
    """What the values of a class map mean.

    Attributes:
        names: C names.
        colours: "#rrggbb" of each class.
        values: what stands for each class in a file.
        nodata: what stands for no class.
        dtype: of the values.
    """

    names: tuple[str, ...]
    colours: tuple[str, ...]
    values: tuple[int, ...]
    nodata: int
    dtype: str

    @classmethod
    def of_ids(
        cls, names: Sequence[str], colours: Sequence[str], ids: Sequence[int], unlabelled_id: int
    ) -> "ClassKey":
        """The key in which each class has its id, where 16 bits hold all ids; else 1 to C."""
        values = tuple(ids)
        if min(values) < 0 or max(values) >= 2**16 - 1:
            values = tuple(range(1, len(values) + 1))
        dtype = _TYPES[max(values) > 2**8 - 2]
        largest = int(np.iinfo(dtype).max)
        free = unlabelled_id if 0 <= unlabelled_id <= largest else 0
        nodata = free if free not in values else largest
        return cls(tuple(names), tuple(colours), values, nodata, dtype)

    def counted(self) -> "ClassKey":
        """The key in which classes are 1 to C and 0 is no class, as ENVI's classifications need."""
        values = tuple(range(1, len(self.names) + 1))
        dtype = _TYPES[len(values) > 2**8 - 1]
        return ClassKey(self.names, self.colours, values, 0, dtype)

    @property
    def table(self) -> np.ndarray:
        """The value of each stored number, 0 for no class and index + 1 for the others."""
        return np.array([self.nodata, *self.values], self.dtype)

    @property
    def rgb(self) -> dict[int, tuple[int, int, int]]:
        """Red, green and blue of each value of a class, in 0..255."""
        levels = np.rint(255 * rgb_colours(self.colours)).astype(int).tolist()
        return {
            value: (red, green, blue)
            for value, (red, green, blue) in zip(self.values, levels, strict=True)
        }

    @property
    def name_of(self) -> dict[int, str]:
        """Name of each value of a class."""
        return dict(zip(self.values, self.names, strict=True))
