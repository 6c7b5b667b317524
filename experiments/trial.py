"""One run of a comparison: a scheme and a seed, on the platform that all of them have in common."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from experiments.config import Config
from experiments.launch import launch
from experiments.peer import (
    PEERS,
    hand_over,
    peer_command,
    peer_counts,
    start_folder,
    summarise_peer,
)
from experiments.slowdown import Slowdown
from hsi_jax.errors import InputError
from hsi_jax.hetero.profile import Profile
from hsi_jax.hetero.workers import last_lines

# Programs are compiled once for all seeds and schemes of emulated runs, whose times do not count.
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
class Trial:
    """A run to do: its scheme, its seed and all its options."""

    scheme: str
    config: Config

    @property
    def name(self) -> str:
        """Its folder, and that of its logs."""
        return f"{self.scheme}-seed{self.config.seed}"


def read_summary(trial: Trial, workdir: Path) -> dict | None:
    """The summary of a run that has been finished, or None."""
    path = workdir / trial.name / "summary.json"
    if not path.exists():
        return None
    summary = json.loads(path.read_text(encoding="utf-8"))
    return None if summary["interrupted"] else summary


def do_trial(trial: Trial, platform: Platform) -> None:
    """Does a run; what it prints goes to its logs.

    Raises:
        InputError: if it fails.
        KeyboardInterrupt: on Ctrl-C.
    """
    logs = platform.workdir / "logs" / trial.name
    logs.mkdir(parents=True, exist_ok=True)
    with open(logs / "output.log", "w", encoding="utf-8") as log:
        if platform.emulated:
            _emulate(trial, platform, logs / "output.log", log)
            return
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            if trial.scheme in PEERS:
                _launch_peer(trial, platform, logs)
            else:
                flags = [*_flags(trial, platform), "--time_devices"]
                folder = platform.workdir / trial.name
                launch(platform.profile, platform.slowdowns, flags, folder, str(logs))


def _flags(trial: Trial, platform: Platform) -> list[str]:
    own = {"scheme": trial.scheme, "seed": trial.config.seed}
    own["workdir"] = platform.workdir / trial.name
    # An unfinished run of that name is replaced.
    return [*platform.run_flags, *(f"--{key}={value}" for key, value in own.items()), "--overwrite"]


def _emulate(trial: Trial, platform: Platform, path: Path, log) -> None:
    """In a process of its own, so that its failure is no other run's."""
    flags = [*_flags(trial, platform), f"--profile={trial.config.profile}"]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(platform.workdir / "compiled")} | CACHE
    command = [sys.executable, "-m", "experiments.run", *flags]
    done = subprocess.run(
        command, stdout=log, stderr=subprocess.STDOUT, env=cache | os.environ, check=False
    )
    if done.returncode:
        raise InputError(f"it ended with exit code {done.returncode}: {last_lines(path, 1)}")


def _launch_peer(trial: Trial, platform: Platform, logs: Path) -> None:
    """The data are handed over in a file that is removed at the end."""
    folder = platform.workdir / trial.name
    start_folder(folder)
    handover = folder / "handover.npz"
    counts = peer_counts(trial.scheme, platform.profile, trial.config.batch_size)
    setup = hand_over(trial.config, handover)
    command = peer_command(trial.scheme, counts, platform.torch_python, handover, folder)
    try:
        launch(platform.profile, platform.slowdowns, (), folder, str(logs), command=command)
    finally:
        handover.unlink(missing_ok=True)
    summary = summarise_peer(trial.scheme, setup, counts, folder)
    write_json(folder / "summary.json", summary)


def write_json(path: Path, content: dict) -> None:
    """Writes a JSON file, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


def shared_settings(platform: Platform, config: Config) -> dict:
    """What must be the same for runs to be compared: platform and options, as JSON holds them."""
    own = ("scheme", "seed", "workdir", "overwrite", "profile")
    options = {k: v for k, v in dataclasses.asdict(config).items() if k not in own}
    settings = {
        "platform": platform.profile.to_json(),
        "emulated": platform.emulated,
        "slowdowns": [str(slowdown) for slowdown in platform.slowdowns],
        "profile_of_runs": None if platform.emulated else config.profile,
        "options": options,
    }
    return json.loads(json.dumps(settings))
