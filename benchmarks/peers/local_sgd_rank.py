"""One rank of local SGD, an outside baseline; its flags are those of ddp_rank.py.

    python benchmarks/peers/local_sgd_rank.py --rank 0 --world 3 --port 29500 --counts 96,48,48
        --handover FILE --workdir DIR

Every rank trains alone, and after `SYNC_EVERY` batches the parameters are averaged: Stich, "Local
SGD Converges Fast and Communicates Little", ICLR 2019, as in torchft's LocalSGD with its
`sync_every`. With uneven counts a slow rank takes fewer local steps in the same time, and the
average counts a rank by its samples, as FedAvg does (McMahan et al., AISTATS 2017). The
optimiser's state stays local. Running statistics are averaged with the parameters.
"""

# pyright: reportMissingImports=false
# torch is in the Python that runs this program, not in ours.

import statistics
import time
from pathlib import Path

import torch

from arguments import parse_arguments
from gloo_group import add_up, joined
from handover import Batches, Handover, part_of
from network import model_of
from rank_training import make_optimizer, set_rate
from recorder import Recorder

SYNC_EVERY = 4  # batches of all ranks between two averages


def main() -> None:
    """Joins the other ranks and trains."""
    arguments = parse_arguments("One rank of local SGD on gloo.", needs_handover=True)
    with joined(arguments):
        handover, workdir = Handover(arguments.handover), Path(arguments.workdir)
        train(handover, arguments.counts, arguments.rank, workdir=workdir)


def train(handover: Handover, counts: list[int], rank: int, *, workdir: Path) -> None:
    """Trains this rank's part of each batch; rank 0 writes the results.

    The time between two averages is divided evenly among the batches of rank 0's records.
    """
    model = model_of(handover.parameters, handover.settings["patch_size"])
    model = model.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(model, handover.settings)
    batches = Batches(handover)
    averaged = [t for t in model.state_dict().values() if t.is_floating_point()]
    rates = handover.arrays["learning_rates"].tolist()
    record = Recorder(handover, model, workdir) if rank == 0 else None
    for first in range(0, len(rates), SYNC_EVERY):
        due = rates[first : first + SYNC_EVERY]
        start = time.perf_counter()
        places = batches.places(slice(first, first + len(due)), part_of(counts, rank))
        steps = local_steps(counts, rank, len(due))
        losses = []
        for number, local in enumerate(places.tensor_split(steps)):
            set_rate(optimizer, due[number * len(due) // steps])
            optimizer.zero_grad()
            loss = batches.loss(model, local)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        with torch.no_grad():
            add_up(averaged, counts[rank] / sum(counts))
        seconds = (time.perf_counter() - start) / len(due)
        if record:
            for step, rate in enumerate(due, first):
                record.step(step, statistics.fmean(losses), rate, seconds)
            record.validate(first + len(due), since=first)
    if record:
        record.finish()


def local_steps(counts: list[int], rank: int, batches: int) -> int:
    """Steps that a rank takes for its part of so many batches: an even part is one step."""
    return max(1, round(batches * counts[rank] * len(counts) / sum(counts)))


if __name__ == "__main__":
    main()
