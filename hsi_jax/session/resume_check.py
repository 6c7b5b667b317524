"""Whether a run may go on from the checkpoints of an earlier one: only if it is the same run."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping

import numpy as np

from hsi_jax.data.scene.stored_cube import row_blocks
from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES
from hsi_jax.run import RunFolder
from hsi_jax.session.config import Config
from hsi_jax.train import Dataset

# The result does not depend on these; where the data are may change, what they hold may not.
MAY_DIFFER = frozenset(
    {
        "protocol",  # the options that it sets may not
        "profile",
        "retime_every",
        "dead_band",
        "hysteresis",
        "time_devices",
        "check_every",
        "reduce",
        "devices_per_process",
        "coordinator",
        "num_processes",
        "process_id",
        "data_dir",
        "feed",
        "cache_mb",
        "cube",
        "labels",
        "checkpoint_every",
        "keep_checkpoints",
        "resume",
        "on_nonfinite",
        "figures",
        "tensorboard",
        "workdir",
        "overwrite",
    }
)


def resumable_folder(config: Config) -> RunFolder:
    """The folder of the run that is to be resumed; changes nothing.

    Raises:
        InputError: if it holds none, or a run of another configuration.
    """
    folder = RunFolder.of_run(config.workdir)
    check_same_run(folder.read_config(), config)
    return folder


def check_same_run(earlier: Mapping[str, object], config: Config) -> None:
    """Checks that the run would end with the same bits as the earlier one.

    Args:
        earlier: its configuration as a dictionary; what an older version lacked is the default.
        config: that of the run to come.

    Raises:
        InputError: naming each field that differs and matters.
    """
    before, now = _with_defaults(earlier), dataclasses.asdict(config)
    differing = differing_options(earlier, config)
    # Exact schemes give the gradient of the whole batch, whoever computes it.
    if all(
        name in SCHEMES and SCHEMES[name].exact
        for name in (str(before["scheme"]), str(now["scheme"]))
    ):
        differing = [name for name in differing if name != "scheme"]
    if not differing:
        return
    words = ", ".join(f"--{name}={now[name]} (it was {before[name]})" for name in differing)
    why = ""
    if {"steps", "epochs"} & set(differing):
        why = (
            "; the schedule of the learning rate spans all steps, so another length is another run"
        )
    raise InputError(
        f"--resume: the run in --workdir={config.workdir} would become another one by "
        f"{words}{why}; give the values it was started with, or another --workdir without --resume"
    )


def differing_options(earlier: Mapping[str, object], config: Config) -> list[str]:
    """The options that matter for the result and differ between two runs.

    Args:
        earlier: the configuration of the one, as a dictionary; what an older version lacked is the
            default.
        config: that of the other.
    """
    now = json.loads(json.dumps(dataclasses.asdict(config)))
    before = _with_defaults(earlier)
    return [
        name
        for name in sorted(before.keys() | now.keys())
        if name not in MAY_DIFFER and before[name] != now.get(name, before[name])
    ]


def _with_defaults(earlier: Mapping[str, object]) -> dict[str, object]:
    return {field.name: field.default for field in dataclasses.fields(Config)} | dict(earlier)


def fingerprint(dataset: Dataset) -> str:
    """A digest of the data and their split, by which a changed file is noticed.

    Of a set of images, which may be large, it looks at the pixels of 64 only.
    """
    split = dataset.split
    if dataset.scene:
        inputs = dataset.scene.cube
        blocks = (block for _, block in row_blocks(inputs))
    else:
        inputs = dataset.images.read(np.linspace(0, len(dataset.labels) - 1, 64).astype(int))
        blocks = iter([inputs])
    digest = hashlib.sha256(f"{inputs.dtype} {inputs.shape}".encode())
    for block in blocks:
        digest.update(np.ascontiguousarray(block).data)  # no copy: it may be a large cube
    for array in (dataset.labels, split.train, split.validation, split.test):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
