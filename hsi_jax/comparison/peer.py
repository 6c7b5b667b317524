"""Outside baselines on PyTorch: what there is, and how their ranks are started."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hsi_jax.errors import InputError
from hsi_jax.hetero import Profile, make_plan

# The peers' programs run under another Python. They are started by their paths, so that it finds
# their folder, and nothing else of ours.
PROGRAMS = Path(__file__).parents[2] / "benchmarks" / "peers"


@dataclass(frozen=True)
class Peer:
    """Another program that trains like our runs.

    Attributes:
        label: its name in tables.
        script: its program, in `PROGRAMS`.
        module: the module that its Python must have.
        scheme: ours that divides the batch alike.
        in_steps: whether all ranks take the same steps from the start, which can then be timed.
    """

    label: str
    script: str
    module: str
    scheme: str
    in_steps: bool = True


PEERS: dict[str, Peer] = {
    "ddp_even": Peer("DDP even", "ddp_rank.py", "torch", "even"),
    "ddp_proportional": Peer("DDP proportional", "ddp_rank.py", "torch", "balanced"),
    "horovod_even": Peer("Horovod even", "horovod_rank.py", "horovod", "even"),
    "horovod_proportional": Peer("Horovod proportional", "horovod_rank.py", "horovod", "balanced"),
    "omnilearn": Peer("OmniLearn", "omnilearn_rank.py", "torch", "even", in_steps=False),
    "local_sgd_even": Peer("Local SGD even", "local_sgd_rank.py", "torch", "even", in_steps=False),
    "local_sgd_proportional": Peer(
        "Local SGD proportional", "local_sgd_rank.py", "torch", "balanced", in_steps=False
    ),
}


def check_peer_programs() -> None:
    """Checks that the programs of the peers are there.

    Raises:
        InputError: if this is no checkout of the repository.
    """
    if not PROGRAMS.is_dir():
        raise InputError(
            f"`schemes`: the programs of the PyTorch peers are not in {PROGRAMS}; they come with a "
            f"checkout of the repository, not with the installed package"
        )


def find_version(python: str, module: str) -> str | None:
    """The version of a module in that Python, or None if it cannot be imported."""
    code = f"import {module}; print({module}.__version__)"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else None


def peer_counts(scheme: str, profile: Profile, batch_size: int) -> tuple[int, ...]:
    """Samples of each rank, divided to the sample, evenly or by the declared speeds.

    Raises:
        InputError: if a rank would have none, which these peers cannot do.
    """
    counts = make_plan(PEERS[scheme].scheme, profile, batch_size, 1).counts
    if min(counts) < 1:
        raise InputError(
            f"`batch_size`={batch_size}: {scheme} divides it as {counts}; each rank needs one"
        )
    return counts


def peer_command(
    scheme: str, counts: Sequence[int], *, python: str, handover: Path, workdir: Path
) -> Callable[..., tuple[str, ...]]:
    """Makes the function that makes a rank's command, for `hsi_jax.launch.launching.launch`."""
    own = (f"--handover={handover}", f"--workdir={workdir}")

    def command(
        run_flags: Sequence[str], coordinator: str, num_processes: int, process_id: int
    ) -> tuple[str, ...]:
        port = int(coordinator.rpartition(":")[2])
        return rank_command(PEERS[scheme], counts, process_id, python=python, port=port) + own

    return command


def rank_command(
    peer: Peer, counts: Sequence[int], rank: int, *, python: str, port: int
) -> tuple[str, ...]:
    """The command of one rank of a peer that has counts[rank] samples of a batch.

    Args:
        peer: one of `PEERS`.
        counts: samples of each rank.
        rank: from 0.
        python: path of a Python that has the peer's module.
        port: a free TCP port, for rank 0.
    """
    return (
        *(python, str(PROGRAMS / peer.script), f"--rank={rank}", f"--world={len(counts)}"),
        *(f"--port={port}", f"--counts={','.join(map(str, counts))}"),
    )


def start_folder(folder: Path) -> None:
    """Makes an empty folder for a peer's run, in place of one that was left unfinished."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
