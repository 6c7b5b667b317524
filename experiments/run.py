"""Trains and evaluates one classifier: `python -m experiments.run --help`."""

import sys

from hsi_jax.__main__ import start

if __name__ == "__main__":
    start("run", sys.argv[1:])
