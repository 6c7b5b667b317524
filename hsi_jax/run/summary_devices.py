"""The parts of a summary that tell of devices, and of the time of steps."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class TimedStep:
    """A step in which each device was timed.

    Attributes:
        step: its number, from 0.
        device_seconds: measured time of each device's own microbatches, s.
        shares: microbatches of each device from then on.
    """

    step: int
    device_seconds: list[float]
    shares: list[int]


@dataclass(frozen=True, kw_only=True)
class TimelineStep:
    """When each process did what in a timed step, s since the first time stamp of the run.

    Attributes:
        step: its number, from 0.
        began: start of the process's own work, [processes].
        worked: end of it.
        ended: end of the step.
        phases: s that each took for "reading", "computing", "waiting", "sum" and "update".
    """

    step: int
    began: list[float]
    worked: list[float]
    ended: list[float]
    phases: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MeasuredStep:
    """Where the time of a step of several processes went: medians of the timed steps, ms.

    Attributes:
        names: of the devices, or of the processes where they have several, [processes].
        own_work_ms: of each one's own microbatches, [processes].
        waiting_ms: after them, until the last one had done its own, [processes].
        sum_and_update_ms: from then on.
        step_ms: from the first beginning to the last end.
        timed_steps: how many.
        phases_ms: of each phase (see `TimelineStep`), [processes].
    """

    names: tuple[str, ...]
    own_work_ms: tuple[float, ...]
    waiting_ms: tuple[float, ...]
    sum_and_update_ms: float
    step_ms: float
    timed_steps: int
    phases_ms: dict[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class MeasuredEven:
    """Steps by even shares and by those of the run in turn, before the training; medians, ms.

    Attributes:
        even_ms: of a step by even shares.
        own_ms: of a step by the run's first shares.
        even_shares: microbatches of each device.
        own_shares: microbatches of each device.
        repeats: steps of each.
    """

    even_ms: float
    own_ms: float
    even_shares: tuple[int, ...]
    own_shares: tuple[int, ...]
    repeats: int

    @property
    def speedup(self) -> float | None:
        """How many times as fast the run's own shares were; None where they are even shares."""
        return self.even_ms / self.own_ms if self.own_shares != self.even_shares else None


@dataclass(frozen=True, kw_only=True)
class ModelledTimes:
    """What the profile says a step takes.

    Times with even shares are None where a memory cap forbids them; those of devices are of own
    work. `modelled_communication` is the measured time of sum and update, included where known.
    """

    modelled_step_time: float
    modelled_speedup_over_even: float | None
    modelled_time_unit: str
    modelled_device_times: tuple[float, ...]
    modelled_device_times_even: tuple[float, ...] | None
    modelled_communication: float | None = None


@dataclass(frozen=True, kw_only=True)
class DeviceSummary:
    """A device: where it is and what it did.

    Attributes:
        name: as in the profile.
        process: number of its process.
        kind: as JAX calls it, such as "cpu" or "NVIDIA A100".
        microbatches: that it has done since the start or the last resumption.
        part: of all of these.
        modelled_step_time_without: what `modelled_step_time` would be without it, all at the end of
            the run; None where the others could not do it.
    """

    name: str
    process: int
    kind: str
    microbatches: int
    part: float
    modelled_step_time_without: float | None


@dataclass(frozen=True, kw_only=True)
class Straggler:
    """The device for which the others have waited longest, by the timed steps alone.

    Attributes:
        device: its number.
        name: as in the profile.
        waited_seconds: how long half of the others at least waited for it, over all timed steps.
        timed_steps: steps in which the devices were timed.
        slow_steps: those of them in which the others waited for it.
        since_step: the timed step from which on, without a break, they waited for it longest.
        until_step: the last one of these.
        phase: in which it lost most: "reading", "computing" or "update"; and how much, s.
    """

    device: int
    name: str
    waited_seconds: float
    timed_steps: int
    slow_steps: int
    since_step: int
    until_step: int
    phase: str = "computing"
    phase_seconds: float | None = None


@dataclass(frozen=True)
class LostProcess:
    """A process that was lost while the others went on.

    Attributes:
        process: its number.
        step: the next complete step, number from 0; None where it was lost after the last one.
        seconds: from when the others noticed to the end of that step, s.
    """

    process: int
    step: int | None
    seconds: float | None
