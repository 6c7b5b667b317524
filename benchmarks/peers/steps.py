"""The work of a PyTorch peer once its ranks have joined: training, or timing its steps.

The timed steps, on random samples, are to be compared with ours: the network is
`hsi_jax.models.cnn2d` with its defaults and the optimiser is SGD with momentum, as in
`hsi_jax.simulation.cluster_step`. The batch is on the device already, channels last.
"""

# pyright: reportMissingImports=false
# torch is in the Python that runs this program, not in ours.

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from handover import Handover
from network import make_model
from rank_training import Wrap, train

PATCH_SIZE = 11
BANDS = 30
NUM_CLASSES = 9
FEATURES = (64, 64, 128)
HIDDEN = 128
LEARNING_RATE = 0.1
MOMENTUM = 0.9
SEED = 0


def do_work(arguments: argparse.Namespace, wrap: Wrap) -> None:
    """Trains on the handed-over file if there is one; times steps on random samples if not."""
    rank, counts = arguments.rank, arguments.counts
    if arguments.handover:
        handover, workdir = Handover(arguments.handover), Path(arguments.workdir)
        train(handover, counts, rank, wrap=wrap, workdir=workdir)
    else:
        print_times(rank, counts, wrap, warmup=arguments.warmup, steps=arguments.steps)


def print_times(rank: int, counts: Sequence[int], wrap: Wrap, *, warmup: int, steps: int) -> None:
    """Trains on one batch, of which this rank has counts[rank] samples.

    The losses are weighed as in `training.train`.

    Rank 0 prints `ready` after the warm-up, and at the end the seconds of each step as JSON.
    """
    torch.manual_seed(SEED)  # the same parameters on every rank
    model = make_model(BANDS, PATCH_SIZE, features=FEATURES, hidden=HIDDEN, num_classes=NUM_CLASSES)
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, momentum=MOMENTUM)
    model, optimizer = wrap(model, optimizer)
    patches, labels = make_batch(rank, counts)
    weight = counts[rank] * len(counts) / sum(counts)

    def step():
        start = time.perf_counter()
        optimizer.zero_grad()
        loss = weight * nn.functional.cross_entropy(model(patches), labels)
        loss.backward()
        optimizer.step()
        if not np.isfinite(loss.item()):
            raise FloatingPointError("the loss of the benchmark is not finite")
        return time.perf_counter() - start

    for _ in range(warmup):
        step()
    if rank == 0:
        print("ready", flush=True)
    for _ in range(warmup):  # from now on the ranks are held to their speeds
        step()
    seconds = [step() for _ in range(steps)]
    if rank == 0:
        print(json.dumps({"step_seconds": seconds}), flush=True)


def make_batch(rank: int, counts: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """This rank's samples of a random batch: patches, float32 [n, bands, p, p], labels [n]."""
    rng = np.random.default_rng(SEED)
    patches = rng.normal(size=(sum(counts), PATCH_SIZE, PATCH_SIZE, BANDS)).astype(np.float32)
    labels = rng.integers(0, NUM_CLASSES, sum(counts))
    own = slice(sum(counts[:rank]), sum(counts[: rank + 1]))
    # Channels last: bands lie innermost in memory, as they come.
    return torch.from_numpy(patches[own]).permute(0, 3, 1, 2), torch.from_numpy(labels[own])
