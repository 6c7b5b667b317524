"""Tiles in memory, up to a number of bytes; each is decoded once, however many threads want it."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np


class TileCache:
    """Keeps the tiles that were used last.

    Training goes through the tiles in an order in which the samples of a tile come near each other
    (`TileOrder`), so what was not used for long will not be used soon.

    Attributes:
        decoded: how many tiles have been read and decoded so far.
    """

    def __init__(self, read: Callable[[int], np.ndarray], max_bytes: int):
        """Makes an empty cache.

        Args:
            read: reads and decodes a tile by its number; any thread may call it.
            max_bytes: of the tiles that are kept; one that is in use is kept in any case.
        """
        self.decoded = 0
        self._read, self._max_bytes, self._bytes = read, max_bytes, 0
        self._held: OrderedDict[int, Future[np.ndarray]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, number: int) -> np.ndarray:
        """A tile; waits for a thread that is reading it already."""
        with self._lock:
            found, mine = self._held.get(number), Future()
            self._held[number] = found or mine
            self._held.move_to_end(number)
        return found.result() if found is not None else self._fill(number, mine)

    def _fill(self, number: int, future: "Future[np.ndarray]") -> np.ndarray:
        try:
            tile = self._read(number)
        except BaseException as error:
            with self._lock:
                del self._held[number]  # it may be there again later
            future.set_exception(error)
            raise
        with self._lock:
            self.decoded += 1
            self._bytes += tile.nbytes
            future.set_result(tile)
            self._evict(number)
        return tile

    def _evict(self, newest: int) -> None:
        """Forgets the tiles that were not used for longest; inside the lock."""
        for number in [*self._held]:
            if self._bytes <= self._max_bytes:
                return
            future = self._held[number]
            if number != newest and future.done():
                self._bytes -= future.result().nbytes
                del self._held[number]
