"""One run of a comparison, on the platform that all of them have in common."""

import contextlib
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hsi_jax.comparison.peer import peer_command, peer_counts, start_folder
from hsi_jax.errors import LostWorkerError
from hsi_jax.hetero.profile import Profile
from hsi_jax.json_file import write_json
from hsi_jax.launch.launching import Launch, Speeds, launch
from hsi_jax.launch.slowdown import Slowdown
from hsi_jax.launch.workers import last_lines
from hsi_jax.run.summary import Outcome, read_outcome, read_summary
from hsi_jax.session.options import RunOptions

# Programs are compiled once for all seeds and schemes of emulated runs, whose times do not count.
SPEEDS = "speeds.json"  # of a run's processes, beside its logs
CACHE = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3"}


@dataclass(frozen=True)
class Platform:
    """What the runs of a comparison have in common.

    Attributes:
        profile: the devices.
        emulated: whether they are emulated, rather than processes that are really uneven.
        slowdowns: what happens to such processes at certain steps.
        run_flags: flags of every run.
        workdir: folder of all runs.
        torch_python: a Python that may have PyTorch and Horovod.
    """

    profile: Profile
    emulated: bool
    slowdowns: Sequence[Slowdown]
    run_flags: Sequence[str]
    workdir: Path
    torch_python: str


@dataclass(frozen=True)
class ComparisonRun:
    """A run to do.

    Attributes:
        method: what is compared: a scheme, or the name of a model in tables.
        options: all its options.
        flags: its own, after those of all runs.
        protocol: that its folder and its table are called after, or "".
        peer: whether the scheme is that of another program.
    """

    method: str
    options: RunOptions
    flags: tuple[str, ...] = ()
    protocol: str = ""
    peer: bool = False

    @property
    def name(self) -> str:
        """Its folder, and that of its logs."""
        parts = (self.protocol, self.method, f"seed{self.options.recipe.seed}")
        return "-".join(re.sub(r"[^\w.-]+", "_", part) for part in parts if part)


def read_finished(run: ComparisonRun, workdir: Path) -> Outcome | None:
    """What a run that has been finished tells, or None."""
    path = workdir / run.name / "summary.json"
    if not path.exists():
        return None
    outcome = read_outcome(path) if run.peer else read_summary(path)
    return None if outcome.interrupted else outcome


def do_run(run: ComparisonRun, platform: Platform) -> None:
    """Does a run; what it prints goes to its logs.

    Raises:
        HsiJaxError: if it fails.
        KeyboardInterrupt: on Ctrl-C.
    """
    logs = platform.workdir / "logs" / run.name
    logs.mkdir(parents=True, exist_ok=True)
    with open(logs / "output.log", "w", encoding="utf-8") as log:
        if platform.emulated:
            _emulate(run, platform, logs / "output.log", log)
            return
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            if run.peer:
                speeds = _launch_peer(run, platform, logs)
            else:
                # Never gone on with: its times are to be those of one run.
                flags = [*_flags(run, platform), "--overwrite", "--time_devices"]
                folder = platform.workdir / run.name
                slowdowns = tuple(platform.slowdowns)
                asked = Launch(platform.profile, tuple(flags), folder, slowdowns, str(logs))
                speeds = launch(asked)
    known = all(map(math.isfinite, speeds.realised))
    write_json(
        logs / SPEEDS, {"asked": speeds.asked, "realised": speeds.realised if known else None}
    )


def _flags(run: ComparisonRun, platform: Platform) -> list[str]:
    own = [
        *run.flags,
        f"--seed={run.options.recipe.seed}",
        f"--workdir={platform.workdir / run.name}",
    ]
    return [*platform.run_flags, *own]


def _started_before(run: ComparisonRun, folder: Path) -> bool:
    """Whether the folder has the beginning of this very run, with checkpoints to go on from."""
    from hsi_jax.run import RunFolder
    from hsi_jax.session.resume_check import differing_options  # here: --help does without JAX

    if not (folder / "config.json").exists():
        return False
    begun = RunFolder.of_run(folder)
    return begun.checkpoints.is_dir() and not differing_options(begun.read_config(), run.options)


def _emulate(run: ComparisonRun, platform: Platform, path: Path, log) -> None:
    """In a process of its own, so that its failure is no other run's.

    It goes on with an unfinished run of that name, or replaces it where it has other options.
    """
    cache = {"JAX_COMPILATION_CACHE_DIR": str(platform.workdir / "compiled")} | CACHE
    begun = "--resume" if _started_before(run, platform.workdir / run.name) else "--overwrite"
    command = [sys.executable, "-m", "hsi_jax", "run", *_flags(run, platform), begun]
    done = subprocess.run(
        command, stdout=log, stderr=subprocess.STDOUT, env=cache | os.environ, check=False
    )
    if done.returncode:
        raise LostWorkerError(f"it ended with exit code {done.returncode}: {last_lines(path, 1)}")


def _launch_peer(run: ComparisonRun, platform: Platform, logs: Path) -> Speeds:
    """The data are handed over in a file that is removed at the end."""
    from hsi_jax.comparison.peer_data import (  # here: --help does without JAX
        hand_over,
        summarise_peer,
    )

    folder = platform.workdir / run.name
    start_folder(folder)
    handover = folder / "handover.npz"
    counts = peer_counts(run.method, platform.profile, run.options.recipe.batch_size)
    setup = hand_over(run.options, handover)
    files = {"handover": handover, "workdir": folder}
    command = peer_command(run.method, counts, python=platform.torch_python, **files)
    try:
        asked = Launch(platform.profile, (), folder, tuple(platform.slowdowns), str(logs))
        speeds = launch(asked, command)
    finally:
        handover.unlink(missing_ok=True)
    summary = summarise_peer(run.method, setup, counts, folder)
    write_json(folder / "summary.json", summary)
    return speeds
