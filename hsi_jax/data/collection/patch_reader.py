"""Cuts patches from cached tiles; what to do where a tile can no longer be read."""

import threading
from collections.abc import Callable

import numpy as np

from hsi_jax.data.collection.tile_cache import TileCache
from hsi_jax.data.collection.tile_reader import TileReader
from hsi_jax.errors import InputError

ON_UNREADABLE = ("stop", "skip")


class _Unreadable(Exception):
    """A tile could not be read.

    Attributes:
        tile: its number.
    """

    def __init__(self, tile: int, error: InputError):
        super().__init__(str(error))
        self.tile = tile


class PatchReader:
    """Reads the patches around samples, from tiles that are kept in a cache.

    Attributes:
        cache: of tiles.
        skipped: the tiles that could not be read, and why.
    """

    def __init__(
        self,
        reader: TileReader,
        train_ids: np.ndarray,
        *,
        cache_bytes: int,
        on_unreadable: str = "stop",
        tell: Callable[[str], object] = print,
    ):
        """Reads nothing yet.

        Args:
            reader: of tiles.
            train_ids: sample ids of the training pixels, increasing.
            cache_bytes: of tiles that are kept.
            on_unreadable: "stop" raises the error where a tile cannot be read. With "skip", the
                training pixels of the next tile that has some stand in for those of such a tile,
                which is told once; other pixels cannot be replaced, so they stop in any case.
            tell: called with a sentence.
        """
        self.cache = TileCache(reader.read, cache_bytes)
        self.skipped: dict[int, str] = {}
        self._reader, self._pixels = reader, reader.pixels
        self._skips, self._tell = on_unreadable == "skip", tell
        self._train, self._bounds = train_ids, np.searchsorted(train_ids, self._pixels.tile_starts)
        self._lock = threading.Lock()

    def read(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Patches around some samples, float32 [k, p, p, channels], and their labels, int32 [k].

        Any thread may call it.

        Raises:
            InputError: that names a row of the table, if a tile cannot be read.
        """
        while True:
            standing_in = self._standing_in(np.asarray(ids))
            try:
                return self._cut(standing_in), self._pixels.labels[standing_in]
            except _Unreadable as problem:
                self._skip(problem)

    def _cut(self, ids: np.ndarray) -> np.ndarray:
        size, channels = self._reader.patch_size, self._reader.preprocessing.num_channels
        patches = np.zeros((len(ids), size, size, channels), np.float32)
        if not len(ids):
            return patches
        tiles, rows, columns = self._pixels.places(ids)
        side = np.arange(size)
        for number in np.unique(tiles).tolist():
            here = np.flatnonzero(tiles == number)
            down = rows[here, np.newaxis, np.newaxis] + side[:, np.newaxis]
            across = columns[here, np.newaxis, np.newaxis] + side
            patches[here] = self._tile(number)[down, across]
        return patches

    def _tile(self, number: int) -> np.ndarray:
        try:
            return self.cache.get(number)
        except InputError as error:
            if not self._skips:
                raise
            raise _Unreadable(number, error) from error

    def _skip(self, problem: _Unreadable) -> None:
        with self._lock:
            known = problem.tile in self.skipped
            self.skipped[problem.tile] = str(problem)
        if not known:
            count = len(self._train_ids(problem.tile))
            self._tell(f"{count} training pixels are replaced by others from now on: {problem}")

    def _standing_in(self, ids: np.ndarray) -> np.ndarray:
        """The samples themselves, or those that stand in for them."""
        if not self.skipped:
            return ids
        tiles = self._pixels.tile_of(ids)
        standing_in = ids.copy()
        for number in np.intersect1d(tiles, [*self.skipped]).tolist():
            here = np.flatnonzero(tiles == number)
            own, other = self._train_ids(number), self._train_ids(self._next(number))
            places = np.searchsorted(own, ids[here])
            if not np.isin(ids[here], own).all():
                raise InputError(self.skipped[number])  # of validation or test
            standing_in[here] = other[places % len(other)]
        return standing_in

    def _next(self, number: int) -> int:
        """The next tile with training pixels that can be read, as far as is known."""
        used = np.flatnonzero(np.diff(self._bounds))
        left = np.roll(used, -np.searchsorted(used, number, "right")).tolist()
        for tile in left:
            if tile not in self.skipped:
                return tile
        raise InputError(self.skipped[number])

    def _train_ids(self, number: int) -> np.ndarray:
        return self._train[self._bounds[number] : self._bounds[number + 1]]
