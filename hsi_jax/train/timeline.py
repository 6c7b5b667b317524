"""When each process did what in the timed steps, by one clock."""

from collections.abc import Sequence

import numpy as np

from hsi_jax.hetero.cluster import gather


def gather_stamps(stamps: Sequence[tuple[float, float, float]]) -> np.ndarray:
    """Brings the stamps of all processes together; every process must call it.

    On one machine the processes read the same clock. On several machines it is as good as their
    clocks agree.

    Args:
        stamps: this process's `hsi_jax.train.stepper.Stepper.stamps`, as many in every process.

    Returns:
        Seconds since the earliest stamp, float64 [timed steps, processes, 3].
    """
    own = np.array(stamps, np.float64).reshape(-1, 3)
    if not len(own):
        return np.zeros((0, 1, 3))
    # As bytes, because JAX would round them to float32.
    rows = gather(np.frombuffer(own.tobytes(), np.uint8))
    timeline = np.stack([np.frombuffer(row.tobytes()).reshape(-1, 3) for row in rows], axis=1)
    return timeline - timeline.min()
