"""Predicts what large clusters would gain: `python -m experiments.simulate --help`."""

import sys

from hsi_jax.__main__ import start

if __name__ == "__main__":
    start("simulate", sys.argv[1:])
