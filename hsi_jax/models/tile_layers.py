"""The layers on a whole tile at once, with the numbers that they would give for each patch.

Neighbouring patches overlap, so most of what a network computes for one of them it computes for the
next one too. Here each different number is computed once. A layer holds maps of the tile. What a
patch has at one of its positions is read from one of the maps, at an offset from the patch's pixel.
At first there is one map, the tile itself. A window that slides over the patch reads several
positions; where two windows read the same maps at the same distances, the results share a map.
So convolutions without padding need one map, and a stride becomes a distance. With zeros around the
patch, windows that touch its border have maps of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial, reduce
from itertools import pairwise

import jax
import jax.numpy as jnp
from einops import rearrange
from jax import lax

from hsi_jax.errors import InputError
from hsi_jax.kernels.convolution import convolve

# What a window reads: for each of its taps a map and a distance, or None for padding.
Reads = tuple[tuple[int, int] | None, ...]


@dataclass(frozen=True)
class Axis:
    """Where the rows, or the columns, of a patch are found in the maps.

    Attributes:
        places: map and offset of each position in the patch.
    """

    places: tuple[tuple[int, int], ...]

    @property
    def num_maps(self) -> int:
        """Different maps."""
        return 1 + max(number for number, _ in self.places)

    @property
    def reach(self) -> int:
        """The largest offset."""
        return max(offset for _, offset in self.places)

    def slide(
        self, window: int, stride: int, padding: tuple[int, int], dilation: int = 1
    ) -> tuple["Axis", list[Reads]]:
        """The positions after a window has slid over the patch, and what each new map reads."""
        reads: list[Reads] = []
        places = []
        last = len(self.places) + padding[1] - dilation * (window - 1)
        for start in range(-padding[0], last, stride):
            found = [self._place(start + dilation * tap) for tap in range(window)]
            first = next((place[1] for place in found if place), 0)
            read = tuple(place and (place[0], place[1] - first) for place in found)
            if read not in reads:
                reads.append(read)
            places.append((reads.index(read), first))
        if not places:
            raise InputError(
                f"a window of {window} is larger than what is left of the patch "
                f"({len(self.places)}); raise `patch_size`"
            )
        return Axis(tuple(places)), reads

    def _place(self, position: int) -> tuple[int, int] | None:
        return self.places[position] if 0 <= position < len(self.places) else None


class TileLayers:
    """The layers of one pass of a network over a tile. Every pass needs a new value.

    Arrays begin with [maps], where the layers on patches have [n]; `flatten` gives [pixels, ...].
    Rows and columns are the last two axes before the channels.
    """

    def __init__(self, patch_size: int, shape: tuple[int, int], *, convolve: Callable = convolve):
        """Begins with the tile.

        Args:
            patch_size: p.
            shape: rows and columns of the tile with its border, p - 1 more than its pixels.
            convolve: `hsi_jax.kernels.convolve`, or `lax.conv_general_dilated`.
        """
        self._convolve = convolve
        start = Axis(tuple((0, offset) for offset in range(patch_size)))
        self._rows, self._columns = start, start
        self._pixels = shape[0] - start.reach, shape[1] - start.reach

    def convolve(
        self,
        lhs: jax.Array,
        rhs: jax.Array,
        window_strides: Sequence[int],
        padding: str | Sequence[tuple[int, int]],
        *,
        lhs_dilation: Sequence[int] | None = None,
        rhs_dilation: Sequence[int] | None = None,
        dimension_numbers: lax.ConvDimensionNumbers | None = None,
        feature_group_count: int = 1,
        precision: lax.PrecisionLike = None,
    ) -> jax.Array:
        """Convolves every patch; arguments as of `hsi_jax.kernels.convolve`.

        Raises:
            InputError: if a 3-D convolution pads rows or columns.
        """
        window, depth, maps = rhs.shape[:-2], rhs.ndim - 4, self._grid(lhs)
        dilation = tuple(rhs_dilation or (1,) * len(window))
        if isinstance(padding, str):
            sizes = (*lhs.shape[1 : 1 + depth], len(self._rows.places), len(self._columns.places))
            widened = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
            padding = lax.padtype_to_pads(sizes, widened, tuple(window_strides), padding)
        reads = self._slide(window, window_strides, padding, dilation)
        down, across = (_spacing(axis_reads) for axis_reads in reads)
        if down is not None and across is not None:
            return self._convolve(
                lhs,
                rhs,
                (*window_strides[:depth], 1, 1),
                (*padding[:depth], (0, 0), (0, 0)),
                lhs_dilation,
                (*dilation[:depth], down, across),
                dimension_numbers,
                feature_group_count,
                precision=precision,
            )
        if depth or feature_group_count != 1:
            raise InputError(
                "a convolution with groups, or in 3-D with padded rows or columns, has no form for "
                "whole tiles; predict patch by patch"
            )
        return self._add_products(maps, rhs, reads, precision)

    def max_pool(
        self, x: jax.Array, window: tuple[int, ...], strides: tuple[int, ...] | None = None
    ) -> jax.Array:
        """Pools every patch; arguments as of `hsi_jax.kernels.pooling.max_pool`."""
        maps = self._grid(x)
        reads = self._slide(window, strides or window, ((0, 0), (0, 0)), (1, 1))
        return self._join(
            reads,
            jnp.maximum,
            lambda tap, number: maps[:, number],
            lambda maxima, tap, number: maxima[number],
        )

    def flatten(self, x: jax.Array) -> jax.Array:
        """All numbers of each patch in a row; [maps, ..., c] becomes [pixels, numbers]."""
        if x.ndim == 5:  # depth comes first in the row
            depth, channels = x.shape[1], x.shape[-1]
            flat = self.flatten(rearrange(x, "maps d rows columns c -> maps rows columns (d c)"))
            return rearrange(flat, "n (places d c) -> n (d places c)", d=depth, c=channels)
        maps = self._grid(x)
        rows, columns = self._pixels
        strips = [
            jnp.concatenate(
                [maps[row, m, :, at : at + columns] for m, at in self._columns.places], -1
            )
            for row in range(maps.shape[0])
        ]
        cut = [strips[m][at : at + rows] for m, at in self._rows.places]
        return jnp.concatenate(cut, -1).reshape(rows * columns, -1)

    def _add_products(
        self, maps: jax.Array, kernel: jax.Array, reads: tuple[list[Reads], list[Reads]], precision
    ) -> jax.Array:
        """The 2-D convolution of maps, as of `_grid`, where windows read different ones."""
        taps, _, channels, features = kernel.shape

        @cache  # several windows add the same products
        def multiply(tap, number):  # by all taps of the rows at once, [maps, rows, columns, (i f)]
            column = jnp.moveaxis(kernel[:, tap], 0, 1).reshape(channels, taps * features)
            return jnp.dot(maps[:, number], column, precision=precision)

        def pick(sums, tap, number):
            return sums[number].reshape(*sums.shape[1:-1], taps, features)[..., tap, :]

        return self._join(reads, jnp.add, multiply, pick)

    def _join(
        self,
        reads: tuple[list[Reads], list[Reads]],
        combine: Callable[[jax.Array, jax.Array], jax.Array],
        column_term: Callable[[int, int], jax.Array],
        row_term: Callable[[jax.Array, int, int], jax.Array],
    ) -> jax.Array:
        """The new maps: what their windows read, combined along columns and then along rows.

        Args:
            reads: of the windows, along rows and columns.
            combine: two terms into one.
            column_term: what a tap makes of a map of columns, [maps of rows, rows, columns, c].
            row_term: what of all that a tap takes from a map of rows, [new maps of columns, rows,
                columns, c].
        """
        (down, across), (row_reads, column_reads) = self._pixels, reads

        def slide(read, term, axis, length):
            taps = [(tap, place) for tap, place in enumerate(read) if place]
            return reduce(
                combine,
                (_shift(term(tap, place[0]), place[1], length, axis) for tap, place in taps),
            )

        width, height = across + self._columns.reach, down + self._rows.reach
        parts = [slide(read, column_term, 2, width)[:, None] for read in column_reads]
        along = jnp.concatenate(parts, 1)
        joined = [slide(read, partial(row_term, along), 1, height) for read in row_reads]
        return jnp.concatenate(joined)

    def _slide(self, window, strides, padding, dilation) -> tuple[list[Reads], list[Reads]]:
        sizes = zip(window[-2:], strides[-2:], padding[-2:], dilation[-2:], strict=True)
        axes = self._rows, self._columns
        (self._rows, rows), (self._columns, columns) = (
            axis.slide(*size) for axis, size in zip(axes, sizes, strict=True)
        )
        return rows, columns

    def _grid(self, x: jax.Array) -> jax.Array:
        """[maps of rows, maps of columns, rows, columns, c]."""
        return x.reshape(self._rows.num_maps, self._columns.num_maps, *x.shape[1:])


def _spacing(reads: list[Reads]) -> int | None:
    """The distance between what neighbouring taps read, where one map is enough; else None."""
    (read,) = reads if len(reads) == 1 else (None,)
    if read is None or None in read or len({place[0] for place in read if place}) > 1:
        return None
    shifts = [place[1] for place in read if place]
    steps = {after - before for before, after in pairwise(shifts)}
    return max(steps, default=1) if len(steps) < 2 else None


def _shift(x: jax.Array, start: int, length: int, axis: int) -> jax.Array:
    """A part of an axis; beyond its end, where nobody reads, are zeros."""
    missing = start + length - x.shape[axis]
    if missing > 0:
        x = jnp.pad(x, [(0, missing if a == axis else 0) for a in range(x.ndim)])
    return lax.slice_in_dim(x, start, start + length, axis=axis)
