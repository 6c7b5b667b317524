"""Lists the networks that are known by name: `python -m experiments.models --help`."""

import sys

from hsi_jax.__main__ import start

if __name__ == "__main__":
    start("models", sys.argv[1:])
