"""One rank of OmniLearn's synchronous training, an outside baseline; its flags are of ddp_rank.py.

    python benchmarks/peers/omnilearn_rank.py --rank 0 --world 3 --port 29500 --counts 64,64,64
        --handover FILE --workdir DIR

Tyagi and Sharma, "OmniLearn: A Framework for Distributed Deep Learning over Heterogeneous
Clusters", IEEE Trans. Parallel Distrib. Syst. 2025, written anew after the paper and its program.
Rank i computes the mean gradient of its own b_i samples, which counts b_i / B in the sum. After
every epoch a proportional controller moves b_i (`moved`).
"""

# pyright: reportMissingImports=false
# torch is in the Python that runs this program, not in ours.

import time
from pathlib import Path

import numpy as np
import torch
from torch import distributed

from arguments import parse_arguments
from gloo_group import add_up, joined
from handover import Batches, Handover, part_of
from moving import moved
from network import model_of
from rank_training import make_optimizer, set_rate
from recorder import Recorder


def main() -> None:
    """Joins the other ranks and trains."""
    arguments = parse_arguments("One rank of OmniLearn on gloo.", needs_handover=True)
    with joined(arguments):
        handover, workdir = Handover(arguments.handover), Path(arguments.workdir)
        train(handover, arguments.counts, arguments.rank, workdir=workdir)


def train(handover: Handover, counts: list[int], rank: int, *, workdir: Path) -> None:
    """Trains this rank's part, which begins with counts[rank]; rank 0 writes the results."""
    model = model_of(handover.parameters, handover.settings["patch_size"])
    model = model.to(memory_format=torch.channels_last)
    optimizer = make_optimizer(model, handover.settings)
    batches, parameters = Batches(handover), list(model.parameters())
    record = Recorder(handover, model, workdir) if rank == 0 else None
    computing = []
    for step, rate in enumerate(handover.arrays["learning_rates"].tolist()):
        start = time.perf_counter()
        set_rate(optimizer, rate)
        optimizer.zero_grad()
        places = batches.places(slice(step, step + 1), part_of(counts, rank))
        loss = batches.loss(model, places)
        loss.backward()
        computing.append(time.perf_counter() - start)
        add_up([p.grad for p in parameters if p.grad is not None], counts[rank] / sum(counts))
        optimizer.step()
        value = loss.item()
        seconds = time.perf_counter() - start
        if record:
            record.step(step, value, rate, seconds)
            record.validate(step + 1, since=step)
        if (step + 1) % handover.settings["steps_per_epoch"] == 0:
            counts = moved(counts, gathered(float(np.mean(computing)), len(counts)))
            computing = []
    if record:
        record.finish(counts=counts)


def gathered(value: float, world: int) -> list[float]:
    """A number of every rank."""
    values = [torch.zeros(1, dtype=torch.float64) for _ in range(world)]
    distributed.all_gather(values, torch.tensor([value], dtype=torch.float64))
    return [each.item() for each in values]


if __name__ == "__main__":
    main()
