"""A launcher that benchmarks and tests start, watch and disturb, and the result of its run."""

import contextlib
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import psutil

from hsi_jax.run.records import Record, Step, read_records

STEPS = 240
RUN_FLAGS = (
    "--model=cnn2d",
    "--model_options=features=(8, 8, 8); hidden=16",
    "--patch_size=3",
    "--components=6",
    "--batch_size=60",
    "--microbatch_size=8",
    f"--steps={STEPS}",
    "--optimizer=sgd",
    "--learning_rate=0.05",
    "--checkpoint_every=10",
)
MAX_SECONDS = 600  # for anything that is waited for
METRICS, WEIGHTS = "metrics.jsonl", "model/weights.npz"  # in a run's folder


class Launched:
    """`experiments.launch`, running, and its output so far."""

    def __init__(self, workdir: Path, *flags: str, profile: str = "1:1", resume: bool = False):
        """Starts it; its output goes to a log beside the run's folder."""
        self.workdir = workdir
        self._log = workdir.with_name(f"{workdir.name}.{time.monotonic_ns()}.log")
        command = [sys.executable, "-m", "experiments.launch", f"--profile={profile}", *flags]
        command += [
            "--",
            *RUN_FLAGS,
            "--engine=jax",
            f"--workdir={workdir}",
            *["--resume"] * resume,
        ]
        with open(self._log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def output(self) -> str:
        """All that it has printed so far."""
        return self._log.read_text()

    def restarts(self) -> list[str]:
        """The output after each restart."""
        return self.output().split("Restart ")[1:]

    def workers(self) -> list[psutil.Process]:
        """Its processes that have become runs, by rank."""
        found, children = {}, []
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end at any moment
            children = psutil.Process(self.process.pid).children()
        for child in children:
            with contextlib.suppress(psutil.Error):
                rank = re.search(r"--process_id=(\d+)", " ".join(child.cmdline()))
                if rank and child.status() != psutil.STATUS_ZOMBIE:
                    found[int(rank[1])] = child
        return [found[rank] for rank in sorted(found)]

    def wait_until(self, condition: Callable[[], object]) -> bool:
        """Waits for a condition; False if the launcher has ended before."""
        deadline = time.monotonic() + MAX_SECONDS
        while not condition():
            if self.process.poll() is not None:
                return bool(condition())
            if time.monotonic() > deadline:
                raise TimeoutError(self.output())
            time.sleep(0.001)
        return True

    def finish(self) -> int:
        """The launcher's exit code, once it has ended."""
        return self.process.wait(MAX_SECONDS)

    def saves(self) -> list[Path]:
        """The checkpoint that is being written, if any."""
        return list((self.workdir / "checkpoints").glob("*.partial"))

    def sound(self) -> list[Path]:
        """The checkpoints that are complete, the newest last."""
        return sorted(p for p in (self.workdir / "checkpoints").glob("*") if p.name.isdigit())


def steps_logged(workdir: Path) -> int:
    """Steps in metrics.jsonl."""
    path = workdir / METRICS
    lines = path.read_bytes().splitlines() if path.exists() else []
    return sum(isinstance(record, Step) for record in read_records(lines))


def result(workdir: Path) -> tuple[list[Record], dict[str, bytes]]:
    """The records of a run, without measured times, and all its parameters as bytes."""
    records = read_records((workdir / METRICS).read_bytes().splitlines())
    with np.load(workdir / WEIGHTS) as arrays:
        return list(map(_untimed, records)), {name: arrays[name].tobytes() for name in arrays}


def copy_result(workdir: Path, folder: Path) -> None:
    """Copies what `result` reads, as far as it is there, to another folder."""
    for name in (METRICS, WEIGHTS):
        if (workdir / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(workdir / name, folder / name)


def _untimed(record: Record) -> Record:
    if isinstance(record, Step):
        return msgspec.structs.replace(record, seconds=0.0, step_seconds=0.0)
    return record
