"""Makes a map of a scene with a trained model: `python -m experiments.predict --help`."""

import sys

from hsi_jax.__main__ import start

if __name__ == "__main__":
    start("predict", sys.argv[1:])
