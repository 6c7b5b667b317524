"""A process that a launcher has started: it joins the others and says who it is."""

import json
import os

import numpy as np

from hsi_jax.cluster.exchange import add, devices_of_processes, num_processes, rank, reduction
from hsi_jax.cluster.processes import join_cluster


def main() -> None:
    join_cluster(devices_per_process=int(os.environ.get("TEST_DEVICES", "1")))
    told = {
        "rank": rank(),
        "processes": num_processes(),
        "sum": int(add(np.array(1 + rank(), np.int64))),
        "devices": devices_of_processes(),
        "reduction": reduction(),
    }
    # In one write, so that lines of several processes do not mix.
    os.write(1, (json.dumps(told) + "\n").encode())


if __name__ == "__main__":
    main()
