"""Becomes a worker's command, tied to its launcher: it dies with it, however the launcher dies.

Run by `workers`, as a program of its own because it must act before the command's first thread:

    python pinned_exec.py PARENT READY CORE COMMAND...

PARENT is the launcher's process id, READY a file descriptor that is closed once it is bound,
CORE a CPU number or "any". Where mpirun starts it, PARENT and READY are "mpirun", and CORE has the
CPU numbers of all ranks, between commas.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
MPIRUN = "mpirun"
RANK = "OMPI_COMM_WORLD_RANK"  # set by Open MPI


def main(parent: str, ready: str, core: str, *command: str) -> None:
    """Ties this process to its parent, pins it, and becomes the command."""
    if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        sys.exit("the worker cannot be tied to its launcher (prctl failed)")
    if parent == MPIRUN:
        core = core.split(",")[int(os.environ[RANK])]
    else:
        if os.getppid() != int(parent):  # it died before prctl
            sys.exit("the launcher has died")
        os.close(int(ready))
    try:
        if core != "any":
            os.sched_setaffinity(0, {int(core)})
            # As `hsi_jax.cluster.devices.take_turns_on_one_core`, for any program, so that those
            # that are compared with ours have it too.
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]} cannot be started on core {core}: {error.strerror}")


if __name__ == "__main__":
    main(*sys.argv[1:])
