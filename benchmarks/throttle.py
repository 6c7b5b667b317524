"""How exactly processes are held to their part of a core's time, and how soon they answer (Linux).

    python -m benchmarks.throttle [--seconds 5]

Processes that count without end are placed and throttled as by `experiments.launch`. For each one
stand the fraction of a core that it was asked to have, the one that the throttle says it had, its
CPU time by the time that passed, and its counts by those of the last process. Other programs on
the same cores make them less. At the end two processes send a byte there and back.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.measure import first_line
from hsi_jax.launch.measured_processes import describe_machine
from hsi_jax.launch.placement import Placement, place
from hsi_jax.launch.throttle import Throttle
from hsi_jax.launch.workers import Worker, Workers, available_cores

# Speeds, cores, and the factor by which process 0 is slowed down.
CASES = (
    ((1,), 1, 4),
    ((4, 1), 1, 1),
    ((6, 3, 1), 1, 1),
    ((1, 1), 1, 4),
    ((4, 1), 2, 1),
    ((4, 2, 1, 1), 2, 1),
    ((8, 4, 2, 1, 1), 2, 1),
)
MESSAGES = 500  # there and back
COUNTER_BYTES = 8

# Counts in memory that the benchmark can read while the process runs or is suspended.
COUNT = f"""
import mmap, sys
with open(sys.argv[1], 'r+b') as file:
    counter = mmap.mmap(file.fileno(), {COUNTER_BYTES})
n = 0
while True:
    n += 1
    if n % 100 == 0:
        counter[:] = n.to_bytes({COUNTER_BYTES}, 'little')
"""
SEND_AND_WAIT = f"""
import sys
outward = open(sys.argv[1], 'wb', 0)
inward = open(sys.argv[2], 'rb', 0)
for _ in range({MESSAGES}):
    outward.write(b'x')
    inward.read(1)
"""
ANSWER = """
import sys
inward = open(sys.argv[1], 'rb', 0)
outward = open(sys.argv[2], 'wb', 0)
while inward.read(1):
    outward.write(b'x')
"""


def main() -> None:
    """Prints the machine, a row for each process, and the time of a message."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--seconds", type=float, default=5.0, help="of each case")
    arguments = parser.parse_args()
    if not arguments.seconds > 0:
        parser.error(f"--seconds={arguments.seconds:g}: give a number above 0")
    cores = available_cores()
    print(describe_machine(pinned=False))
    print(f"load average {os.getloadavg()[0]:.2f} at the start\n")
    print(f"{'speeds':14}{'rank':>5}{'core':>6}{'asked':>9}{'realised':>10}{'CPU':>9}{'counts':>9}")
    for speeds, num_cores, factor in CASES:
        if num_cores <= len(cores):
            placements = place(speeds, cores[:num_cores])
            name = ":".join(map(str, speeds)) + (f", 0 by {factor}" if factor > 1 else "")
            for row in measure(placements, factor, arguments.seconds):
                print(f"{name:14}{row}")
    there_and_back = time_messages(cores[0])
    print(f"\na message there and back, at 0.25 and 0.125 of a core: {1e3 * there_and_back:.2f} ms")


def measure(placements: Sequence[Placement], factor: float, seconds: float) -> list[str]:
    """Throttles processes that count, for so many seconds; a row of text for each of them."""
    with tempfile.TemporaryDirectory(prefix="hsi_jax-") as folder:
        files = [Path(folder, f"count{rank}") for rank in range(len(placements))]
        for file in files:
            file.write_bytes(bytes(COUNTER_BYTES))
        workers = [
            _worker(COUNT, [str(file)], placement.core, file.with_suffix(".log"))
            for file, placement in zip(files, placements, strict=True)
        ]
        with Workers(workers) as running:
            while not all(map(_read, files)):
                running.poll()
                time.sleep(0.02)
            with Throttle(running.processes, placements) as throttle:
                throttle.set_slowdown(0, factor)
                used, counts = _used(running.processes), list(map(_read, files))
                start = time.perf_counter()
                time.sleep(seconds)
                passed = time.perf_counter() - start
                used = [
                    now - then for now, then in zip(_used(running.processes), used, strict=True)
                ]
                counts = [now - then for now, then in zip(map(_read, files), counts, strict=True)]
    columns = zip(placements, throttle.asked, throttle.realised, used, counts, strict=True)
    return [
        f"{rank:>5}{placement.core:>6}{asked:>9.3f}{realised:>10.3f}{cpu / passed:>9.3f}"
        f"{count / counts[-1]:>9.2f}"
        for rank, (placement, asked, realised, cpu, count) in enumerate(columns)
    ]


def time_messages(core: int) -> float:
    """Seconds that a byte takes there and back, between two throttled processes of a core."""
    placements = [Placement(core, 0.25), Placement(core, 0.125)]
    with tempfile.TemporaryDirectory(prefix="hsi_jax-") as folder:
        pipes = [str(Path(folder, name)) for name in ("there", "back")]
        for pipe in pipes:
            os.mkfifo(pipe)
        workers = [
            _worker(program, pipes, core, Path(folder, f"rank{rank}.log"))
            for rank, program in enumerate((SEND_AND_WAIT, ANSWER))
        ]
        with Workers(workers) as running, Throttle(running.processes, placements):
            start = time.perf_counter()
            running.wait()
            return (time.perf_counter() - start) / MESSAGES


def _worker(program: str, arguments: Sequence[str], core: int, log: Path) -> Worker:
    return Worker((sys.executable, "-S", "-c", program, *arguments), {}, core, log)


def _read(file: Path) -> int:
    return int.from_bytes(file.read_bytes(), "little")


def _used(processes: Sequence[psutil.Process]) -> list[float]:
    return [sum(process.cpu_times()[:2]) for process in processes]


if __name__ == "__main__":
    main()
