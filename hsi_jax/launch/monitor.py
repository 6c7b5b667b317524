"""What a launcher does while its processes run: it shows their output and throttles them."""

import contextlib
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from hsi_jax.launch.slowdown import Slowdown
from hsi_jax.launch.throttle import Throttle
from hsi_jax.run.records import Start, Step, read_records


class Tail:
    """Reads a file as it grows, like `tail -f`. The file may appear later or be written anew.

    Args:
        path: of the file.
        skip: whether to leave out what the file holds already.
    """

    def __init__(self, path: Path, skip: bool = False):
        self._path = path
        self._offset = path.stat().st_size if skip and path.exists() else 0

    def read_lines(self) -> list[str]:
        """The lines that were completed since the last call."""
        if not self._path.exists():
            return []
        if self._path.stat().st_size < self._offset:
            self._offset = 0
        with open(self._path, "rb") as file:
            file.seek(self._offset)
            added = file.read()
        complete = added[: added.rfind(b"\n") + 1]
        self._offset += len(complete)
        return complete.decode(errors="replace").splitlines()


class Monitor:
    """Shows what rank 0 prints and how far it is, and throttles. Call it about 20 times a second.

    Args:
        output: what rank 0 prints.
        metrics: metrics.jsonl of the run; the throttle begins with its first new step.
        throttle: of all processes at work, not yet begun.
        stack: ends the throttle and the progress bar.
        slowdowns: of processes at certain steps.

    Attributes:
        throttled: whether the throttle has begun.
    """

    def __init__(
        self,
        output: Tail,
        metrics: Tail,
        *,
        throttle: Throttle,
        stack: contextlib.ExitStack,
        slowdowns: Sequence[Slowdown],
    ):
        self.throttled = False
        self._output = output
        self._metrics = metrics
        self._throttle = throttle
        self._stack = stack
        self._slowdowns = slowdowns
        self._bar: tqdm | None = None

    def __call__(self) -> None:
        """Does what is due now."""
        self.show()
        for record in read_records(self._metrics.read_lines()):
            if isinstance(record, Start):
                # The bars of the processes go to their logs. None: on a terminal only.
                bar = tqdm(total=record.num_steps, unit="step", desc="training", disable=None)
                self._bar = self._stack.enter_context(bar)
            elif isinstance(record, Step):
                self._begin()
                self._slow_down(record.step)
                if self._bar is not None:
                    self._bar.update()

    def show(self) -> None:
        """Prints what rank 0 has printed."""
        for line in self._output.read_lines():
            tqdm.write(line)  # above the bar
            sys.stdout.flush()

    def _begin(self) -> None:
        # Importing and compiling at a sixteenth of a core would exceed every time limit.
        if not self.throttled:
            self._stack.enter_context(self._throttle)
            self.throttled = True

    def _slow_down(self, step: int) -> None:
        for rank in {slowdown.rank for slowdown in self._slowdowns}:
            own = (slowdown for slowdown in self._slowdowns if slowdown.rank == rank)
            factor = math.prod(slowdown.factor_at(step) for slowdown in own)
            self._throttle.set_slowdown(rank, factor)
