"""Names the pixels that are worth a label next: `python -m experiments.suggest --help`."""

import sys

from hsi_jax.__main__ import start

if __name__ == "__main__":
    start("suggest", sys.argv[1:])
