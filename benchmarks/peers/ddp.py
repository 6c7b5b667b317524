"""One rank of PyTorch DistributedDataParallel on gloo, an outside baseline.

Start one process for each rank; rank 0 prints a line of JSON with the time of every step:

    python -m benchmarks.peers.ddp --rank 0 --world 3 --port 29500 --counts 96,48,48

The network is `hsi_jax.models.cnn2d` with its defaults and the optimiser is SGD with momentum, as
in `benchmarks.cluster_step`. Whatever made DDP faster here is on: channels-last memory, gradients
kept in the buckets, no broadcast of running statistics, a batch that already lies on the device.

With --handover FILE --workdir DIR it trains on what `experiments.compare` hands over instead.

Needs torch (benchmarks/peers/requirements.txt) and NumPy alone, so that it may live in a virtual
environment without JAX.
"""

import json
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from benchmarks.peers.arguments import parse_arguments
from benchmarks.peers.network import make_model
from benchmarks.peers.training import Handover, train

PATCH_SIZE = 11
BANDS = 30
NUM_CLASSES = 9
FEATURES = (64, 64, 128)
HIDDEN = 128
LEARNING_RATE = 0.1
MOMENTUM = 0.9
SEED = 0
PATIENCE = timedelta(minutes=5)  # for other ranks, in every step and while rank 0 predicts


def main() -> None:
    """Joins the other ranks and trains; on random samples, rank 0 prints what it took."""
    arguments = parse_arguments(__doc__.splitlines()[0])
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"tcp://127.0.0.1:{arguments.port}",
        rank=arguments.rank,
        world_size=arguments.world,
        timeout=PATIENCE,
    )
    if arguments.handover:
        handover = Handover(arguments.handover)
        train(handover, arguments.counts, arguments.rank, wrap, Path(arguments.workdir))
    else:
        seconds = time_steps(arguments.rank, arguments.counts, arguments.warmup + arguments.steps)
        if arguments.rank == 0:
            print(json.dumps({"step_seconds": seconds[arguments.warmup :]}), flush=True)
    distributed.barrier()  # a rank that leaves early can break the last reduction of the others
    distributed.destroy_process_group()


def wrap(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The model in DDP, with channels last."""
    model = model.to(memory_format=torch.channels_last)
    replica = DistributedDataParallel(model, broadcast_buffers=False, gradient_as_bucket_view=True)
    return replica, optimizer


def time_steps(rank: int, counts: Sequence[int], steps: int) -> list[float]:
    """Trains on one batch, of which this rank has counts[rank] samples.

    DDP averages gradients over ranks, which is right where counts are equal. The loss of each rank
    is multiplied by count * world / batch, so that the average is the gradient of the whole
    batch's mean loss; where counts are equal that factor is 1.

    Returns:
        Seconds of each step.
    """
    torch.manual_seed(SEED)  # the same parameters on every rank
    model = make_model(BANDS, PATCH_SIZE, FEATURES, HIDDEN, NUM_CLASSES)
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, momentum=MOMENTUM)
    model, optimizer = wrap(model, optimizer)
    patches, labels = make_batch(rank, counts)
    weight = counts[rank] * len(counts) / sum(counts)

    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = weight * nn.functional.cross_entropy(model(patches), labels)
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    if not np.isfinite(loss.item()):
        raise FloatingPointError("the loss of the benchmark is not finite")
    return seconds


def make_batch(rank: int, counts: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """This rank's samples of a random batch: patches, float32 [n, bands, p, p], labels [n]."""
    rng = np.random.default_rng(SEED)
    patches = rng.normal(size=(sum(counts), PATCH_SIZE, PATCH_SIZE, BANDS)).astype(np.float32)
    labels = rng.integers(0, NUM_CLASSES, sum(counts))
    own = slice(sum(counts[:rank]), sum(counts[: rank + 1]))
    # Channels last: bands lie innermost in memory, as they come.
    return torch.from_numpy(patches[own]).permute(0, 3, 1, 2), torch.from_numpy(labels[own])


if __name__ == "__main__":
    main()
