"""One rank of PyTorch DistributedDataParallel on gloo: the outside baseline of `distributed`.

Start one process for each rank; rank 0 prints a line of JSON with the time of every step:

    python -m benchmarks.peers.ddp --rank 0 --world 3 --port 29500 --counts 96,48,48

The network is `hsi_jax.models.cnn2d` with its defaults and the optimiser is SGD with momentum, as
in `benchmarks.cluster_step`. Whatever made DDP faster here is on: channels-last memory, gradients
kept in the buckets, no broadcast of running statistics, a batch that already lies on the device.

Needs torch (benchmarks/peers/requirements.txt) and NumPy alone, so that it may live in a virtual
environment without JAX.
"""

import argparse
import json
import time
from collections.abc import Sequence
from datetime import timedelta

import numpy as np
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

PATCH_SIZE = 11
BANDS = 30
NUM_CLASSES = 9
FEATURES = (64, 64, 128)
HIDDEN = 128
LEARNING_RATE = 0.1
MOMENTUM = 0.9
SEED = 0
PATIENCE = timedelta(seconds=60)  # for the other ranks, at the start and in every step


def main() -> None:
    """Joins the other ranks, trains on random samples and prints, on rank 0, what it took."""
    arguments = parse_arguments()
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"tcp://127.0.0.1:{arguments.port}",
        rank=arguments.rank,
        world_size=arguments.world,
        timeout=PATIENCE,
    )
    seconds = time_steps(arguments.rank, arguments.counts, arguments.warmup + arguments.steps)
    if arguments.rank == 0:
        print(json.dumps({"step_seconds": seconds[arguments.warmup :]}), flush=True)
    distributed.barrier()  # a rank that leaves early can break the last reduction of the others
    distributed.destroy_process_group()


def parse_arguments() -> argparse.Namespace:
    """Reads the flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rank", type=int, required=True, help="number of this process, from 0")
    parser.add_argument("--world", type=int, required=True, help="number of processes")
    parser.add_argument("--port", type=int, required=True, help="free TCP port, for rank 0")
    parser.add_argument("--counts", required=True, help="samples of each rank, as 96,48,48")
    parser.add_argument("--steps", type=int, default=30, help="timed steps")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them")
    arguments = parser.parse_args()
    try:
        arguments.counts = [int(count) for count in arguments.counts.split(",")]
    except ValueError:
        parser.error(f"--counts={arguments.counts}: give whole numbers between commas")
    if len(arguments.counts) != arguments.world or min(arguments.counts) < 1:
        parser.error(f"--counts={arguments.counts}: give {arguments.world} numbers >= 1")
    return arguments


def time_steps(rank: int, counts: Sequence[int], steps: int) -> list[float]:
    """Trains on one batch, of which this rank has counts[rank] samples.

    DDP averages gradients over ranks, which is right where counts are equal. The loss of each rank
    is multiplied by count * world / batch, so that the average is the gradient of the whole
    batch's mean loss; where counts are equal that factor is 1.

    Returns:
        Seconds of each step.
    """
    torch.manual_seed(SEED)  # the same parameters on every rank
    model = DistributedDataParallel(
        make_model().to(memory_format=torch.channels_last),
        broadcast_buffers=False,
        gradient_as_bucket_view=True,
    )
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, momentum=MOMENTUM)
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


def make_model() -> nn.Module:
    """`hsi_jax.models.cnn2d` with its defaults: patches [n, bands, p, p] to logits [n, classes]."""
    layers = []
    channels = BANDS
    for layer, width in enumerate(FEATURES):
        layers += [
            nn.Conv2d(channels, width, 3, padding="same", bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        ]
        if layer == 1:
            layers.append(nn.MaxPool2d(2))
        channels = width
    inputs = channels * (PATCH_SIZE // 2) ** 2
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, NUM_CLASSES)
    )


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
