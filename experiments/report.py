"""Makes one HTML page about one or several runs: `python -m experiments.report --help`."""

import sys

from hsi_jax.__main__ import start

if __name__ == "__main__":
    start("report", sys.argv[1:])
