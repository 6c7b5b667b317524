"""Predicts what large clusters would gain: `python -m experiments.simulate --help`."""

import csv
import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from absl import flags

from benchmarks import simulation
from experiments.flags import fail
from experiments.sweep import Sweep, simulate
from hsi_jax.errors import InputError
from hsi_jax.evaluate.scaling import draw_scaling
from hsi_jax.hetero.profile import RELATIVE_TIME, Profile, parse_profile
from hsi_jax.hetero.simulation import ALL_REDUCES, Network, in_seconds
from hsi_jax.hetero.workers import WorkerError

MOST_DEVICES = 100_000
MOST_SAMPLES = 10**12
CHECK_REPEATS = 3
CHECK_STEPS = 30

_USAGE = """\
Predicts, on paper, the step of clusters that are too large to try: time, gain over even shares and
utilisation, from measured speeds and a model of the all-reduce. Nothing is trained.

  python -m experiments.simulate --profile=runs/NAME/profile.json --parameters=220000
  python -m experiments.simulate --profile=4:2:1:1 --unit_seconds=0.01 --parameters=220000 \\
      --scaling=weak --batch_per_device=256 --devices=8,64,512,4096 --bandwidth_gbps=100

A cluster is modelled twice: with copies of the profile's devices, in turn; and with two kinds, the
profile's fastest device and one that is slower by each of --ratios, of which there is each of
--slow_fractions. Every figure that is not an input is called modelled_.

  python -m experiments.simulate --check

starts 2, 3 and 4 processes here, on at most two cores, measures their speeds, their all-reduce and
their steps, and prints how far the model is off. It takes some minutes of a quiet machine, and
python -m benchmarks.simulation tells more of it.
"""

_TEXT, _INTEGER, _NUMBER = flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_float
_FLAGS = (
    (_TEXT, "profile", None, "a measured run's profile.json; or speeds, a preset, a .json file"),
    (
        _NUMBER,
        "unit_seconds",
        None,
        f"seconds of the profile's unit of time ({RELATIVE_TIME}), where that is not s",
    ),
    (_INTEGER, "parameters", None, "parameters of the model, as a run prints them"),
    (_TEXT, "devices", "8,32,128,512,2048", "sizes of the clusters"),
    (
        flags.DEFINE_enum,
        "scaling",
        "strong",
        "whether the batch stays or grows with the devices",
        ("strong", "weak"),
    ),
    (_INTEGER, "batch_size", 65536, "samples of a step, with --scaling=strong"),
    (_INTEGER, "batch_per_device", 256, "samples for each device, with --scaling=weak"),
    (_INTEGER, "microbatch_size", 16, "samples, as they were when the profile was measured"),
    (_NUMBER, "bandwidth_gbps", 10.0, "Gbit/s of a device, each way"),
    (_NUMBER, "latency_us", 50.0, "microseconds of a message"),
    (
        flags.DEFINE_enum,
        "all_reduce",
        "best",
        "how sums travel, the best being chosen for each size: ring (Patarasu and Yuan 2009), "
        "recursive doubling or halving (Thakur, Rabenseifner and Gropp 2005)",
        ("best", *ALL_REDUCES),
    ),
    (_TEXT, "ratios", "1,2,4,8,16", "two kinds: speed of the fast by that of the slow"),
    (_TEXT, "slow_fractions", "0.125,0.25,0.5,0.75", "two kinds: part of the devices that is slow"),
    (_TEXT, "workdir", "", "folder of modelled.csv and modelled.png; default runs/ and the time"),
    (flags.DEFINE_bool, "check", False, "measure here instead, and compare with the model"),
)


def format_table(rows: Sequence[dict]) -> str:
    """The clusters that are like the profile, a line each."""
    lines = [
        "All figures are modelled, none is measured.",
        "",
        f"{'':>8}{'':>12}{'':>12}{'step, ms':>12}{'':>10}{'':>8}{'utilisation':>13}",
        f"{'devices':>8}{'batch':>12}{'all-reduce':>12}{'balanced':>12}{'even':>10}{'gain':>8}"
        f"{'balanced':>13}{'even':>8}",
    ]
    for row in rows:
        times = ("all_reduce", "balanced_step", "even_step")
        reduce, balanced, even = (1e3 * row[f"modelled_{time}_seconds"] for time in times)
        lines.append(
            f"{row['devices']:>8}{row['batch_size']:>12}{reduce:>12.4g}{balanced:>12.4g}"
            f"{even:>10.4g}{row['modelled_gain']:>8.3f}"
            f"{row['modelled_balanced_utilisation']:>13.1%}"
            f"{row['modelled_even_utilisation']:>8.1%}"
        )
    return "\n".join(lines)


def write(folder: Path, sweep: Sweep, clusters: list[dict], mixtures: list[dict]) -> None:
    """Writes modelled.csv and modelled.png."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "modelled.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(clusters[0]))
        writer.writeheader()
        writer.writerows(clusters + mixtures)
    batch = f"{sweep.batch_size:,} samples" + (" a device" if sweep.scaling == "weak" else "")
    network = sweep.network
    title = (
        f"Modelled, {sweep.scaling} scaling: batch of {batch}; {sweep.parameters:,} parameters; "
        f"{8e-9 * network.bandwidth:g} Gbit/s, {1e6 * network.latency:g} µs"
    )
    draw_scaling(clusters, mixtures, title).savefig(folder / "modelled.png", dpi=120)


def parse(own: flags.FlagValues) -> tuple[Sweep, Path]:
    """What is to be simulated, and the folder of the results.

    Raises:
        InputError: on a value that cannot be used.
    """
    for name, value in (("profile", own.profile), ("parameters", own.parameters)):
        if value is None:
            raise InputError(f"--{name} is missing; python -m experiments.simulate --help tells it")
    unused = {"strong": "batch_per_device", "weak": "batch_size"}[own.scaling]
    if own[unused].present:
        raise InputError(f"--{unused} does not go with --scaling={own.scaling}; leave it out")
    batch = "batch_per_device" if own.scaling == "weak" else "batch_size"
    network = Network(
        latency=_number(own, "latency_us", 0) / 1e6,
        bandwidth=_number(own, "bandwidth_gbps", 1e-6) * 1e9 / 8,
        all_reduce=own.all_reduce,
    )
    sweep = Sweep(
        profile=_parse_profile(own),
        device_counts=_numbers(own, "devices", int, 1, MOST_DEVICES),
        slow_fractions=_numbers(own, "slow_fractions", float, 0, 1),
        ratios=_numbers(own, "ratios", float, 1, 1e6),
        scaling=own.scaling,
        batch_size=_number(own, batch, 1, MOST_SAMPLES),
        microbatch_size=_number(own, "microbatch_size", 1, MOST_SAMPLES),
        parameters=_number(own, "parameters", 1, MOST_SAMPLES),
        network=network,
    )
    return sweep, _parse_workdir(own.workdir)


def _check_alone(own: flags.FlagValues) -> None:
    for _, name, *_ in _FLAGS:
        if own[name].present and name != "check":
            raise InputError(f"--{name} does not go with --check; leave it out")


def _parse_profile(own: flags.FlagValues) -> Profile:
    profile = parse_profile(own.profile)
    if profile.time_unit == "s":
        if own.unit_seconds is not None:
            raise InputError("--unit_seconds: the profile is in seconds already; leave it out")
        return profile
    if own.unit_seconds is None:
        raise InputError(
            f"--profile={own.profile} has times in units of {profile.time_unit!r}; say how many "
            f"seconds that is by --unit_seconds, or give the profile.json of a measured run"
        )
    return in_seconds(profile, _number(own, "unit_seconds", 1e-12))


def _parse_workdir(text: str) -> Path:
    folder = Path(text or f"runs/modelled-{datetime.now():%Y%m%d-%H%M%S}")
    for name in ("modelled.csv", "modelled.png"):
        if (folder / name).exists():
            raise InputError(f"--workdir={folder} already holds {name}; choose another folder")
    nearest = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"--workdir={folder} cannot be written; choose another folder")
    return folder


def _numbers(own, name: str, kind: Callable, least: float, most: float) -> tuple:
    try:
        values = [kind(part) for part in own[name].value.split(",")]
    except ValueError:
        raise InputError(
            f"--{name}={own[name].value}: give numbers between commas, such as {own[name].default}"
        ) from None
    for value in values:
        _check(name, value, least, most)
    return tuple(sorted(set(values)))


def _number(own, name: str, least: float, most: float = 1e12) -> float:
    _check(name, own[name].value, least, most)
    return own[name].value


def _check(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise InputError(f"--{name}: {value:g} is not possible; give {least:g} to {most:g}")


def _own_flags() -> flags.FlagValues:
    own = flags.FlagValues()
    for define, name, default, described, *choices in _FLAGS:
        define(name, default, *choices, described, flag_values=own)
    return own


def help_text() -> str:
    """How to use the program, and its flags."""
    lines = [_USAGE]
    for _, name, default, described, *choices in _FLAGS:
        text = f"{described}: {', '.join(choices[0])}" if choices else described
        if default:
            text += f" [{default}]"
        head = f"{f'  --{name}':<22}"
        lines.append(textwrap.fill(text, 98, initial_indent=head, subsequent_indent=" " * 22))
    return "\n".join(lines)


def main(argv: list[str]) -> None:
    """Simulates what the flags say."""
    if any(argument in ("--help", "-help", "-h", "--helpshort") for argument in argv[1:]):
        print(help_text())
        return
    own = _own_flags()
    try:
        rest = own(argv)
        if len(rest) > 1:
            fail(f"{rest[1]!r} is not a flag; flags look like --profile=4:2:1:1")
        if own.check:
            _check_alone(own)
            simulation.check(CHECK_REPEATS, CHECK_STEPS)
            return
        sweep, folder = parse(own)
        clusters, mixtures = simulate(sweep)
        write(folder, sweep, clusters, mixtures)
    except (WorkerError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except (InputError, flags.Error) as error:
        fail(error)
    print(format_table(clusters))
    print(f"\nResults, with the clusters of two kinds: {folder}")


if __name__ == "__main__":
    main(sys.argv)
