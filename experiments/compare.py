"""Compares schemes, or models, over protocols and seeds: `python -m experiments.compare --help`."""

import sys

from hsi_jax.__main__ import start

if __name__ == "__main__":
    start("compare", sys.argv[1:])
