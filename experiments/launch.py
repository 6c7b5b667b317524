"""Trains on uneven processes of this machine: `python -m experiments.launch --help`."""

import sys

from hsi_jax.__main__ import start

if __name__ == "__main__":
    start("launch", sys.argv[1:])
