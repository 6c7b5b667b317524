"""How soon a command helps, and how soon the default run has taken its first step.

Run with ``python -m benchmarks.start [--repeats 7] [--cores 0]``. A first step is told by its line
in metrics.jsonl, since the command: without compiled programs that are kept, on the first start
that keeps them, and on later starts.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.measure import parse_arguments

COMMANDS = ("run", "predict", "report", "compare", "launch", "simulate", "datasets", "models")
STEP = b'"kind":"step"'
WAIT = 0.005  # seconds between looks


def main() -> None:
    """Prints seconds from the command on."""
    arguments = parse_arguments(__doc__)
    print("\nSeconds: median (range)\n")
    for command in COMMANDS:
        times = [time_help(command) for _ in range(arguments.repeats)]
        print(f"{command + ' --help':28}{describe(times)}")
    with tempfile.TemporaryDirectory(prefix="hsi_jax-") as folder:
        for name, times in time_first_steps(Path(folder), arguments.repeats).items():
            print(f"{'first step, ' + name:28}{describe(times)}")


def describe(seconds: Sequence[float]) -> str:
    """The median and the range."""
    return f"{np.median(seconds):6.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


def time_help(command: str) -> float:
    """Seconds until a command has printed its help and ended."""
    start = time.perf_counter()
    program = [sys.executable, "-m", f"experiments.{command}", "--help"]
    subprocess.run(program, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def time_first_steps(folder: Path, repeats: int) -> dict[str, list[float]]:
    """Seconds until the first step of the default run, in turn in all three ways."""
    times: dict[str, list[float]] = {"nothing kept": [], "first start": [], "later start": []}
    for repeat in range(repeats):
        caches = folder / f"caches{repeat}"
        for name, own in times.items():
            kept = str(name != "nothing kept").lower()
            own.append(time_first_step(folder / f"{name} {repeat}", caches, kept))
    return times


def time_first_step(workdir: Path, caches: Path, kept: str) -> float:
    """Seconds until the default run has written its first step; it is stopped then.

    Args:
        workdir: of the run.
        caches: the user's cache folder.
        kept: "true" or "false".
    """
    usual = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    variables = {"XDG_CACHE_HOME": str(caches), "JAX_ENABLE_COMPILATION_CACHE": kept}
    metrics = workdir / "metrics.jsonl"
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "experiments.run", f"--workdir={workdir}"],
        env=usual | variables,
        stdout=subprocess.DEVNULL,
    ) as process:
        while not (metrics.exists() and STEP in metrics.read_bytes()):
            if process.poll() is not None:
                raise RuntimeError(f"the run ended early, with code {process.returncode}")
            time.sleep(WAIT)
        seconds = time.perf_counter() - start
        process.kill()
    return seconds


if __name__ == "__main__":
    main()
