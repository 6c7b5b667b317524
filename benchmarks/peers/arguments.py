"""The flags that every peer takes."""

import argparse


def parse_arguments(description: str, *, needs_handover: bool = False) -> argparse.Namespace:
    """Reads the flags; counts become a list of numbers."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rank", type=int, required=True, help="number of this process, from 0")
    parser.add_argument("--world", type=int, required=True, help="number of processes")
    parser.add_argument("--port", type=int, required=True, help="free TCP port, for rank 0")
    parser.add_argument("--counts", required=True, help="samples of each rank, as 96,48,48")
    parser.add_argument("--steps", type=int, default=30, help="timed steps, without --handover")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them")
    parser.add_argument("--handover", help="file of data to train on, instead of random samples")
    parser.add_argument("--workdir", help="with --handover: folder of the results")
    arguments = parser.parse_args()
    text = arguments.counts
    try:
        arguments.counts = [int(count) for count in text.split(",")]
    except ValueError:
        parser.error(f"--counts={text}: give whole numbers between commas")
    if len(arguments.counts) != arguments.world or min(arguments.counts) < 1:
        parser.error(f"--counts={text}: give {arguments.world} numbers >= 1")
    if needs_handover and not arguments.handover:
        parser.error("--handover is missing: this peer trains on data alone")
    if arguments.handover and not arguments.workdir:
        parser.error("--handover needs --workdir=FOLDER")
    return arguments
