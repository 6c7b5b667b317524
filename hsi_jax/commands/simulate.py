"""Predicts what large clusters would gain: `python -m experiments.simulate --help`."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hsi_jax.command_line import fail, help_text, parse_options
from hsi_jax.errors import HsiJaxError, InputError, LostWorkerError
from hsi_jax.hetero.profile import RELATIVE_TIME, Profile, parse_profile
from hsi_jax.hetero.simulation import ALL_REDUCES, Network, in_seconds
from hsi_jax.options import check_options, defaults, group, option, values
from hsi_jax.run.figure_file import FIGURE_CHOICES, parse_figure_formats
from hsi_jax.run.lock import locked, new_folder
from hsi_jax.simulation import check as simulation_check
from hsi_jax.simulation.losses import Losses
from hsi_jax.simulation.report import format_table, write
from hsi_jax.simulation.sweep import Sweep, simulate

MAX_DEVICES = 100_000
MAX_NUMBER = 10**12  # of samples or parameters
DEFAULT_BATCH = {"strong": 65536, "weak": 256}

USAGE = """\
Predicts, on paper, the step of clusters that are too large to try: time, gain over even shares and
utilisation, from measured speeds and a model of the all-reduce. Nothing is trained.

  python -m experiments.simulate --profile=runs/NAME/profile.json --parameters=220000
  python -m experiments.simulate --profile=4:2:1:1 --unit_seconds=0.01 --parameters=220000 \\
      --scaling=weak --batch_per_device=256 --devices=8,64,512,4096 --bandwidth_gbps=100

A cluster is modelled twice: with copies of the profile's devices, in turn; and with two kinds, the
profile's fastest device and one that is slower by each of --ratios, of which there is each of
--slow_fractions. Every figure that is not an input is called modelled_.
With --losses_per_device_day it also compares what lost devices cost where survivors finish the step
and where all start again from a checkpoint.

  python -m experiments.simulate --check

starts 2, 3 and 4 processes here, on at most two cores, measures their speeds, their all-reduce and
their steps, and prints how far the model is off. It takes some minutes of a quiet machine.
"""


@dataclass(frozen=True)
class SimulateOptions:
    """What is to be simulated.

    Raises:
        InputError: on a value that cannot be used, or any two that contradict each other.
    """

    profile: str | None = option(
        None,
        "a measured run's profile.json; or speeds, a preset, a .json file",
        kind=str,
        path=True,
        heading="Cluster",
    )
    unit_seconds: float | None = option(
        None,
        f"seconds of the profile's unit of time ({RELATIVE_TIME}), where that is not s",
        kind=float,
        at_least=1e-12,
        heading="Cluster",
    )
    devices: tuple[str, ...] = option(
        ("8", "32", "128", "512", "2048"), "sizes of the clusters", heading="Cluster"
    )
    ratios: tuple[str, ...] = option(
        ("1", "2", "4", "8", "16"),
        "two kinds: speed of the fast by that of the slow",
        heading="Cluster",
    )
    slow_fractions: tuple[str, ...] = option(
        ("0.125", "0.25", "0.5", "0.75"),
        "two kinds: part of the devices that is slow",
        heading="Cluster",
    )
    bandwidth_gbps: float = option(
        10.0, "Gbit/s of a device, each way", at_least=1e-6, at_most=1e12, heading="Network"
    )
    latency_us: float = option(
        50.0, "microseconds of a message", at_least=0, at_most=1e12, heading="Network"
    )
    all_reduce: str = option(
        "best",
        "how sums travel, the best being chosen for each size: ring (Patarasu and Yuan 2009), "
        "recursive doubling or halving (Thakur, Rabenseifner and Gropp 2005)",
        choices=("best", *ALL_REDUCES),
        heading="Network",
    )
    devices_per_process: int = option(
        1,
        "devices of a process, whose sums are added there, at no modelled cost, before it sends",
        at_least=1,
        at_most=MAX_DEVICES,
        heading="Network",
    )
    parameters: int | None = option(
        None,
        "parameters of the model, as a run prints them",
        kind=int,
        at_least=1,
        at_most=MAX_NUMBER,
        heading="Training",
    )
    scaling: str = option(
        "strong",
        "whether the batch stays or grows with the devices",
        choices=tuple(DEFAULT_BATCH),
        heading="Training",
    )
    batch_size: int | None = option(
        None,
        f"samples of a step, with --scaling=strong; default {DEFAULT_BATCH['strong']}",
        kind=int,
        at_least=1,
        at_most=MAX_NUMBER,
        heading="Training",
    )
    batch_per_device: int | None = option(
        None,
        f"samples for each device, with --scaling=weak; default {DEFAULT_BATCH['weak']}",
        kind=int,
        at_least=1,
        at_most=MAX_NUMBER,
        heading="Training",
    )
    microbatch_size: int = option(
        16,
        "samples, as they were when the profile was measured",
        at_least=1,
        at_most=MAX_NUMBER,
        heading="Training",
    )
    losses: Losses = group(Losses, "Losses")
    workdir: str = option(
        "",
        "folder of modelled.csv and the picture; default runs/ and the time",
        path=True,
        heading="Output",
    )
    figures: str = option("png", f"formats of the picture, {FIGURE_CHOICES}", heading="Output")
    check: bool = option(
        False, "measure here instead, and compare with the model", heading="Output"
    )

    def __post_init__(self):
        check_options(self)
        parse_figure_formats(self.figures)
        if self.check:
            self._check_alone()
            return
        for name in ("profile", "parameters"):
            if getattr(self, name) is None:
                raise InputError(
                    f"--{name} is missing; python -m experiments.simulate --help tells it"
                )
        unused = {"strong": "batch_per_device", "weak": "batch_size"}[self.scaling]
        if getattr(self, unused) is not None:
            raise InputError(f"--{unused} does not go with --scaling={self.scaling}; leave it out")

    def _check_alone(self) -> None:
        unset = defaults(SimulateOptions)
        for name, value in values(self).items():
            if name != "check" and value != unset[name]:
                raise InputError(f"--{name} does not go with --check; leave it out")


def sweep_of(options: SimulateOptions) -> Sweep:
    """What is to be simulated.

    Raises:
        InputError: on a value that cannot be used.
    """
    given = {"strong": options.batch_size, "weak": options.batch_per_device}[options.scaling]
    return Sweep(
        profile=_parse_profile(options),
        device_counts=_numbers(options, "devices", int, minimum=1, maximum=MAX_DEVICES),
        slow_fractions=_numbers(options, "slow_fractions", float, minimum=0, maximum=1),
        ratios=_numbers(options, "ratios", float, minimum=1, maximum=1e6),
        scaling=options.scaling,
        batch_size=DEFAULT_BATCH[options.scaling] if given is None else given,
        microbatch_size=options.microbatch_size,
        parameters=options.parameters or 0,  # the options have checked that it is there
        network=Network(
            latency=options.latency_us / 1e6,
            bandwidth=options.bandwidth_gbps * 1e9 / 8,
            all_reduce=options.all_reduce,
            devices_per_process=options.devices_per_process,
        ),
        losses=options.losses,
    )


def _parse_profile(options: SimulateOptions) -> Profile:
    profile = parse_profile(options.profile or "")
    if profile.time_unit == "s":
        if options.unit_seconds is not None:
            raise InputError("--unit_seconds: the profile is in seconds already; leave it out")
        return profile
    if options.unit_seconds is None:
        raise InputError(
            f"--profile={options.profile} has times in units of {profile.time_unit!r}; say how "
            f"many seconds that is by --unit_seconds, or give the profile.json of a measured run"
        )
    return in_seconds(profile, options.unit_seconds)


def choose_workdir(text: str, formats: Sequence[str] = ("png",)) -> Path:
    """The folder of the results, which are a table and a picture in each of the formats.

    Raises:
        InputError: if it holds results already or cannot be written.
    """
    folder = Path(text or new_folder(f"runs/modelled-{datetime.now():%Y%m%d-%H%M%S}"))
    pictures = ("modelled", "modelled_goodput")
    names = [f"{name}.{suffix}" for name in pictures for suffix in formats]
    for name in ("modelled.csv", *names):
        if (folder / name).exists():
            raise InputError(f"--workdir={folder} already holds {name}; choose another folder")
    nearest = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"--workdir={folder} cannot be written; choose another folder")
    return folder


def _numbers(
    options: SimulateOptions, name: str, kind: Callable, *, minimum: float, maximum: float
) -> tuple:
    """The different numbers of a list option, in order."""
    texts = getattr(options, name)
    try:
        values = [kind(text) for text in texts]
    except ValueError:
        raise InputError(
            f"--{name}={','.join(texts)}: give numbers between commas, such as 8,16"
        ) from None
    for value in values:
        if not minimum <= value <= maximum:
            raise InputError(
                f"--{name}: {value:g} is not possible; give {minimum:g} to {maximum:g}"
            )
    return tuple(sorted(set(values)))


def simulate_help() -> str:
    """How to use the program, and its flags."""
    return help_text(USAGE, SimulateOptions)


def main(argv: Sequence[str]) -> None:
    """Simulates what the flags say."""
    try:
        options = parse_options(argv, SimulateOptions, simulate_help)
        if options.check:
            simulation_check.check()
            return
        formats = parse_figure_formats(options.figures)
        sweep, folder = sweep_of(options), choose_workdir(options.workdir, formats)
        with locked(folder, fresh=not options.workdir):
            choose_workdir(str(folder), formats)  # what another process may have left meanwhile
            clusters, mixtures = simulate(sweep)
            write(folder, sweep, clusters, mixtures, formats=formats)
    except (LostWorkerError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except HsiJaxError as error:
        fail(error)
    print(format_table(clusters))
    print(f"\nResults, with the clusters of two kinds: {folder}")
