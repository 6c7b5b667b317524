"""Lists the data that are known by name: `python -m experiments.datasets --help`."""

import sys

from hsi_jax.__main__ import start

if __name__ == "__main__":
    start("datasets", sys.argv[1:])
