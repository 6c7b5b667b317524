"""Whole training steps on one CPU core: ours against PyTorch's, and where ours spends its time.

    python -m benchmarks.throughput [--networks cnn2d,resnet20] [--repeats 5] [--core 0]
        [--kernels xla,native] [--torch_python PATH] [--minutes 5] [--json FILE]

Ours runs with each of the kernels (--kernels of a run). All sides run in processes of their own, of
one thread, pinned to the same core, and take turns. First each of them looks for its best size, of
a batch for PyTorch (eager, channels last) and of a microbatch for us. Times are CPU times, so other
programs on the core count little. Float32, SGD with momentum. A step of ours has several
microbatches, and all that a run's step has. With --minutes it stops in time: networks that were not
reached are missing, the last one has fewer turns, and each row is written as it comes.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.measure import Watch, add_minutes, first_line
from hsi_jax.kernels.choice import KERNELS
from hsi_jax.launch.measured_processes import ONE_THREAD, describe_machine

# Sizes to try, of our microbatches and of PyTorch's batches.
SIZES = {
    "cnn1d": ((64, 128, 256), (64, 256, 512)),
    "cnn2d": ((16, 32, 64), (32, 64, 128)),
    "cnn3d": ((16, 32, 64), (32, 64, 128)),
    "hybridsn": ((4, 8, 16), (4, 8, 16)),
    "resnet20": ((4, 8, 16), (8, 16, 32)),
    "resnet18": ((4, 8), (8, 16)),
    "resnet50": ((4, 8), (8, 16)),
}
SECONDS = 1.0  # of each turn
SECONDS_TO_CHOOSE = 0.5


def main() -> None:
    """Prints a line for each network, and writes all that was measured to a file."""
    arguments = parse_arguments()
    report: dict = {"machine": describe_machine(pinned=True), "networks": {}}
    print(report["machine"])
    ours = [sys.executable, "-m", "benchmarks.throughput_steps"]
    theirs = [arguments.torch_python, str(Path(__file__).with_name("throughput_torch.py"))]
    with contextlib.ExitStack() as stack:
        sides = {name: stack.enter_context(served([*ours, name])) for name in arguments.kernels}
        first = next(iter(sides.values()))
        report["product"] = first.ask("product")
        print(f"matrix product: {report['product']:.0f} GFLOP/s")
        if arguments.torch_python:
            sides["PyTorch"] = stack.enter_context(served(theirs))
        watch = Watch(arguments.minutes)
        for network in arguments.networks:
            if not watch.left:
                print(f"{network}: not reached in {arguments.minutes:g} minutes")
                continue
            measured = measure(sides, network, arguments.repeats, watch)
            for name in arguments.kernels:
                size = measured[name]["size"]
                measured[name]["parts"] = sides[name].ask("parts", network, size)
            load = watch.describe_load()
            report["networks"][network] = measured | {"load": load}
            print(describe(network, measured, report["product"]), f"  {load}", sep="\n", flush=True)
            if arguments.json:
                text = json.dumps(report, indent=2) + "\n"
                Path(arguments.json).write_text(text, encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    """Reads the flags."""
    cores = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--networks", default=",".join(SIZES), help="some, with commas")
    parser.add_argument("--repeats", type=int, default=5, help="turns of each side")
    parser.add_argument("--core", type=int, default=cores[-1], help="for both sides")
    parser.add_argument("--kernels", default="xla,native", help="of ours, with commas")
    parser.add_argument("--torch_python", help="a Python that has PyTorch; without it, ours alone")
    parser.add_argument("--json", help="file for all that was measured")
    add_minutes(parser)
    arguments = parser.parse_args()
    arguments.networks, arguments.kernels = (
        names.split(",") for names in (arguments.networks, arguments.kernels)
    )
    if not set(arguments.kernels) <= set(KERNELS):
        parser.error(f"--kernels={','.join(arguments.kernels)}: give some of {','.join(KERNELS)}")
    if not set(arguments.networks) <= set(SIZES):
        parser.error(f"--networks={','.join(arguments.networks)}: give some of {','.join(SIZES)}")
    if arguments.repeats < 1:
        parser.error(f"--repeats={arguments.repeats}: give a whole number >= 1")
    if arguments.core not in cores:
        parser.error(f"--core={arguments.core}: give one of {cores}")
    os.sched_setaffinity(0, {arguments.core})  # and so the processes that it starts
    return arguments


class Side:
    """A process that answers requests, a line of JSON each."""

    def __init__(self, process: subprocess.Popen):
        self._process = process

    def ask(self, *request):
        """What the process answers."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def times(self, network: str, size: int, seconds: float) -> list[float]:
        """Seconds per sample, of each step."""
        return self.ask(network, size, seconds)


@contextlib.contextmanager
def served(command: Sequence[str]) -> Iterator[Side]:
    """Starts a side, and ends it."""
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | ONE_THREAD,
    ) as process:
        yield Side(process)


def measure(sides: dict[str, Side], network: str, repeats: int, watch: Watch) -> dict:
    """The best size of each side and its samples per second, which it measures in turn.

    There is one turn at least, also where no time is left.
    """
    sizes, times = {}, {name: [] for name in sides}
    for name, side in sides.items():
        tried = SIZES[network][name == "PyTorch"]
        speed = {size: min(side.times(network, size, SECONDS_TO_CHOOSE)) for size in tried}
        sizes[name] = min(speed, key=speed.__getitem__)
    for repeat in range(repeats):
        if repeat and not watch.left:
            break
        for name, side in sides.items():
            times[name] += side.times(network, sizes[name], SECONDS)
    return {
        name: {"size": sizes[name]} | rates(1 / np.array(seconds))
        for name, seconds in times.items()
    }


def rates(samples_per_second: np.ndarray) -> dict[str, float]:
    """The median, the best, and the quartiles of the steps."""
    low, median, high = np.percentile(samples_per_second, [25, 50, 75]).tolist()
    best = float(samples_per_second.max())
    return {"median": median, "best": best, "quartiles": [low, high]}


def describe(network: str, measured: dict, product: float) -> str:
    """A few lines of text."""
    ours = {name: side for name, side in measured.items() if "parts" in side}
    gigaflops = next(iter(ours.values()))["parts"]["gflop_per_sample"]
    lines = [network]
    for name, side in measured.items():
        low, high = side["quartiles"]
        speed = side["median"] * gigaflops
        lines.append(
            f"  {name:8} {side['median']:9.1f} samples/s ({low:.1f} to {high:.1f}, best "
            f"{side['best']:.1f}) at {side['size']}; {speed:.0f} GFLOP/s, "
            f"{100 * speed / product:.0f} % of the product's"
        )
    for name, side in ours.items():
        if theirs := measured.get("PyTorch"):
            ratios = (side[kind] / theirs[kind] for kind in ("median", "best"))
            text = "{:.2f} of the medians, {:.2f} of the best".format(*ratios)
            lines.append(f"  {name} / PyTorch: {text}")
        parts = side["parts"]["shares"].items()
        shares = ", ".join(f"{part} {100 * share:.0f} %" for part, share in parts)
        lines.append(f"  time with {name}: {shares}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
