"""What the programs that start many processes tell each of them, in its environment.

Known are SLURM (srun), Open MPI 4 and 5, MPICH, Intel MPI and torchrun.
"""

import os
import re
import sys
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from hsi_jax.errors import InputError

FIRST_PORT, PORTS = 61440, 4096  # as JAX chooses them: above those that the kernel gives away
NEIGHBOUR_SECONDS = 2.0  # in which all tasks of a node are there; they are started together


@dataclass(frozen=True)
class Place:
    """Where this process stands among those that were started with it.

    Attributes:
        coordinator: "host:port" of process 0.
        num_processes: how many there are.
        process_id: which one this is, from 0.
        local_id: which one of its machine, or None where that is not told.
        source: the variables that the address was taken from.
        remedy: what to do where it is wrong.
    """

    coordinator: str
    num_processes: int
    process_id: int
    local_id: int | None
    source: str
    remedy: str


@dataclass(frozen=True)
class _Launcher:
    """The variables of a launcher: numbers of all processes, and of those on this machine."""

    name: str
    size: str
    rank: str
    local_id: str
    local_size: str


_OPEN_MPI = _Launcher(
    "Open MPI",
    "OMPI_COMM_WORLD_SIZE",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
)
_TORCHRUN = _Launcher("torchrun", "WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
_PMI = _Launcher("MPICH or Intel MPI", "PMI_SIZE", "PMI_RANK", "MPI_LOCALRANKID", "MPI_LOCALNRANKS")
# srun tells no number of the tasks on a node by itself, but see `_tasks_here`.
_SLURM = _Launcher("SLURM", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID", "")


def find_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """The place of this process, or None where it was started alone.

    Raises:
        InputError: if there are several processes, but the variables do not tell how to join them.
    """
    launcher = _find_launcher(environment)
    if launcher is None:
        return None
    size = _number(environment, launcher, launcher.size)
    rank = _number(environment, launcher, launcher.rank)
    if rank >= size:
        raise _unclear(environment, launcher, f"{launcher.rank}={rank} is not below it")
    found = _find_coordinator(environment, launcher, size)
    if found is None:
        raise _unclear(environment, launcher, "no variable tells the address of process 0")
    local_id = environment.get(launcher.local_id, "")
    place = Place(
        coordinator=found[0],
        num_processes=size,
        process_id=rank,
        local_id=int(local_id) if local_id.isdigit() else None,
        source=found[1],
        remedy=_remedy(environment, launcher),
    )
    if launcher is _SLURM:
        _check_neighbours(environment, place)
    return place


def find_rank(environment: Mapping[str, str] = os.environ) -> int | None:
    """The number of this process among those that were started with it; None where it is alone.

    For work that needs no coordinator: nothing is checked.
    """
    launcher = _find_launcher(environment)
    rank = "" if launcher is None else environment.get(launcher.rank, "")
    return int(rank) if rank.isdigit() else None


def local_device_ids(place: Place, count: int) -> list[int] | None:
    """The numbers of this process's accelerators among those it sees; None leaves it to JAX."""
    if place.local_id is None or "JAX_LOCAL_DEVICE_IDS" in os.environ:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", os.environ.get("ROCR_VISIBLE_DEVICES", ""))
    alone = visible != "" and len(visible.split(",")) == count  # as with --gpus-per-task=1
    first = 0 if alone else place.local_id * count
    return list(range(first, first + count))


def describe_unused_tasks(environment: Mapping[str, str] = os.environ) -> str:
    """A line where a job of SLURM has several tasks, but this process was not started by srun."""
    tasks = environment.get("SLURM_NTASKS", "1")
    if "SLURM_STEP_ID" in environment or not tasks.isdigit() or int(tasks) < 2:
        return ""
    return (
        f"SLURM_NTASKS={tasks}, but this is one process; start it with srun to have one for each "
        f"task"
    )


def _find_launcher(environment: Mapping[str, str]) -> _Launcher | None:
    """What has started several processes; the innermost, as where mpirun uses srun."""
    launchers = [_OPEN_MPI, _PMI, _SLURM]
    if _TORCHRUN.rank in environment:
        launchers.insert(1, _TORCHRUN)
    else:
        launchers.append(_TORCHRUN)  # only its size, which may be left from something else
    if all(
        environment.get(getattr(_PMI, name)) == environment.get(getattr(_SLURM, name))
        for name in ("size", "rank")
    ):
        launchers.remove(_PMI)  # srun --mpi=pmi2 tells it both ways
    return next((each for each in launchers if environment.get(each.size, "1") != "1"), None)


def _find_coordinator(
    environment: Mapping[str, str], launcher: _Launcher, size: int
) -> tuple[str, str] | None:
    """The address of process 0, and the variables that tell it."""
    if given := environment.get("JAX_COORDINATOR_ADDRESS"):
        return given, "JAX_COORDINATOR_ADDRESS"
    if "MASTER_ADDR" in environment and environment.get("MASTER_PORT", "").isdigit():
        # torchrun itself may listen at its port.
        port = int(environment["MASTER_PORT"]) + (launcher is _TORCHRUN)
        host = environment["MASTER_ADDR"]
        return _address(host, port), f"MASTER_ADDR={host}, MASTER_PORT"
    if environment.get(launcher.local_size) == str(size):
        port = _port(environment, _launcher_pid(launcher))
        return f"127.0.0.1:{port}", f"{launcher.local_size}={size}: all on one machine"
    if launcher is _OPEN_MPI:
        return _open_mpi_coordinator(environment) or _slurm_coordinator(environment)
    return _slurm_coordinator(environment)


def _open_mpi_coordinator(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """The machine of mpirun, where process 0 is as a rule."""
    name = "OMPI_MCA_orte_hnp_uri"  # of version 4
    found = re.search(r"tcp6?://\[?([^,\]]+?)[,\]:]\S*", environment.get(name, ""))
    if found:
        job = environment[name].split(".")[0]
        return _address(found[1], _port(environment, job)), f"{name}={environment[name]}"
    name = "PMIX_NAMESPACE"  # of version 5: prterun-HOST-PID@JOB
    found = re.fullmatch(r"prterun-(.+)-(\d+)@\d+", environment.get(name, ""))
    if found:
        port = _port(environment, found[2])
        return _address(found[1], port), f"{name}={environment[name]}"
    return None


def _slurm_coordinator(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """The first node of the step."""
    for name in ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST"):
        nodes = environment.get(name, "")
        if nodes:
            job = (environment.get(key, "") for key in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
            port = _port(environment, ".".join(job))
            return _address(first_node(nodes), port), f"{name}={nodes}"
    return None


def first_node(nodes: str) -> str:
    """The first host of a list of SLURM's, such as gpu[01-04,7]-ib,login."""
    return re.sub(r"\[([^\],-]*)[^\]]*\]", r"\1", re.split(r",(?![^\[]*\])", nodes)[0])


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _port(environment: Mapping[str, str], job: object) -> int:
    """A port that is the same in all processes of a job, and as a rule another in other jobs."""
    given = environment.get("JAX_COORDINATOR_PORT", "")
    return int(given) if given.isdigit() else FIRST_PORT + zlib.crc32(str(job).encode()) % PORTS


def _launcher_pid(launcher: _Launcher) -> int:
    """The process that has started all of this machine: the first above us without a rank."""
    for parent in psutil.Process().parents():
        try:
            if launcher.rank not in parent.environ():
                return parent.pid
        except psutil.Error:  # it is another user's
            return parent.pid
    return 0


def _number(environment: Mapping[str, str], launcher: _Launcher, name: str) -> int:
    text = environment.get(name)
    if text is None:
        raise _unclear(environment, launcher, f"{name} is not set")
    if not text.isdigit():
        raise _unclear(environment, launcher, f"{name}={text} is no number")
    return int(text)


def _unclear(environment: Mapping[str, str], launcher: _Launcher, problem: str) -> InputError:
    return InputError(
        f"{launcher.size}={environment[launcher.size]} ({launcher.name}) tells of several "
        f"processes, but {problem}; {_remedy(environment, launcher)}"
    )


def _remedy(environment: Mapping[str, str], launcher: _Launcher) -> str:
    size = environment[launcher.size]
    return (
        f"give `coordinator`=HOST:PORT of process 0, `num_processes`={size} and "
        f"`process_id`=${launcher.rank}, or, for one process alone, unset {launcher.size}"
    )


def _check_neighbours(environment: Mapping[str, str], place: Place) -> None:
    """Checks that srun has started other tasks too, and this is no shell that got its variables.

    Raises:
        InputError: if this process is the only one of its step here, though there are more tasks.
    """
    shell = "SLURM_PTY_PORT" in environment and sys.stdin is not None and sys.stdin.isatty()
    if not shell and (_tasks_here(environment) < 2 or not sys.platform.startswith("linux")):
        return
    deadline = time.monotonic() + NEIGHBOUR_SECONDS
    while not shell:
        if _has_neighbour(environment):
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.2)
    raise InputError(
        f"{_SLURM.size}={place.num_processes} tells of several processes, but only this one is "
        f"here, as in a shell of srun --pty; start all of them with srun python ... from outside; "
        f"or {place.remedy}"
    )


def _tasks_here(environment: Mapping[str, str]) -> int:
    """The tasks of the step on this node, from SLURM's short form, such as 4(x2),1."""
    counts = []
    for part in environment.get("SLURM_STEP_TASKS_PER_NODE", "").split(","):
        if found := re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part):
            counts += [int(found[1])] * int(found[2] or 1)
    node = environment.get("SLURM_NODEID", "")
    if node.isdigit() and int(node) < len(counts):
        return counts[int(node)]
    if environment.get("SLURM_STEP_NUM_NODES") == "1":
        return int(environment[_SLURM.size])
    return 1


def _has_neighbour(environment: Mapping[str, str]) -> bool:
    """Whether another task of the same step runs on this machine."""
    same = ("SLURM_JOB_ID", "SLURM_STEP_ID")
    for process in psutil.process_iter():
        try:
            other = process.environ()
        except (psutil.Error, OSError):  # it has ended, or is another user's
            continue
        if all(other.get(name) == environment.get(name) for name in same):
            rank = other.get(_SLURM.rank, environment[_SLURM.rank])
            if rank != environment[_SLURM.rank]:
                return True
    return False
