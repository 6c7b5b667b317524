"""What the launcher does while the processes run."""

import contextlib
import json
import math
import sys
from collections.abc import Sequence

from tqdm import tqdm

from experiments.follower import Follower
from experiments.slowdown import Slowdown
from hsi_jax.hetero.throttle import Throttle


class Watch:
    """Shows what rank 0 prints, and throttles; to be called about 20 times a second."""

    def __init__(
        self,
        output: Follower,
        metrics: Follower,
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
        # Importing and compiling at a sixteenth of a core would outlast every time limit.
        if not self.throttled and self._metrics.has_changed():
            self._stack.enter_context(self._throttle)
            self.throttled = True
        for line in self._metrics.read_lines():
            record = json.loads(line)
            if record["kind"] == "start":
                # Those of the processes go to their logs. None: on a terminal only.
                bar = tqdm(total=record["num_steps"], unit="step", desc="training", disable=None)
                self._bar = self._stack.enter_context(bar)
            if record["kind"] == "step":
                self._slow_down(record["step"])
                if self._bar is not None:
                    self._bar.update()

    def show(self) -> None:
        """Prints what rank 0 has printed."""
        for line in self._output.read_lines():
            tqdm.write(line)  # above the bar
            sys.stdout.flush()

    def _slow_down(self, step: int) -> None:
        for rank in {slowdown.rank for slowdown in self._slowdowns}:
            mine = (slowdown for slowdown in self._slowdowns if slowdown.rank == rank)
            factor = math.prod(slowdown.factor_at(step) for slowdown in mine)
            self._throttle.set_slowdown(rank, factor)
