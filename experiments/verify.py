"""Replays a run and compares every step: `python -m experiments.verify --help`."""

import sys

from hsi_jax.__main__ import start

if __name__ == "__main__":
    start("verify", sys.argv[1:])
