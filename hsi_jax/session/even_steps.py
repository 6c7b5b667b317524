"""Steps by even shares, timed before the training beside those of the run (`measure_even`)."""

import time

import numpy as np

from hsi_jax.cluster.exchange import gather
from hsi_jax.cluster.processes import barrier
from hsi_jax.hetero import Plan, deal, make_plan
from hsi_jax.run.summary_devices import MeasuredEven
from hsi_jax.session.setup import Setup
from hsi_jax.train import Hook
from hsi_jax.train.stepper import AnyStepper

REPEATS = 5


class EvenSteps(Hook):
    """Times steps by even shares and by the run's own in turn, on a copy of the first state.

    The copy is thrown away, so the training keeps its bits. Every process must take part.

    Attributes:
        measured: None before the step is compiled.
    """

    def __init__(self, setup: Setup, plan: Plan):
        """For a run whose first batch is divided by a plan."""
        self._setup, self._plan = setup, plan
        self.measured: MeasuredEven | None = None

    def on_compiled(self, stepper: AnyStepper) -> None:
        """See `Hook`."""
        setup, own = self._setup, self._plan
        even = make_plan("even", setup.profile, own.batch_size, own.microbatch_size)
        ids = setup.dataset.batches(setup.recipe)(0)
        live = setup.replicas.replicate(setup.state)
        seconds = np.zeros((REPEATS + 1, 2))
        for repeat in range(REPEATS + 1):  # the first one is not counted
            for number, plan in enumerate((even, own)):
                ready = setup.replicas.ready(deal(ids, plan))
                barrier()  # all begin together
                began = time.perf_counter()
                live, _ = stepper.step(live, ready)
                seconds[repeat, number] = time.perf_counter() - began
        # A step ends when the last process has ended it.
        slowest = gather(seconds[1:].astype(np.float32)).max(axis=0)
        even_ms, own_ms = (1e3 * np.median(slowest, axis=0)).tolist()
        self.measured = MeasuredEven(
            even_ms=even_ms,
            own_ms=own_ms,
            even_shares=even.shares,
            own_shares=own.shares,
            repeats=REPEATS,
        )
