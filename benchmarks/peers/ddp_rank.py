"""One rank of PyTorch DistributedDataParallel on gloo, an outside baseline.

Start one process for each rank; rank 0 prints a line of JSON with the time of every step:

    python benchmarks/peers/ddp_rank.py --rank 0 --world 3 --port 29500 --counts 96,48,48

All that made DDP faster here is on: channels-last memory, gradients kept in the buckets, no
broadcast of running statistics, a batch that is on the device already.

With --handover FILE --workdir DIR it trains on the data of `experiments.compare` instead.

The programs of this folder need only torch (requirements.txt) and NumPy, and run under a Python
that may have nothing else. Each is started by its path, so that Python finds its siblings here.
"""

# pyright: reportMissingImports=false
# torch is in the Python that runs this program, not in ours.

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from arguments import parse_arguments
from gloo_group import joined
from steps import do_work


def main() -> None:
    """Joins the other ranks and trains; on random samples, rank 0 prints the times."""
    arguments = parse_arguments("One rank of PyTorch DistributedDataParallel on gloo.")
    with joined(arguments):
        do_work(arguments, wrap)


def wrap(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The model in DDP, with channels last."""
    model = model.to(memory_format=torch.channels_last)
    replica = DistributedDataParallel(model, broadcast_buffers=False, gradient_as_bucket_view=True)
    return replica, optimizer


if __name__ == "__main__":
    main()
