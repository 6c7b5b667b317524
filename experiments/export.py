"""Writes a trained model as ONNX or StableHLO: `python -m experiments.export --help`."""

import sys

from hsi_jax.__main__ import start

if __name__ == "__main__":
    start("export", sys.argv[1:])
