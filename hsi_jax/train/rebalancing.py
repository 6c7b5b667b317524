"""When the devices are timed during training, and what became of it."""

from dataclasses import dataclass, field

import numpy as np

from hsi_jax.hetero import Plan
from hsi_jax.hetero.controller import Controller


@dataclass
class Rebalancing:
    """The scheme `adaptive`: times one step in `every` and moves shares when that pays.

    Attributes:
        controller: decides from gathered times alone, so that every process decides alike.
        every: steps from one timed step to the next.
        records: of each timed step its number, each device's time in seconds, and the shares from
            then on.
    """

    controller: Controller
    every: int
    records: list[dict] = field(default_factory=list)

    def is_due(self, step: int) -> bool:
        """Whether this step is timed."""
        return (step + 1) % self.every == 0

    def observe(self, step: int, plan: Plan, seconds: np.ndarray) -> Plan:
        """The plan for the steps to come, given the devices' times in this one."""
        new = self.controller.observe(plan.shares, seconds) or plan
        record = {"step": step, "device_seconds": seconds.tolist(), "shares": list(new.shares)}
        self.records.append(record)
        return new
