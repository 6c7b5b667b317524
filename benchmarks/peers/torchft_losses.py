"""torchft's cost of lost processes, in runs like those of benchmarks.losses.

    TORCH_PYTHON benchmarks/peers/torchft_losses.py --losses=40 --folder=DIR [--heartbeat_ms=5000]

TORCH_PYTHON has torch and torchft (`pip install torchft`, after the CPU build of torch). Runs of 2
to 6 replica groups of one process, each of one thread, train the cnn2d of benchmarks.losses on
random patches (`torchft.Manager` with gloo), an even part of each batch in every
process. All but one of them are killed (SIGKILL), one every few seconds. The cost of a loss is the
time from the signal to the next step that is committed, less a median step. A step in which a
process was lost is not committed: its batch is not learnt from unless a sampler gives it again.
"""

# pyright: reportMissingImports=false
# torch is in the Python that runs this program, not in ours.

import argparse
import itertools
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

BATCH, PATCH, BANDS, CLASSES = 60, 3, 6, 9
SECONDS = 60  # for a step, after which a run counts as hung


def main() -> None:
    """Prints a line for each run, and the costs of all losses."""
    arguments = parse_arguments()
    if arguments.rank is not None:
        train(arguments)
        return
    costs: list[float] = []
    tried = hung = 0
    while tried < arguments.losses:
        found, dropped, stuck = disturb(arguments, random.Random(tried))
        tried, hung = tried + len(found) + stuck, hung + stuck
        costs += found
        told = ", ".join(f"{cost:.2f}" for cost in found)
        print(f"costs in s: {told}; steps not committed: {dropped}; hung: {stuck}", flush=True)
    print(f"{len(costs)} killed, hung {hung}: median {statistics.median(costs):.2f} s, ", end="")
    print(f"worst {max(costs):.2f} s")


def parse_arguments() -> argparse.Namespace:
    """Reads the flags."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--losses", type=int, default=40, help="how many")
    parser.add_argument("--every", type=float, default=2.5, help="seconds between losses, at most")
    parser.add_argument("--heartbeat_ms", type=int, default=5000, help="torchft's default: 5000")
    parser.add_argument("--join_ms", type=int, default=60000, help="torchft's default: 60000")
    parser.add_argument("--folder", type=Path, required=True, help="of the records")
    parser.add_argument("--rank", type=int, help="set here: for a process of a run")
    return parser.parse_args()


def disturb(arguments: argparse.Namespace, chance: random.Random) -> tuple[list[float], int, bool]:
    """One run, of which processes are killed until one is left.

    Returns:
        The costs, s; how many steps the last one has not committed; and whether it hung.
    """
    count, folder = chance.randint(2, 6), arguments.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    killed: list[float] = []
    server, left = start(arguments, count)
    try:
        for _ in range(20):  # until all are there, and are past what is slow at first
            wait_for_step(folder, list(left), time.monotonic(), of=count)
        while len(left) > 1:
            time.sleep(chance.uniform(0, arguments.every))
            rank = chance.choice(list(left))
            killed.append(time.monotonic())
            left.pop(rank).kill()
            wait_for_step(folder, list(left), killed[-1], of=len(left))
    except TimeoutError:
        return [], 0, True
    finally:
        for process in (*left.values(), server):
            process.kill()
    steps = read_steps(folder, *left)
    dropped = sum(not step["committed"] for step in steps)
    return costs_of(steps, killed, range(count - 1, 0, -1)), dropped, False


def start(
    arguments: argparse.Namespace, count: int
) -> tuple[subprocess.Popen, dict[int, subprocess.Popen]]:
    """Starts torchft's lighthouse, and a run of so many replica groups, by rank."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    lighthouse = [str(Path(sys.executable).with_name("torchft_lighthouse")), f"--bind={address}"]
    lighthouse += ["--min_replicas=1", f"--heartbeat_timeout_ms={arguments.heartbeat_ms}"]
    lighthouse += [f"--join_timeout_ms={arguments.join_ms}"]
    told = {"TORCHFT_LIGHTHOUSE": f"http://{address}", "GROUPS": str(count), "OMP_NUM_THREADS": "1"}
    group = [sys.executable, __file__, f"--folder={arguments.folder}"]
    with open(arguments.folder / "log", "wb") as log:
        server = subprocess.Popen(lighthouse, stdout=log, stderr=log)
        groups = {
            rank: subprocess.Popen(
                [*group, f"--rank={rank}"], env=os.environ | told, stdout=log, stderr=log
            )
            for rank in range(count)
        }
    return server, groups


def costs_of(steps: list[dict], killed: list[float], left: Iterable[int]) -> list[float]:
    """What each loss has cost, s, by the steps of the last process and who was left after each."""
    done = [step for step in steps if step["committed"]]
    ordinary = statistics.median(
        after["at"] - step["at"] for step, after in itertools.pairwise(done)
    )
    return [
        min(step["at"] for step in done if step["at"] > at and step["groups"] <= groups)
        - at
        - ordinary
        for at, groups in zip(killed, left, strict=True)
    ]


def wait_for_step(folder: Path, ranks: list[int], since: float, *, of: int) -> None:
    """Waits until every one of these has committed a step of so many groups since then.

    Raises:
        TimeoutError: if that takes too long.
    """
    while not all(
        any(
            step["committed"] and step["at"] > since and step["groups"] <= of
            for step in read_steps(folder, rank)[-50:]
        )
        for rank in ranks
    ):
        if time.monotonic() - since > SECONDS:
            raise TimeoutError
        time.sleep(0.02)


def read_steps(folder: Path, rank: int) -> list[dict]:
    """What a process has noted of its steps so far."""
    path = folder / f"{rank}.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()[: text.count("\n")]]


def train(arguments: argparse.Namespace) -> None:
    """A replica group: trains until it is killed, and notes each step."""
    import torch
    from torch.distributed import TCPStore
    from torchft import Optimizer

    from network import make_model

    torch.set_num_threads(1)
    torch.manual_seed(0)
    groups = int(os.environ["GROUPS"])
    model = make_model(BANDS, PATCH, features=(8, 8, 8), hidden=16, num_classes=CLASSES)
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    manager = make_manager(model, arguments.rank, store.port)
    optimizer = Optimizer(manager, torch.optim.SGD(model.parameters(), lr=0.05))
    inputs = torch.randn(BATCH // groups, BANDS, PATCH, PATCH)
    labels = torch.randint(CLASSES, (BATCH // groups,))
    with open(arguments.folder / f"{arguments.rank}.jsonl", "w", buffering=1) as file:
        while True:
            before = manager.current_step()
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            # Its DistributedDataParallel (0.2.0, torch 2.13) ends in an AssertionError at a loss.
            parameters = list(model.parameters())
            grads = torch.cat([parameter.grad.flatten() for parameter in parameters])
            manager.allreduce(grads).wait()
            means = grads.split([parameter.numel() for parameter in parameters])
            for parameter, mean in zip(parameters, means, strict=True):
                parameter.grad.copy_(mean.view_as(parameter))
            optimizer.step()
            facts = {"at": time.monotonic(), "committed": manager.current_step() > before}
            file.write(json.dumps(facts | {"groups": manager.num_participants()}) + "\n")


def make_manager(model: Any, rank: int, port: int) -> Any:
    """torchft's manager of a replica group of one process."""
    from torchft import Manager, ProcessGroupGloo

    return Manager(
        pg=ProcessGroupGloo(timeout=timedelta(seconds=10)),
        min_replica_size=1,
        load_state_dict=lambda states: model.load_state_dict(states["model"]),
        state_dict=lambda: {"model": model.state_dict()},
        replica_id=f"group{rank}",
        store_addr="127.0.0.1",
        store_port=port,
        rank=0,
        world_size=1,
        hostname="127.0.0.1",
        timeout=timedelta(seconds=10),
    )


if __name__ == "__main__":
    main()
