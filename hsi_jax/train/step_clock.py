"""Where the time of a timed step goes, by the clock of one process."""

import time
from collections.abc import Sequence

import numpy as np

from hsi_jax.cluster.exchange import gather

READING, COMPUTING, WAITING, SUM, UPDATE = "reading", "computing", "waiting", "sum", "update"
PHASES: tuple[str, ...] = (READING, COMPUTING, WAITING, SUM, UPDATE)


class StepClock:
    """Measures the phases of a step as they end, one after the other.

    A process has met the others before they add, so that waiting for a slow one does not look like
    a slow sum.

    Attributes:
        start: when the step began, by `time.perf_counter`.
        seconds: of each phase so far.
    """

    def __init__(self):
        """Begins a step."""
        self._began, self.start = time.time(), time.perf_counter()
        self._last = self.start
        self.seconds: dict[str, float] = dict.fromkeys(PHASES, 0.0)

    def ends(self, phase: str) -> None:
        """Counts the time since the last phase for this one."""
        now = time.perf_counter()
        self.seconds[phase] += now - self._last
        self._last = now

    @property
    def stamp(self) -> tuple[float, float, float]:
        """When the step began, had done its own work, and ended, by `time.time`, s."""
        worked = self._began + self.seconds[COMPUTING]
        return self._began, worked, self._began + self._last - self.start


def gather_phases(clocks: Sequence[StepClock]) -> np.ndarray:
    """The times of all processes, s, float32 [timed steps, processes, phases], as of `PHASES`.

    Every process must call it. Those of processes that were lost are 0.
    """
    own = [[clock.seconds[phase] for phase in PHASES] for clock in clocks]
    return np.moveaxis(gather(np.array(own, np.float32).reshape(-1, len(PHASES))), 1, 0)
