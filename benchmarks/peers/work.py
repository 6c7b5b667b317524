"""What a peer does once its ranks have joined, by its flags."""

import argparse
from pathlib import Path

from benchmarks.peers.steps import print_times
from benchmarks.peers.training import Handover, Wrap, train


def do_work(arguments: argparse.Namespace, wrap: Wrap) -> None:
    """Trains on what was handed over, or else times steps on random samples."""
    rank, counts = arguments.rank, arguments.counts
    if arguments.handover:
        train(Handover(arguments.handover), counts, rank, wrap, Path(arguments.workdir))
    else:
        print_times(rank, counts, wrap, arguments.warmup, arguments.steps)
