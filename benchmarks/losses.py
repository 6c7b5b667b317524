"""Processes that are lost at random moments: whether the others go on, and what it costs them.

    python -m benchmarks.losses --losses=200 --seconds=3000 --folder=DIR

Runs of 2 to 6 processes under `mpirun --with-ft ulfm`, each of one thread, lose all but one of them
by SIGKILL, some by SIGSTOP, a loss every few seconds, every other one the process that writes.
Each result is compared, bit for bit, with that of an undisturbed run. The cost of a loss is the
time from the signal to the end of the step in which the others have made it good, less a median
step; steps are seen from outside, as they come into metrics.jsonl. Every run adds a line to
DIR/losses.jsonl; the same command goes on where it was stopped. Linux, Open MPI 5.
"""

import argparse
import contextlib
import json
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.launched import METRICS, RUN_FLAGS, WEIGHTS, result
from benchmarks.measure import first_line
from benchmarks.mpi_run import MpiRun
from hsi_jax.json_file import read_json
from hsi_jax.launch.measured_processes import describe_machine

LOST_AFTER = 5  # seconds, part of the cost of a suspended process
END_SECONDS = 300  # from the last loss; what takes longer hangs


def main() -> None:
    """Prints a table of all losses so far; ends with code 1 if any was not survived."""
    arguments = parse_arguments()
    folder = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    print(describe_machine(pinned=False))
    flags = [*RUN_FLAGS, "--figures=none", "--kernels=xla", f"--lost_after={LOST_AFTER}"]
    flags += [f"--steps={arguments.steps}", "--profile=measured", "--retime_every=5"]
    quiet, log = folder / "quiet", folder / "losses.jsonl"
    if not (quiet / "summary.json").exists():
        with MpiRun(quiet, 2, [*flags, "--overwrite"]) as run:
            if run.finish():
                sys.exit(run.output())
    expected, deadline = result(quiet), time.monotonic() + arguments.seconds
    while True:
        found = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        if sum(len(run["hit"]) for run in found) >= arguments.losses or time.monotonic() > deadline:
            break
        chance = random.Random(len(found))
        row = disturb(folder, flags, chance, every=arguments.every, expected=expected)
        with open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
    print_table(found)
    sys.exit(any(run["code"] or run["wrong"] or run["hung"] for run in found))


def parse_arguments() -> argparse.Namespace:
    """Reads the flags."""
    parser = argparse.ArgumentParser(description=first_line(__doc__))
    parser.add_argument("--losses", type=int, default=200, help="how many, over all runs so far")
    parser.add_argument("--seconds", type=float, default=3000, help="after which no run is begun")
    parser.add_argument("--steps", type=int, default=240, help="of each run")
    parser.add_argument("--every", type=float, default=4, help="seconds between losses, at most")
    parser.add_argument("--folder", type=Path, required=True, help="of the runs and their record")
    return parser.parse_args()


class StepTimes:
    """When the steps of a run were complete, as seen from outside."""

    def __init__(self, workdir: Path):
        """Of the run in this folder."""
        self._path, self._size = workdir / METRICS, 0
        self.ends: list[float] = []

    def look(self) -> None:
        """Notes the time for the steps that are new in the record."""
        with contextlib.suppress(OSError):
            if (size := self._path.stat().st_size) != self._size:
                count, self._size = self._path.read_bytes().count(b'"step_seconds"'), size
                self.ends += [time.monotonic()] * (count - len(self.ends))


def disturb(
    folder: Path, flags: list[str], rng: random.Random, *, every: float, expected: Any
) -> dict[str, Any]:
    """One run, of which processes are lost until one is left, or it ends; what became of it."""
    workdir, count = folder / "run", rng.randint(2, 6)
    shutil.rmtree(workdir, ignore_errors=True)
    row: dict[str, Any] = {"count": count, "hit": [], "hung": False, "wrong": False}
    steps = StepTimes(workdir)
    with MpiRun(workdir, count, [*flags, "--scheme=adaptive", "--overwrite"]) as run:

        def passes(seconds: float) -> bool:
            """Lets some time pass; False if the run has ended meanwhile."""
            moment = time.monotonic() + seconds
            return run.wait_until(lambda: steps.look() or time.monotonic() > moment)

        run.wait_until(lambda: run.lines() > 1)
        try:
            while len(row["hit"]) < count - 1 and passes(rng.uniform(0, every)):
                row["hit"] += hit_one(run, rng, row["hit"])
            run.wait_until(steps.look, END_SECONDS)
            row["code"] = run.finish()
            if not (workdir / WEIGHTS).exists():  # mpirun ends with 0 where all were lost
                row["code"] = row["code"] or 1
        except Exception as error:
            row["hung"], row["code"] = True, None
            (folder / f"hung{time.time():.0f}.log").write_text(f"{error}\n{run.output()}")
        if row["code"]:
            (folder / f"failed{time.time():.0f}.log").write_text(run.output())
    if row["code"] == 0:
        row["wrong"] = result(workdir) != expected
        summary = read_json(workdir / "summary.json")
        row["step_ms"] = summary["step_time_ms_median"]
        found = {loss["process"]: loss for loss in summary["losses"]}
        for hit in row["hit"]:
            hit["cost"] = cost(hit, found.get(hit["process"]), steps.ends, row["step_ms"] / 1e3)
    return row


def cost(
    hit: dict[str, Any], loss: dict[str, Any] | None, ends: list[float], step_seconds: float
) -> float | None:
    """Seconds from a signal to the end of the step that made it good, but for an ordinary step.

    None where the process was lost after the last step.
    """
    if loss is None or loss["step"] is None:
        return None
    return ends[loss["step"]] - hit["at"] - step_seconds


def hit_one(run: MpiRun, rng: random.Random, before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Kills or suspends a process that is left: the first of them every other time."""
    gone = {each["process"] for each in before}
    left = [number for number in run.workers() if number not in gone]
    if len(left) < 2:
        return []
    victim = left[0] if len(before) % 2 == 0 else rng.choice(left[1:])
    how = signal.SIGSTOP if rng.random() < 0.1 else signal.SIGKILL
    at = run.hit(victim, how)
    if at is None:
        return []
    return [{"process": victim, "first": victim == left[0], "signal": how.name, "at": at}]


def print_table(found: list[dict[str, Any]]) -> None:
    """What the losses of all runs have come to."""
    hits = [hit for run in found for hit in run["hit"]]
    rows = {
        "runs": len(found),
        "processes lost": len(hits),
        "of them the first one": sum(hit["first"] for hit in hits),
        "of them suspended": sum(hit["signal"] == "SIGSTOP" for hit in hits),
        "runs that failed": sum(bool(run["code"]) for run in found),
        "runs that hung": sum(run["hung"] for run in found),
        "runs that ended in other bits": sum(run["wrong"] for run in found),
    }
    for name, value in rows.items():
        print(f"{name:<38}{value:>8}")
    for signal_name, what in (("SIGKILL", "killed"), ("SIGSTOP", "suspended")):
        costs = [
            hit["cost"]
            for hit in hits
            if hit["signal"] == signal_name and hit.get("cost") is not None
        ]
        if costs:
            told = f"{len(costs)} {what}, cost in s:"
            print(f"{told:<38}median {np.median(costs):.3f}, worst {max(costs):.3f}")


if __name__ == "__main__":
    main()
