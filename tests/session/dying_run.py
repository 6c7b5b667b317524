"""A run whose process is lost at a moment that the environment names.

    TEST_LOSS='{"1": ["hsi_jax.train.evaluation:gather_outputs", 2, "SIGKILL"]}' \\
        mpirun ... python -m tests.session.dying_run --steps=40 ...

Process 1 dies as it is about to call this function for the second time; "hang" lets it hang there,
as a device may, and "cut" lets it believe that the others are lost.
"""

import functools
import importlib
import json
import os
import signal
import sys
import time

from hsi_jax.__main__ import start


def prepare(target: str, nth: int, how: str) -> None:
    """Replaces a function, "module:name" or "module:Class.name", by one that is the end."""
    module, _, path = target.partition(":")
    *outer, name = path.split(".")
    owner = functools.reduce(getattr, outer, importlib.import_module(module))
    real, calls = getattr(owner, name), []

    def last(*arguments, **options):
        calls.append(1)
        if len(calls) == nth:
            if how == "hang":
                time.sleep(1e6)
            elif how == "cut":
                cut_off()
            else:
                os.kill(os.getpid(), signal.Signals[how])
        return real(*arguments, **options)

    setattr(owner, name, last)


def cut_off() -> None:
    """Lets this process see itself alone, as after a cut of the network."""
    from mpi4py import MPI

    from hsi_jax.cluster.exchange import _membership

    survivors = _membership.survivors
    assert survivors is not None
    survivors._comm = MPI.COMM_SELF.Dup()
    survivors.alive = (survivors.rank,)
    for call in survivors._on_first:
        call()


if __name__ == "__main__":
    losses = json.loads(os.environ.get("TEST_LOSS", "{}"))
    if own := losses.get(os.environ["OMPI_COMM_WORLD_RANK"]):
        prepare(*own)
    start("run", sys.argv[1:])
