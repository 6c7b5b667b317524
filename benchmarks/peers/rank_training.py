"""Trains the cnn2d on the file that `hsi_jax.comparison.peer_data` hands over; of DDP and Horovod.

Data, batches, first parameters, learning rates and validations are those of our run. Each rank has
its consecutive part of every batch. The time of a step begins when its samples, which are on the
device already, are chosen, and ends with the updated parameters; validation is not part of it, as
in our runs.
"""

# pyright: reportMissingImports=false
# torch is in the Python that runs this program, not in ours.

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from handover import Batches, Handover, part_of
from network import model_of
from recorder import Recorder

# Makes the model to train with and the optimiser to step with of a model and its optimiser.
Wrap = Callable[[nn.Module, torch.optim.Optimizer], tuple[nn.Module, torch.optim.Optimizer]]


def train(handover: Handover, counts: list[int], rank: int, *, wrap: Wrap, workdir: Path) -> None:
    """Trains this rank's part; rank 0 writes metrics.jsonl and, at the end, result.npz.

    The peers average the ranks' gradients, which is right if counts are equal. So each rank's loss
    is multiplied by count * ranks / batch: then the average is the gradient of the mean loss of
    the whole batch. If counts are equal, that factor is 1.
    """
    settings = handover.settings
    model = model_of(handover.parameters, settings["patch_size"])
    wrapped, optimizer = wrap(model, make_optimizer(model, settings))
    batches, own = Batches(handover), part_of(counts, rank)
    weight = counts[rank] * len(counts) / sum(counts)

    record = Recorder(handover, model, workdir) if rank == 0 else None
    for step, rate in enumerate(handover.arrays["learning_rates"].tolist()):
        start = time.perf_counter()
        set_rate(optimizer, rate)
        optimizer.zero_grad()
        loss = weight * batches.loss(wrapped, batches.places(slice(step, step + 1), own))
        loss.backward()
        optimizer.step()
        value = loss.item()
        if record:
            record.step(step, value, rate, time.perf_counter() - start)
            record.validate(step + 1, since=step)
    if record:
        record.finish()


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of the next step."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def make_optimizer(model: nn.Module, settings: dict) -> torch.optim.Optimizer:
    """The optimiser of `hsi_jax.train.optimizer`; weight decay acts on kernels only."""
    kernels = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    decay = settings["weight_decay"]
    groups = [{"params": kernels, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]
    if settings["optimizer"] == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=settings["momentum"])
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings["optimizer"]](groups)
