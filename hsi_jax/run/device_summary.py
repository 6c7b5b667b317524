"""What summary.json holds of each device; see `hsi_jax.run.summary`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DeviceSummary:
    """A device: where it is and what it did.

    Attributes:
        name: as in the profile.
        process: number of its process.
        kind: as JAX calls it, such as "cpu" or "NVIDIA A100".
        microbatches: that it has done since the start or the last resumption.
        part: of all of these.
        modelled_step_time_without: what the profile says a step would take without it, all at the
            end of the run; None where the others could not do it.
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
    """

    device: int
    name: str
    waited_seconds: float
    timed_steps: int
    slow_steps: int
    since_step: int
    until_step: int
