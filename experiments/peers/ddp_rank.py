"""One rank of PyTorch DistributedDataParallel on gloo, an outside baseline.

Start one process for each rank; rank 0 prints a line of JSON with the time of every step:

    python experiments/peers/ddp_rank.py --rank 0 --world 3 --port 29500 --counts 96,48,48

All that made DDP faster here is on: channels-last memory, gradients kept in the buckets, no
broadcast of running statistics, a batch that is on the device already.

With --handover FILE --workdir DIR it trains on the data of `experiments.compare` instead.

The programs of this folder need only torch (requirements.txt) and NumPy, and run under a Python
that may have nothing else. Each is started by its path, so that Python finds its siblings here.
"""

# pyright: reportMissingImports=false
# torch is in the Python that runs this program, not in ours.

from datetime import timedelta

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from arguments import parse_arguments
from rank_work import do_work

TIMEOUT = timedelta(minutes=5)  # for other ranks, in every step and while rank 0 predicts


def main() -> None:
    """Joins the other ranks and trains; on random samples, rank 0 prints the times."""
    arguments = parse_arguments("One rank of PyTorch DistributedDataParallel on gloo.")
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"tcp://127.0.0.1:{arguments.port}",
        rank=arguments.rank,
        world_size=arguments.world,
        timeout=TIMEOUT,
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
