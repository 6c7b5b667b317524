"""The ranks of a peer, which meet on gloo."""

# pyright: reportMissingImports=false
# torch is in the Python that runs this program, not in ours.

import argparse
import contextlib
from collections.abc import Iterator
from datetime import timedelta

import torch
from torch import distributed

TIMEOUT = timedelta(minutes=5)  # for other ranks, in every step and while rank 0 predicts


@contextlib.contextmanager
def joined(arguments: argparse.Namespace) -> Iterator[None]:
    """Joins the other ranks, with one thread, and parts from them at the end."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"tcp://127.0.0.1:{arguments.port}",
        rank=arguments.rank,
        world_size=arguments.world,
        timeout=TIMEOUT,
    )
    yield
    distributed.barrier()  # a rank that leaves early can break the last reduction of the others
    distributed.destroy_process_group()


def add_up(tensors: list[torch.Tensor], weight: float) -> None:
    """Puts the weighted sum over all ranks in place of these tensors, in one message."""
    vector = weight * torch.cat([tensor.reshape(-1) for tensor in tensors])
    distributed.all_reduce(vector)
    start = 0
    for tensor in tensors:
        end = start + tensor.numel()
        tensor.copy_(vector[start:end].view_as(tensor))
        start = end
