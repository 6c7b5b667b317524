"""The order of training samples that lie in tiles: mixed widely, and each tile is read once.

The order is a pure function of the training samples, the tiles, the batch size and the seed:

- In each epoch the tiles come in a new random order, and with them their samples.
- This order is cut into lanes of like length. A lane fills the same places of every batch, so who
  computes a part of each batch needs the tiles of a part of the lanes alone.
- In a lane, the samples of a few tiles that follow each other are shuffled together.
"""

import bisect
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from hsi_jax.data.sampler import steps_for_epochs
from hsi_jax.data.splits.split import seeded_generator
from hsi_jax.errors import InputError

MAX_LANES = 8  # in a batch
_TILES, _CUT, _MIX = range(3)  # streams of random numbers


class _Epoch(NamedTuple):
    """The tiles of an epoch in their order, and where their samples end, int64 [tiles + 1]."""

    tiles: np.ndarray
    ends: np.ndarray


class TileOrder:
    """Which training samples are in the batch of a step; see the head of this file.

    Attributes:
        lanes: L, the most, up to `MAX_LANES`, into which the batch divides evenly.
    """

    def __init__(
        self,
        train_ids: np.ndarray,
        tile_starts: np.ndarray,
        *,
        batch_size: int,
        mixed_tiles: int,
        seed: int,
    ):
        """Finds the tiles of the training samples.

        Args:
            train_ids: sample ids, int32 [n], increasing.
            tile_starts: id of the first sample of each tile, and their end, increasing.
            batch_size: samples in a batch.
            mixed_tiles: tiles of a lane that are shuffled together, 1 or more.
            seed: of the order.

        Raises:
            InputError: if there are no training samples, or a number is out of range.
        """
        steps_for_epochs(len(train_ids), batch_size, 1)  # checks both
        if mixed_tiles < 1:
            raise InputError(f"`mixed_tiles`={mixed_tiles}: give 1 or more")
        seeded_generator(seed)  # checks it
        self._ids, self._size, self._seed = np.asarray(train_ids, np.int32), batch_size, seed
        self._mixed = mixed_tiles
        bounds = np.searchsorted(self._ids, tile_starts)
        self._used = np.flatnonzero(np.diff(bounds))
        self._starts, self._counts = bounds[self._used], np.diff(bounds)[self._used]
        most = min(MAX_LANES, len(self._ids))
        self.lanes = max(k for k in range(1, most + 1) if batch_size % k == 0)
        # A lane changes its epoch and its mixture now and then, and none at once with another.
        self._epoch = lru_cache(4)(self._draw_epoch)
        self._mixture = lru_cache(3 * self.lanes)(self._draw_mixture)

    def batch_ids(self, step: int) -> np.ndarray:
        """The samples of a step, int32 [batch size]; lane l has the l-th part of them."""
        return np.concatenate([self._of_lane(lane, step) for lane in range(self.lanes)])

    def _bounds(self, lane: int) -> tuple[int, int]:
        """Where a lane begins and ends in the order of an epoch."""
        total = len(self._ids)
        return lane * total // self.lanes, (lane + 1) * total // self.lanes

    def _place(self, lane: int, step: int) -> tuple[int, int]:
        """The epoch of a lane at a step, and how many of its samples it has had."""
        first, last = self._bounds(lane)
        return divmod(step * (self._size // self.lanes), last - first)

    def _of_lane(self, lane: int, step: int) -> np.ndarray:
        epoch, place = self._place(lane, step)
        first, last = self._bounds(lane)
        parts, missing = [], self._size // self.lanes
        place += first
        while missing:
            begin, mixture = self._mixture(epoch, lane, self._mix_at(epoch, lane, place))
            part = mixture[place - begin : place - begin + missing]
            parts.append(part)
            missing -= len(part)
            place += len(part)
            if place == last:
                epoch, place = epoch + 1, first
        return np.concatenate(parts)

    def _draw_epoch(self, epoch: int) -> _Epoch:
        order = self._generator(_TILES, epoch).permutation(len(self._used))
        return _Epoch(order, np.concatenate([[0], np.cumsum(self._counts[order])]))

    def _lane_tiles(self, epoch: int, lane: int) -> range:
        """The places, in the order of an epoch, of the tiles that a lane has samples of."""
        ends = self._epoch(epoch).ends
        first, last = self._bounds(lane)
        start = bisect.bisect_right(ends, first) - 1
        return range(start, bisect.bisect_left(ends, last))

    def _mix_at(self, epoch: int, lane: int, place: int) -> int:
        """The number of the mixture that has a place of the order of an epoch."""
        tile = bisect.bisect_right(self._epoch(epoch).ends, place) - 1
        return (tile - self._lane_tiles(epoch, lane).start) // self._mixed

    def _pieces(self, epoch: int, lane: int, mix: int) -> Iterator[tuple[int, int, int]]:
        """The tiles of a mixture by their places, and which of the samples of each it has."""
        ends, (first, last) = self._epoch(epoch).ends, self._bounds(lane)
        tiles = self._lane_tiles(epoch, lane)
        for tile in tiles[mix * self._mixed : (mix + 1) * self._mixed]:
            begin, end = int(ends[tile]), int(ends[tile + 1])
            yield tile, max(begin, first) - begin, min(end, last) - begin

    def _draw_mixture(self, epoch: int, lane: int, mix: int) -> tuple[int, np.ndarray]:
        """Where a mixture begins in the order of its epoch, and its samples."""
        order, ends = self._epoch(epoch)
        parts, begin = [], None
        for tile, start, stop in self._pieces(epoch, lane, mix):
            number = order[tile]
            ids = self._ids[self._starts[number] :][: self._counts[number]]
            if stop - start < len(ids):  # the rest of this tile is of another lane
                ids = self._generator(_CUT, epoch, int(number)).permutation(ids)[start:stop]
            begin = int(ends[tile]) + start if begin is None else begin
            parts.append(ids)
        assert begin is not None  # a mixture has a tile
        mixed = self._generator(_MIX, epoch, lane, mix).permutation(np.concatenate(parts))
        return begin, mixed

    def _generator(self, *stream: int) -> np.random.Generator:
        sequence = np.random.SeedSequence(self._seed, spawn_key=stream)
        return np.random.Generator(np.random.PCG64(sequence))
