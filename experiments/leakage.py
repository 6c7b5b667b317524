"""How much of an accuracy is neighbours: `python -m experiments.leakage --help`."""

import sys

from hsi_jax.__main__ import start

if __name__ == "__main__":
    start("leakage", sys.argv[1:])
