"""Open MPI's mpirun, by which processes start that survive the loss of others."""

import contextlib
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

from hsi_jax.launch.pinned_exec import RANK

MIN_VERSION = 5  # the first with ULFM

# As many processes as are asked for, on whatever cores: they are pinned by those who start them.
PLACED_FREELY = ("--map-by", ":OVERSUBSCRIBE", "--bind-to", "none")

# In a container, a user is often root; Open MPI wants to be told that this is meant.
ENVIRONMENT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


@functools.cache
def find_mpirun() -> str | None:
    """The path of an mpirun by which runs can survive losses; None where there is none.

    That of this environment's wheel comes before that of the machine. mpi4py must be there too.
    """
    if importlib.util.find_spec("mpi4py") is None:
        return None
    own = str(Path(sys.executable).parent)
    found = (shutil.which("mpirun", path=path) for path in (own, os.environ.get("PATH")))
    return next((path for path in found if path and _version(path) >= MIN_VERSION), None)


def mpirun_command(program: str, command: list[str], count: int) -> list[str]:
    """The command that starts `count` processes alike, which survive the loss of some."""
    return [program, "--with-ft", "ulfm", *PLACED_FREELY, "-n", str(count), *command]


def find_ranks(mpirun: psutil.Process) -> dict[int, psutil.Process]:
    """The processes that an mpirun has started on this machine and that are alive, by rank."""
    found = {}
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in mpirun.children():
            with contextlib.suppress(psutil.Error, KeyError):  # KeyError: it is still to become one
                if child.status() != psutil.STATUS_ZOMBIE:
                    found[int(child.environ()[RANK])] = child
    return dict(sorted(found.items()))


def _version(program: str) -> int:
    """The first number of an Open MPI's version; 0 where it is another MPI's, or fails."""
    try:
        told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return 0
    found = re.search(r"\(Open MPI\) (\d+)\.", told.stdout)
    return int(found[1]) if found else 0
