"""What lost devices cost a large cluster: survivors that finish the step, against a restart.

Losses are independent and as likely at any moment (a Poisson process). A device that is lost is
replaced after some time, until which the others do its work.
"""

import math
from dataclasses import dataclass

from hsi_jax.options import check_options, option

DAY = 86_400.0  # s


@dataclass(frozen=True)
class Losses:
    """How often devices are lost, and what that costs.

    Raises:
        InputError: on a value that cannot be used.
    """

    losses_per_device_day: float = option(
        0.0, "devices lost in a day, of each device; 0 models none", at_least=0, at_most=1e3
    )
    recovery_seconds: float = option(
        1.0,
        "from a loss to the end of its step, where survivors finish it (--engine=mpi); "
        "benchmarks.losses measures it",
        at_least=0,
        at_most=1e6,
    )
    restart_seconds: float = option(
        100.0, "from a loss to the first step after a restart", at_least=0, at_most=1e6
    )
    checkpoint_seconds: float = option(
        600.0, "between checkpoints, from which a restart begins", above=0, at_most=1e6
    )
    replace_seconds: float = option(
        3600.0, "until a lost device is replaced", at_least=0, at_most=1e8
    )

    def __post_init__(self):
        check_options(self)

    @property
    def per_device_second(self) -> float:
        """Losses of a device in a second."""
        return self.losses_per_device_day / DAY

    def goodput_finishing(self, devices: int) -> float:
        """The part of the time of all devices that trains, where survivors finish the step.

        A loss during a recovery begins it anew, so a recovery of r seconds takes
        (exp(a r) - 1) / a on average, at a losses a second, and there are a of them in each second
        of training.
        """
        rate = self.per_device_second * devices
        return self._present / _exp(rate * self.recovery_seconds)

    def goodput_restarting(self, devices: int) -> float:
        """The same where all start again from a checkpoint, which itself costs nothing here.

        With a losses a second, restarts of R and checkpoints every C seconds, C seconds of training
        take exp(a R) (exp(a C) - 1) / a (Daly, 2006, https://doi.org/10.1016/j.future.2004.11.016).
        """
        rate = self.per_device_second * devices
        interval = rate * self.checkpoint_seconds
        if not interval:
            return self._present
        return self._present * interval / _exp(rate * self.restart_seconds) / _expm1(interval)

    @property
    def _present(self) -> float:
        """The part of its time in which a device is there."""
        return 1 / (1 + self.per_device_second * self.replace_seconds)


def _exp(exponent: float) -> float:
    return math.exp(exponent) if exponent < 700 else math.inf


def _expm1(exponent: float) -> float:
    return math.expm1(exponent) if exponent < 700 else math.inf
