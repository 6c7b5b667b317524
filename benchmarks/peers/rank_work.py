"""The work of a peer once its ranks have joined."""

import argparse
from pathlib import Path

from handover import Handover
from rank_training import Wrap, train
from steps import print_times


def do_work(arguments: argparse.Namespace, wrap: Wrap) -> None:
    """Trains on the handed-over file if there is one; times steps on random samples if not."""
    rank, counts = arguments.rank, arguments.counts
    if arguments.handover:
        handover, workdir = Handover(arguments.handover), Path(arguments.workdir)
        train(handover, counts, rank, wrap=wrap, workdir=workdir)
    else:
        print_times(rank, counts, wrap, warmup=arguments.warmup, steps=arguments.steps)
