"""What a run has written of its training, for a replay that compares."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES
from hsi_jax.options import with_values
from hsi_jax.run import RunFolder
from hsi_jax.run.records import Start, Step
from hsi_jax.run.summary import Summary, read_summary
from hsi_jax.session.flags import parse_run
from hsi_jax.session.options import RunOptions

ONE_DEVICE, BALANCED = "1", "balanced"


@dataclass(frozen=True)
class Written:
    """What a run has left of its training.

    Attributes:
        folder: of the run.
        options: of the run, as a replay takes them.
        steps: what it has written of each step, by its number.
        data: SHA-256 of the parts of its data, by name.
        digests: version of the steps' digests.
        summary: None where the run has not ended.
    """

    folder: Path
    options: RunOptions
    steps: dict[int, Step]
    data: dict[str, str]
    digests: int
    summary: Summary | None


def read_written(folder: str | Path, run_flags: Sequence[str] = ()) -> Written:
    """Reads what a run has left. Nothing is imported because its files say so.

    Args:
        folder: of the run.
        run_flags: flags of `experiments.run` for what the replay has otherwise, such as where the
            data are now.

    Raises:
        InputError: if there is nothing to replay.
    """
    path = Path(folder)
    if not (path / "config.json").is_file():
        raise InputError(f"{path} holds no run (no config.json); give the folder of a run")
    run = RunFolder(path, overwrite=True)
    records = run.read_records()
    steps = {record.step: record for record in records if isinstance(record, Step)}
    if not any(record.digest for record in steps.values()):
        raise InputError(
            f"{path} has no digests of steps to compare with; runs of networks write them, but "
            f"those of earlier versions did not"
        )
    asked = parse_run([f"--config={path / 'config.json'}", *run_flags])
    devices = _devices_of(path, asked.devices.scheme)
    if any(flag.startswith("--profile") for flag in run_flags):
        del devices["profile"]
    summary = read_summary(path / "summary.json") if (path / "summary.json").is_file() else None
    start = next((record for record in records if isinstance(record, Start)), Start(len(steps)))
    return Written(
        folder=path,
        options=with_values(asked, **devices, figures="none", tensorboard=False, track=""),
        steps=steps,
        data=start.data,
        digests=start.digests,
        summary=summary,
    )


def _devices_of(folder: Path, scheme: str) -> dict[str, Any]:
    """One device where the result does not depend on them; else the devices of the run."""
    exact = SCHEMES.find(scheme).exact
    return {
        "profile": ONE_DEVICE if exact else str(folder / "profile.json"),
        "scheme": BALANCED if exact else scheme,
        "time_devices": False,
        "measure_even": False,
    }
