"""When the devices are timed during training, and what became of it."""

from dataclasses import dataclass, field

import numpy as np

from hsi_jax.hetero import Plan
from hsi_jax.hetero.controller import Controller
from hsi_jax.hetero.plan import plan_of_shares

SOON = 2  # steps to the next timed step while the devices are not as expected
SETTLING = 10  # steps after a regular timed step in which that may be


@dataclass
class Rebalancing:
    """Times one step in `every` and, with a controller, moves shares when that pays.

    While the controller is not settled, the step after the next is timed as well, for at most
    `SETTLING` steps, so that shares follow a change of speed without waiting for `every` steps.

    Attributes:
        controller: decides from gathered times alone, so that every process decides alike; or
            None, to time the devices and keep their shares.
        every: steps from one regular timed step to the next.
        records: of each timed step its number, each device's time in seconds, and the shares from
            then on.
    """

    controller: Controller | None
    every: int
    records: list[dict] = field(default_factory=list)
    _again: int = -1

    def state(self, plan: Plan) -> dict:
        """What a checkpoint must hold for `resume`, as JSON can hold it."""
        return {
            "guess": self.controller.guess.to_json(),
            "shares": list(plan.shares),
            "controller": self.controller.state(),
            "records": list(self.records),
        }

    def resume(self, state: dict, plan: Plan) -> Plan:
        """Goes on where `state` was taken, if the guess of the devices is still the same.

        Other devices, or speeds measured anew, are a new beginning: nothing is taken over.

        Returns:
            The plan to go on with.
        """
        controller = self.controller
        if state["guess"] != controller.guess.to_json():
            return plan
        self.controller = Controller.from_state(
            state["controller"],
            controller.guess,
            controller.batch_size,
            controller.microbatch_size,
            controller.smoothing,
            controller.dead_band,
            controller.hysteresis,
        )
        self.records = list(state["records"])
        sizes = controller.batch_size, controller.microbatch_size
        return plan_of_shares("adaptive", controller.guess, *sizes, tuple(state["shares"]))

    def is_due(self, step: int) -> bool:
        """Whether this step is timed."""
        return (step + 1) % self.every == 0 or step == self._again

    def observe(self, step: int, plan: Plan, seconds: np.ndarray) -> Plan:
        """The plan for the steps to come, given the devices' times in this one."""
        new = plan
        if self.controller:
            new = self.controller.observe(plan.shares, seconds) or plan
            soon = (step + 1) % self.every + SOON <= SETTLING
            self._again = step + SOON if soon and not self.controller.settled else -1
        record = {"step": step, "device_seconds": seconds.tolist(), "shares": list(new.shares)}
        self.records.append(record)
        return new
