"""The kernels of a run: the same in all its processes, and in all its parts from start to end."""

from dataclasses import replace

import numpy as np

from hsi_jax.cluster.exchange import gather
from hsi_jax.cluster.processes import broadcast, rank
from hsi_jax.errors import InputError
from hsi_jax.kernels import KERNELS, kernels_in_use, use_kernels
from hsi_jax.options import with_values
from hsi_jax.run import RunFolder
from hsi_jax.session.options import RunOptions
from hsi_jax.session.resolve import Resolved

AUTO, BEFORE_THE_OPTION = "auto", "xla"


def with_kernels(resolved: Resolved) -> Resolved:
    """Uses the kernels that the options name, or the best that can be had, from now on.

    Every process must call it, after all have joined.

    Returns:
        The same with options that name them, so that the folder of the run tells them.

    Raises:
        InputError: if those asked for, or those that the run began with, cannot be had here.
    """
    options = resolved.options
    name = options.devices.kernels
    if name == AUTO:
        name = _begun_with(options) or _best_of_all()
    use_kernels(name)
    return replace(resolved, options=with_values(options, kernels=name))


def _begun_with(options: RunOptions) -> str:
    """The kernels of the run that is to be resumed, or "" if none is."""
    if not options.checkpoints.resume:
        return ""
    name = ""
    if rank() == 0:
        config = RunFolder.of_run(options.output.workdir).read_config()
        name = config.get("kernels", BEFORE_THE_OPTION)
        if name not in KERNELS:  # nothing is imported because a file says so
            raise InputError(f"`resume`: the run began with `kernels`={name}; give that again")
    return broadcast(name.encode()).decode()


def _best_of_all() -> str:
    use_kernels(AUTO)
    found = gather(np.array(kernels_in_use() == "native"))
    return "native" if found.all() else "xla"
