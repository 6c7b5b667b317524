"""One rank of Horovod on gloo, an outside baseline; its flags are those of ddp_rank.py.

    python benchmarks/peers/horovod_rank.py --rank 0 --world 3 --port 29500 --counts 96,48,48

Needs only torch, horovod (requirements.txt) and NumPy. It does the work of `horovodrun` itself,
because our launcher starts, pins and throttles the ranks: rank 0 serves the rendezvous, and
environment variables tell each rank its place.
"""

# pyright: reportMissingImports=false
# torch and horovod are in the Python that runs this program, not in ours.

import argparse
import os
import socket
import threading
import time

import torch

from arguments import parse_arguments
from steps import do_work

HOST = "127.0.0.1"
JOIN_SECONDS = 60  # in which rank 0 must come


def main() -> None:
    """Joins the other ranks and trains; on random samples, rank 0 prints the times."""
    arguments = parse_arguments("One rank of Horovod on gloo.")
    torch.set_num_threads(1)
    join(arguments)
    import horovod.torch as hvd

    hvd.init()

    def wrap(model, optimizer):  # parameters not channels last: Horovod wants them contiguous
        named = model.named_parameters()
        return model, hvd.DistributedOptimizer(optimizer, named_parameters=named)

    do_work(arguments, wrap)
    hvd.barrier()
    hvd.shutdown()
    os._exit(0)  # the rendezvous of rank 0 would keep it alive


def join(arguments: argparse.Namespace) -> None:
    """Tells Horovod its place by environment variables; rank 0 serves, the others wait for it."""
    os.environ |= {
        "HOROVOD_HOSTNAME": HOST,
        "HOROVOD_RANK": str(arguments.rank),
        "HOROVOD_SIZE": str(arguments.world),
        "HOROVOD_LOCAL_RANK": str(arguments.rank),
        "HOROVOD_LOCAL_SIZE": str(arguments.world),
        "HOROVOD_CROSS_RANK": "0",
        "HOROVOD_CROSS_SIZE": "1",
        "HOROVOD_GLOO_RENDEZVOUS_ADDR": HOST,
        "HOROVOD_GLOO_RENDEZVOUS_PORT": str(arguments.port),
        "HOROVOD_CONTROLLER": "gloo",
        "HOROVOD_CPU_OPERATIONS": "gloo",
        "HOROVOD_GLOO_IFACE": "lo",
    }
    if arguments.rank == 0:
        _serve(arguments)
    deadline = time.monotonic() + JOIN_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection((HOST, arguments.port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(f"rank 0 has not come to {HOST}:{arguments.port}")


def _serve(arguments: argparse.Namespace) -> None:
    from horovod.runner.common.util.hosts import get_host_assignments, parse_hosts
    from horovod.runner.http.http_server import RendezvousHandler, RendezvousHTTPServer

    server = RendezvousHTTPServer((HOST, arguments.port), RendezvousHandler, 0)
    hosts = parse_hosts(f"{HOST}:{arguments.world}")
    server.init(get_host_assignments(hosts, arguments.world, arguments.world))
    threading.Thread(target=server.serve_forever, daemon=True).start()


if __name__ == "__main__":
    main()
