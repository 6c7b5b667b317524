"""Shares that follow the devices' speeds while training runs (scheme `adaptive`)."""

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace
from statistics import median, median_high

import numpy as np

from hsi_jax.errors import InputError
from hsi_jax.hetero.plan import Plan, make_plan
from hsi_jax.hetero.profile import Profile

WINDOW = 7  # measurements of a device whose median counts
ENOUGH = WINDOW // 2 + 1  # of them, before which a device counts as it was known
MOST_DEVIATION = 0.9  # of a pace, which stays above 0


@dataclass(eq=False)
class Controller:
    """Decides from measured times when the shares of a batch change, and to what.

    Every device has a *pace*: how fast it is compared with the first guess. A device of pace p
    takes t(n) = (a + n / s) / p, with fixed cost a and speed s of the guess. So the pace slows all
    work of a device alike, and an error of 5 % in a time is an error of 5 % in the pace, however
    small the share is. The unit of time of the guess does not matter.

    *Measuring.* The pace is the median of the last 7 measured ones; until there are 4, it stays as
    it was known. Times that are not finite and positive are ignored.

    *Noise.* A pace lies between the neighbours of that median among the measured ones, or within
    their median absolute deviation, or within +-dead_band, whichever is widest. So a machine that
    is busy with other programs widens the band by itself.

    *Deciding.* Shares change only if the step becomes shorter even where the devices are as fast as
    they may be now, and as slow as they may be then. With a dead band of 5 % and no more noise that
    is a gain of 9.5 %. `hysteresis` measurements in a row must agree. So a lasting change moves
    shares by the sixth measurement, and no four outliers among seven do. While all paces agree
    within their bounds, the devices are as guessed, and the shares go back to those of the guess
    unless that would lose more than dead_band. So, if the guess is right, noise up to +-dead_band
    never moves shares.

    *Devices without work* cannot be measured. At each observation their pace moves a fraction, the
    device's trust, of the way to the best median pace of the working devices so far (1 if the
    guess is right, in its unit), until they are worth a trial. Trust starts at 1 and is halved
    whenever the device loses its last work. It is 1 again once the device is measured as good as
    the best, apart from noise. So a device that stays slow is tried less and less often.

    Decisions are a pure function of the state, the shares and the seconds. They use only
    arithmetic that IEEE 754 rounds alike everywhere, so ranks on different hardware agree as well.

    Attributes:
        guess: the devices as measured or declared before training.
        batch_size: B >= 1.
        microbatch_size: m >= 1.
        dead_band: relative error of a measured time that always counts as noise, from 0 to below 1.
        hysteresis: measurements in a row that must agree on a change, >= 1.
        settled: whether the last measurements agreed with the estimate, apart from noise, and
            neither moved shares nor asked for it; if not, it is worth measuring again soon.

    Raises:
        InputError: for values outside these ranges.
    """

    guess: Profile
    batch_size: int
    microbatch_size: int
    _: KW_ONLY
    dead_band: float = 0.05
    hysteresis: int = 2

    def __post_init__(self):
        if not 0 <= self.dead_band < 1:
            raise InputError(f"`dead_band`={self.dead_band}: give a number from 0 to below 1")
        if self.hysteresis < 1:
            raise InputError(f"`hysteresis`={self.hysteresis}: give a whole number >= 1")
        self._home = self._divide(self.guess)
        self._paces = [1.0] * len(self.guess)
        self._recent: list[list[float]] = [[] for _ in self.guess.devices]
        self._trusts = [1.0] * len(self.guess)
        self._best = 0.0  # nothing measured yet
        self._agreeing = 0
        self.settled = True

    @classmethod
    def from_state(cls, state: dict, *args, **kwargs) -> "Controller":
        """A controller that goes on where `state()` was taken.

        Args:
            state: a value of `state()`; older ones, without `recent`, begin to measure anew.
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
        controller._recent = [list(p) for p in state.get("recent", controller._recent)]
        controller._trusts = list(state["trusts"])
        controller._best = state["best"]
        controller._agreeing = state["agreeing"]
        return controller

    def state(self) -> dict:
        """The state for a checkpoint: a dictionary of floats, integers and lists of them."""
        return {
            "paces": list(self._paces),
            "recent": [list(paces) for paces in self._recent],
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
        as_expected = all(
            abs(pace - self._paces[index]) <= self._error(index) for index, pace in measured.items()
        )
        for index, pace in measured.items():
            recent = self._recent[index] = [*self._recent[index], pace][-WINDOW:]
            if len(recent) >= ENOUGH:
                self._paces[index] = median(recent)
        self._remember_best([i for i in measured if len(self._recent[i]) >= ENOUGH])
        for index, share in enumerate(shares):
            if share == 0:
                self._recent[index] = []
                pace, best = self._paces[index], self._best or self._paces[index]
                self._paces[index] += self._trusts[index] * (best - pace)
        return as_expected

    def _remember_best(self, known: list[int]) -> None:
        """The best median pace so far, and who is as good, of the devices measured well enough."""
        if known:
            self._best = max(self._best, median_high(self._paces[index] for index in known))
        for index in known:
            if self._bounds(index)[1] >= self._best * (1 - self.dead_band):
                self._trusts[index] = 1.0

    def _error(self, index: int) -> float:
        """By how much measured paces of a device differ from its own through noise, usually."""
        recent, pace = self._recent[index], self._paces[index]
        deviation = 0.0
        if len(recent) >= ENOUGH:
            deviation = median(abs(other - pace) for other in recent)
        return max(self.dead_band * pace, min(deviation, MOST_DEVIATION * pace))

    def _bounds(self, index: int) -> tuple[float, float]:
        """Between which paces a device's own lies, as far as noise lets us know; both above 0."""
        pace, error = self._paces[index], self._error(index)
        recent, neighbours = sorted(self._recent[index]), [pace]
        if len(recent) >= ENOUGH:
            neighbours = recent[(len(recent) - 1) // 2 - 1], recent[len(recent) // 2 + 1]
        return min(*neighbours, pace - error), max(*neighbours, pace + error)

    def _decide(self, shares: tuple[int, ...]) -> Plan | None:
        estimate, bounds = self.profile, [self._bounds(index) for index in range(len(shares))]
        if max(low for low, _ in bounds) <= min(high for _, high in bounds):
            plan, slow = self._home, self._paces
            fast = [pace / (1 + self.dead_band) for pace in self._paces]
        else:
            plan = self._divide(estimate)
            slow, fast = zip(*bounds, strict=True)
        plan_time = self._step_time(plan.shares, slow)
        if plan.shares == shares or plan_time > self._step_time(shares, fast):
            self._agreeing = 0
            return None
        self._agreeing += 1
        if self._agreeing < self.hysteresis:
            return None
        self._agreeing = 0
        for index, (old, share) in enumerate(zip(shares, plan.shares, strict=True)):
            if old > 0 and share == 0:
                self._trusts[index] /= 2
        return plan

    def _step_time(self, shares: tuple[int, ...], paces: Sequence[float]) -> float:
        times = zip(self.guess.times(shares), shares, paces, strict=True)
        return max(time / pace for time, share, pace in times if share > 0)

    def _divide(self, profile: Profile) -> Plan:
        return make_plan("adaptive", profile, self.batch_size, self.microbatch_size)
