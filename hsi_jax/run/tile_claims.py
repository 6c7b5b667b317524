"""Who makes which tile, where any number of processes fill a store of tiles together.

They need nothing of each other but the folder: a claim is an empty file, and a file system lets
only one process make it. Whoever is faster comes back sooner for the next tile, so tiles are dealt
by the speed that processes have at that moment. When no tile is left, what others have not finished
is taken from them, the tile that was claimed last first, and whoever is done first counts. So all
finish together, and the tiles of a lost process are made by the others.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator

from hsi_jax.run.tile_store import CLAIMS, TileStore

DEAL, STEAL = 1, 2  # rounds; each tile can be claimed once in each
POLL_SECONDS = 0.05
PATIENCE_SECONDS = 30.0  # without news, after which tiles are claimed in one more round
BEAT_SECONDS = 2.0

_SIGNED = "signed-"


class TileClaims:
    """The claims of this process on the tiles of a store."""

    def __init__(self, store: TileStore):
        self._store, self._last_round = store, STEAL
        self._held: dict[int, str] = {}  # the files of tiles that are not made yet
        self._missing, self._news = -1, time.monotonic()

    def missing(self) -> set[int]:
        """The tiles that nobody has made yet; none where others have gone on to the end."""
        if self._store.is_gone():
            return set()
        missing = set(range(len(self._store.windows))) - self._store.done()
        if len(missing) != self._missing:
            self._missing, self._news = len(missing), time.monotonic()
        return missing

    def take(self) -> Iterator[int]:
        """Claims tiles, one each time, while there is one that can be claimed."""
        for number in sorted(self.missing()):
            if self._claim(number, DEAL):
                yield number
        for number in sorted(self.missing() - self._held.keys(), reverse=True):
            rounds = range(STEAL, self._last_round + 1)
            if not self._store.has(number) and any(self._claim(number, r) for r in rounds):
                yield number

    def wait(self) -> None:
        """Waits a little for others; where nothing is heard for long, another round may begin."""
        self._held.clear()  # what this process has claimed is made
        time.sleep(POLL_SECONDS)
        if self.missing() and time.monotonic() - self._news > PATIENCE_SECONDS:
            self._last_round, self._news = self._last_round + 1, time.monotonic()

    def release(self) -> None:
        """Gives back what this process has claimed and not made."""
        for number, name in self._held.items():
            if not self._store.has(number):
                (self._store.folder / CLAIMS / name).unlink(missing_ok=True)

    def sign(self, name: str) -> None:
        """Notes what this process computes with, such as "cpu"."""
        self._make(f"{_SIGNED}{name}")

    def signed(self) -> list[str]:
        """What those who have made the tiles have noted, sorted."""
        names = (path.name for path in (self._store.folder / CLAIMS).glob(f"{_SIGNED}*"))
        return sorted(name.removeprefix(_SIGNED) for name in names)

    @contextlib.contextmanager
    def joining(self) -> Iterator[bool]:
        """Whether this process is the one that uses the full store; otherwise waits for that one.

        It gives a sign of life all the while. Where that stays out, another process takes over.
        """
        number = 0
        while not self._make(f"join-{number}"):
            if not self._hear_of(f"join-{number}"):
                yield False
                return
            number += 1
        stop = threading.Event()
        sign = threading.Thread(target=self._beat, args=(f"join-{number}", stop), daemon=True)
        sign.start()
        try:
            yield True
        finally:
            stop.set()
            sign.join()

    def _claim(self, number: int, round_: int) -> bool:
        if not self._make(f"{number}-{round_}"):
            return False
        self._held[number] = f"{number}-{round_}"
        return True

    def _make(self, name: str) -> bool:
        """Makes a file that is not there; False where it is, or the folder is gone."""
        try:
            os.close(os.open(self._store.folder / CLAIMS / name, os.O_CREAT | os.O_EXCL))
        except (FileExistsError, FileNotFoundError):
            return False
        return True

    def _beat(self, name: str, stop: threading.Event) -> None:
        while not stop.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):  # the store is removed
                os.utime(self._store.folder / CLAIMS / name)

    def _hear_of(self, name: str) -> bool:
        """Waits while a file is touched; True where that stays out, False where all is gone."""
        last, heard = 0, time.monotonic()
        while not self._store.is_gone():
            with contextlib.suppress(FileNotFoundError):
                now = (self._store.folder / CLAIMS / name).stat().st_mtime_ns
                if now != last:  # clocks of machines differ, so only changes count
                    last, heard = now, time.monotonic()
            if time.monotonic() - heard > PATIENCE_SECONDS:
                return True
            time.sleep(POLL_SECONDS)
        return False
