"""One rank of PyTorch DistributedDataParallel on gloo, an outside baseline.

Start one process for each rank; rank 0 prints a line of JSON with the time of every step:

    python -m benchmarks.peers.ddp --rank 0 --world 3 --port 29500 --counts 96,48,48

Whatever made DDP faster here is on: channels-last memory, gradients kept in the buckets, no
broadcast of running statistics, a batch that already lies on the device.

With --handover FILE --workdir DIR it trains on what `experiments.compare` hands over instead.

Needs torch (benchmarks/peers/requirements.txt) and NumPy alone, so that it may live in a virtual
environment without JAX.
"""

from datetime import timedelta

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from benchmarks.peers.arguments import parse_arguments
from benchmarks.peers.work import do_work

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
    do_work(arguments, wrap)
    distributed.barrier()  # a rank that leaves early can break the last reduction of the others
    distributed.destroy_process_group()


def wrap(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The model in DDP, with channels last."""
    model = model.to(memory_format=torch.channels_last)
    replica = DistributedDataParallel(model, broadcast_buffers=False, gradient_as_bucket_view=True)
    return replica, optimizer


if __name__ == "__main__":
    main()
