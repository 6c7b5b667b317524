"""Shares that follow the devices' speeds while training runs (scheme `adaptive`)."""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from statistics import median_high

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.hetero.plan import Plan, make_plan
from hsi_jax.hetero.profile import Profile

JUMP = 1.5  # a measurement that differs by more than this factor is a change of speed, not noise
LARGE_GAIN = 0.3  # relative gain in step time for which one measurement is enough


@dataclass(eq=False)
class Controller:
    """Decides from measured times when the shares of a batch change, and to what.

    Every device has a *pace*: how fast it is compared with the first guess. A device of pace p
    takes t(n) = (a + n / s) / p, with fixed cost a and speed s of the guess. So the pace slows all
    work of a device alike, and an error of 5 % in a time is an error of 5 % in the pace, however
    small the share is. The unit of time of the guess does not matter.

    *Measuring.* A new pace is averaged with the old one, with weight `smoothing`, unless they
    differ by more than the factor 1.5: then the device has changed and the new pace is taken as
    it is. Times that are not finite and positive are ignored.

    *Deciding.* Shares change only if the modelled step time becomes shorter by more than errors of
    +-dead_band in the times can explain: 1 - (1 - dead_band) / (1 + dead_band), or 9.5 % for the
    default of 5 %. `hysteresis` measurements in a row must agree; one is enough if the gain
    exceeds 30 %. While all paces agree within that band, the devices are as guessed, and the
    shares go back to those of the guess unless that would lose more than dead_band. So, if the
    guess is right, noise up to +-dead_band never moves shares.

    *Devices without work* cannot be measured. At each observation their pace moves a fraction, the
    device's trust, of the way to the best median pace of the working devices so far (1 if the
    guess is right, in its unit), until they are worth a trial. Trust starts at 1 and is halved
    whenever the device loses its last work. It is 1 again once the device is measured as good as
    the best, apart from noise. So a device that stays slow is tried less and less often.

    *A single outlier* of, say, ten times the usual time moves the shares at once. They are back
    by the second normal measurement, or, if a device lost all its work, by the sixth.

    Decisions are a pure function of the state, the shares and the seconds. They use only
    arithmetic that IEEE 754 rounds alike everywhere, so ranks on different hardware agree as well.

    Attributes:
        guess: the devices as measured or declared before training.
        batch_size: B >= 1.
        microbatch_size: m >= 1.
        smoothing: weight of a new measurement, above 0, at most 1.
        dead_band: relative error of a measured time that counts as noise, from 0 to below 1.
        hysteresis: measurements in a row that must agree on a change with a gain of at most 30 %,
            >= 1.
        settled: whether the last measurements agreed with the estimate, apart from noise, and
            neither moved shares nor asked for it; if not, it is worth measuring again soon.

    Raises:
        InputError: for values outside these ranges.
    """

    guess: Profile
    batch_size: int
    microbatch_size: int
    _: KW_ONLY
    smoothing: float = 0.5
    dead_band: float = 0.05
    hysteresis: int = 2

    def __post_init__(self):
        if not 0 < self.smoothing <= 1:
            raise InputError(f"`smoothing`={self.smoothing}: give a number above 0, at most 1")
        if not 0 <= self.dead_band < 1:
            raise InputError(f"`dead_band`={self.dead_band}: give a number from 0 to below 1")
        if self.hysteresis < 1:
            raise InputError(f"`hysteresis`={self.hysteresis}: give a whole number >= 1")
        # Times of equal devices differ by up to this factor through noise alone.
        self._noise = (1 + self.dead_band) / (1 - self.dead_band)
        self._home = self._divide(self.guess)
        self._paces = [1.0] * len(self.guess)
        self._trusts = [1.0] * len(self.guess)
        self._best = 0.0  # nothing measured yet
        self._agreeing = 0
        self.settled = True

    @classmethod
    def from_state(cls, state: dict, *args, **kwargs) -> "Controller":
        """A controller that goes on where `state()` was taken.

        Args:
            state: a value of `state()`.
            *args: as for the class; with the same values, the same decisions follow.
            **kwargs: as for the class.

        Raises:
            InputError: if the state has another number of devices.
        """
        controller = cls(*args, **kwargs)
        if len(state["paces"]) != len(controller.guess):
            raise InputError(
                f"the state is of {len(state['paces'])} devices, but the profile has "
                f"{len(controller.guess)}; start a new controller"
            )
        controller._paces = list(state["paces"])
        controller._trusts = list(state["trusts"])
        controller._best = state["best"]
        controller._agreeing = state["agreeing"]
        return controller

    def state(self) -> dict:
        """The state for a checkpoint: a dictionary of floats, integers and lists of them."""
        return {
            "paces": list(self._paces),
            "trusts": list(self._trusts),
            "best": self._best,
            "agreeing": self._agreeing,
        }

    @property
    def profile(self) -> Profile:
        """The devices as estimated now."""
        devices = [
            replace(device, speed=device.speed * pace, fixed_cost=device.fixed_cost / pace)
            for device, pace in zip(self.guess.devices, self._paces, strict=True)
        ]
        return replace(self.guess, devices=tuple(devices))

    def observe(
        self, shares: Sequence[int] | np.ndarray, seconds: Sequence[float] | np.ndarray
    ) -> Plan | None:
        """Learns from the times of one step, and returns a new plan if it is worth it.

        Args:
            shares: microbatches of each device in that step, [devices].
            seconds: each device's time for its own work, without communication, [devices]; every
                rank must give the same numbers (all-gather them).

        Returns:
            The plan to go on with, of scheme `adaptive`, or None if the shares stay.

        Raises:
            ValueError: if shares or seconds are not one for each device.
        """
        if not len(shares) == len(seconds) == len(self.guess):
            raise ValueError(
                f"{len(shares)} shares and {len(seconds)} seconds for {len(self.guess)} devices"
            )
        own = tuple(int(share) for share in shares)
        expected = self._learn(own, [float(second) for second in seconds])
        plan = self._decide(own)
        self.settled = expected and plan is None and self._agreeing == 0
        return plan

    def _learn(self, shares: tuple[int, ...], seconds: list[float]) -> bool:
        """Updates the paces; returns whether the times were as expected, apart from noise."""
        measured = {
            index: expected / seconds[index]
            for index, expected in enumerate(self.guess.times(shares))
            if shares[index] > 0 and 0 < seconds[index] < math.inf
        }
        if not measured:
            return True
        self._best = max(self._best, median_high(measured.values()))
        for index, pace in measured.items():
            self._measure(index, pace)
        for index, share in enumerate(shares):
            if share == 0:
                self._paces[index] += self._trusts[index] * (self._best - self._paces[index])
        ratios = [pace / self._paces[index] for index, pace in measured.items()]
        return 1 - self.dead_band <= min(ratios) and max(ratios) <= 1 + self.dead_band

    def _measure(self, index: int, pace: float) -> None:
        before = self._paces[index]
        if max(pace, before) > JUMP * min(pace, before):
            self._paces[index] = pace
        else:
            self._paces[index] += self.smoothing * (pace - before)
        if pace * self._noise >= self._best:
            self._trusts[index] = 1.0

    def _decide(self, shares: tuple[int, ...]) -> Plan | None:
        estimate = self.profile
        if max(self._paces) <= self._noise * min(self._paces):
            plan, min_gain = self._home, -self.dead_band
        else:
            plan, min_gain = self._divide(estimate), 1 - 1 / self._noise
        gain = 1 - _step_time(estimate, plan.shares) / _step_time(estimate, shares)
        if plan.shares == shares or gain < min_gain:
            self._agreeing = 0
            return None
        self._agreeing += 1
        if self._agreeing < self.hysteresis and gain <= LARGE_GAIN:
            return None
        self._agreeing = 0
        for index, (old, new) in enumerate(zip(shares, plan.shares, strict=True)):
            if old > 0 and new == 0:
                self._trusts[index] /= 2
        return plan

    def _divide(self, profile: Profile) -> Plan:
        return make_plan("adaptive", profile, self.batch_size, self.microbatch_size)


def _step_time(profile: Profile, shares: tuple[int, ...]) -> float:
    times = zip(profile.times(shares), shares, strict=True)
    return max(time for time, share in times if share > 0)
