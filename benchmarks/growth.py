"""How a step grows with devices, microbatches and samples: the host's part, and the whole of it.

Run with ``python -m benchmarks.growth [--repeats 7] [--cores 0] [--figure growth.png]``. The host's
part is what a process does before a step can begin: it finds the samples of the batch, deals them,
and sends its own devices their ids. In a cluster a process has one device; here one process has
them all, so sending grows with them, and nothing else should. A batch is divided anew only where
speeds have changed. Emulated devices share the cores, so a step with the same microbatches is the
same work for any number of them, but for the sum and the update, which each of them does.
"""

import time
from collections.abc import Callable, Sequence

import jax
import numpy as np
import optax

from benchmarks.measure import interleave, parse_arguments
from hsi_jax.cluster import emulate_devices
from hsi_jax.data import batch_ids
from hsi_jax.hetero import Device, Plan, Profile, deal, make_plan
from hsi_jax.models import find_model
from hsi_jax.train import Patches, Replicas, create_state
from hsi_jax.train.replicas import fetch
from hsi_jax.train.step import train_step

SAMPLES = (10**4, 10**5, 10**6, 10**7)  # to learn from
DEVICES = (1, 2, 4, 8, 16, 64, 256)
EMULATED = 16  # the most whose steps are timed
MICROBATCHES = (16, 32, 64)
MICROBATCH_SIZE = 8
SCENE = (64, 64, 30)  # rows, columns, bands
PATCH_SIZE = 11
NUM_CLASSES = 9
CALLS = 50  # of the host's work, which is short

Row = dict[str, float]


def main() -> None:
    """Prints the times, and draws them where a file is named."""
    arguments = parse_arguments(
        __doc__, lambda parser: parser.add_argument("--figure", help="file of a picture, .png")
    )
    emulate_devices(EMULATED)
    calls = CALLS * arguments.repeats
    samplers = [{"samples": n, "sampler": time_sampler(n, calls)} for n in SAMPLES]
    hosts = [time_host(devices, calls) for devices in DEVICES]
    print_hosts(samplers, hosts)
    steps = time_steps(arguments.repeats)
    print_steps(steps)
    if arguments.figure:
        draw(samplers, hosts, steps).savefig(arguments.figure, dpi=200)


def profile_of(devices: int) -> Profile:
    """Devices of four speeds in turn."""
    return Profile(
        tuple(Device(f"device {d}", (4.0, 2.0, 1.0, 1.0)[d % 4]) for d in range(devices))
    )


def plan_of(devices: int, microbatches: int) -> Plan:
    """The balanced plan of so many microbatches."""
    batch_size = microbatches * MICROBATCH_SIZE
    return make_plan("balanced", profile_of(devices), batch_size, MICROBATCH_SIZE)


def patches() -> Patches:
    """A random scene."""
    rng = np.random.default_rng(0)
    cube = rng.normal(size=SCENE).astype(np.float32)
    return Patches.of_scene(cube, rng.integers(0, NUM_CLASSES, SCENE[:2]), PATCH_SIZE)


def median_ms(call: Callable[[int], object], calls: int) -> float:
    """Median time of a call, which is told its number, in ms; the first is not counted."""
    call(0)
    seconds = []
    for number in range(1, calls + 1):
        start = time.perf_counter()
        call(number)
        seconds.append(time.perf_counter() - start)
    return 1e3 * float(np.median(seconds))


def time_sampler(samples: int, calls: int) -> float:
    """To find the batch of a step among so many samples, ms."""
    ids = np.arange(samples, dtype=np.int32)
    batch_size = MICROBATCHES[-1] * MICROBATCH_SIZE
    return median_ms(lambda step: batch_ids(ids, batch_size, 0, step), calls)


def time_host(devices: int, calls: int) -> Row:
    """To divide a batch by new speeds, and to deal and send the next one by the same, ms."""
    profile, plan = profile_of(devices), plan_of(devices, MICROBATCHES[-1])
    ids = np.arange(plan.batch_size, dtype=np.int32)
    sizes = plan.batch_size, plan.microbatch_size
    row: Row = {
        "devices": devices,
        "partition": median_ms(lambda _: make_plan("balanced", profile, *sizes), calls),
        "deal": median_ms(lambda step: deal(ids + step, plan), calls),
    }
    if devices <= jax.device_count():
        replicas = Replicas(devices, patches())
        works = [deal(ids + step, plan) for step in range(calls + 1)]
        row["send"] = median_ms(lambda step: replicas.ready(works[step]), calls)
    return row


def time_steps(repeats: int) -> list[Row]:
    """Whole steps of a cnn2d, ms, by emulated devices and microbatches."""
    keys, steps = [], {}
    for devices in (number for number in DEVICES if number <= EMULATED):
        replicas = Replicas(devices, patches())
        for microbatches in MICROBATCHES:
            keys.append((devices, microbatches))
            steps[f"{devices} {microbatches}"] = make_step(replicas, plan_of(*keys[-1]))
    times = interleave(steps, repeats)
    return [
        {"devices": d, "microbatches": u, "step": 1e3 * float(np.median(times[f"{d} {u}"]))}
        for d, u in keys
    ]


def make_step(replicas: Replicas, plan: Plan) -> Callable[[], object]:
    """A call that takes a step from a state of its own, with its host's work."""
    module = find_model("cnn2d")(num_classes=NUM_CLASSES)
    state = create_state(module, optax.sgd(0.1), (PATCH_SIZE, PATCH_SIZE, SCENE[2]), seed=0)
    live = replicas.replicate(state)
    ids = np.arange(SCENE[0] * SCENE[1], dtype=np.int32)
    step = replicas.parallel(train_step)

    def call() -> float:
        work = deal(batch_ids(ids, plan.batch_size, 0, 0), plan)
        return float(fetch(step(live, *replicas.ready(work))[1]))

    return call


def print_hosts(samplers: Sequence[Row], hosts: Sequence[Row]) -> None:
    """Prints the host's part."""
    print(f"\nHost, medians in ms; {MICROBATCHES[-1]} microbatches of {MICROBATCH_SIZE}\n")
    print(f"{'samples':>10}  {'sampler':>8}")
    for row in samplers:
        print(f"{row['samples']:>10,}  {row['sampler']:>8.3f}")
    print(f"\n{'devices':>10}  {'deal':>8}  {'send':>8}  {'partition, where speeds change':>30}")
    for row in hosts:
        send = f"{row['send']:.3f}" if "send" in row else "-"
        print(f"{row['devices']:>10}  {row['deal']:>8.3f}  {send:>8}  {row['partition']:>30.3f}")


def print_steps(steps: Sequence[Row]) -> None:
    """Prints the whole steps."""
    print(f"\nStep of cnn2d, ms, {PATCH_SIZE}x{PATCH_SIZE}x{SCENE[2]}; emulated devices\n")
    print(f"{'devices':>10}" + "".join(f"{u:>8} mb" for u in MICROBATCHES))
    for devices in dict.fromkeys(row["devices"] for row in steps):
        own = [row["step"] for row in steps if row["devices"] == devices]
        print(f"{devices:>10}" + "".join(f"{ms:>11.1f}" for ms in own))


def draw(samplers: Sequence[Row], hosts: Sequence[Row], steps: Sequence[Row]):
    """A figure of three panels: the sampler, the rest of the host's part, and whole steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(180 / 25.4, 2.6), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    left.plot(*_columns(samplers, "samples", "sampler"), "o-", color="#0072b2", label="sampler")
    for part, colour, label in (
        ("deal", "#e69f00", "deal"),
        ("send", "#009e73", "send"),
        ("partition", "#cc79a7", "partition, where speeds change"),
    ):
        middle.plot(*_columns(hosts, "devices", part), "o-", color=colour, label=label)
    for microbatches, colour in zip(MICROBATCHES, ("#0072b2", "#e69f00", "#009e73"), strict=False):
        rows = [row for row in steps if row["microbatches"] == microbatches]
        label = f"{microbatches} microbatches"
        right.plot(*_columns(rows, "devices", "step"), "o-", color=colour, label=label)
    for axes, name, unit, least in (
        (left, "samples to learn from", "host, ms of a step", 1.2),
        (middle, "devices", "host, ms of a step", 1.2),
        (right, "emulated devices on the same cores", "step, ms", 0.0),
    ):
        axes.set_xscale("log", base=10 if axes is left else 2)
        axes.xaxis.set_major_formatter("{x:,.0f}" if axes is not left else "{x:.0e}")
        axes.set_xlabel(name, fontsize=7)
        axes.set_ylabel(unit, fontsize=7)
        axes.set_ylim(0, max(least, 1.15 * axes.get_ylim()[1]))
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=7, frameon=False)
    return figure


def _columns(rows: Sequence[Row], x: str, y: str) -> tuple[list[float], list[float]]:
    known = [row for row in rows if y in row]
    return [row[x] for row in known], [row[y] for row in known]


if __name__ == "__main__":
    main()
