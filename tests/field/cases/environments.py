"""Environments of processes: variables, streams, launchers and clusters."""

from tests.field.cases.case import Case
from tests.field.cases.commands import QUICK, command_case


def variables(name: str, refused: str = "", **environment: str | None) -> Case:
    """A run with some variables of the environment."""
    return command_case(f"environment: {name}", environment=environment, refused=refused)


def fatal(value: str) -> Case:
    """A value of XLA_FLAGS at which XLA ends the process, in its own words."""
    return command_case(
        f"environment: XLA_FLAGS={value}",
        environment={"XLA_FLAGS": value},
        refused="XLA_FLAGS",
        code=1,
    )


def launched(name: str, **environment: str) -> Case:
    """Two processes of `launch`."""
    run = ("--dataset=file", "--cube=cube.npy", "--labels=labels.npy", "--workdir=run")
    quick = [flag for flag in QUICK if not flag.startswith("--profile")]
    return command_case(
        f"launch with {name}",
        *("--profile=2:1", "--", *run, *quick),
        program="experiments.launch",
        environment=environment,
    )


def streams(name: str, shell: str, refused: str = "", **more) -> Case:
    """A run whose streams or limits a shell sets."""
    return command_case(f"streams: {name}", shell=shell, refused=refused, **more)


SLURM = {
    "SLURM_JOB_ID": "4242",
    "SLURM_JOB_NODELIST": "localhost",
    "SLURM_NNODES": "1",
    "SLURM_CLUSTER_NAME": "test",
}
STEP = SLURM | {
    "SLURM_STEP_ID": "0",
    "SLURM_STEP_NUM_NODES": "1",
    "SLURM_STEP_NODELIST": "localhost",
    "SLURM_NTASKS": "2",
    "SLURM_STEP_NUM_TASKS": "2",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
}
ALONE = {"SLURM_NTASKS": "1", "SLURM_STEP_NUM_TASKS": "1"}
SALLOC = {"SLURM_NTASKS": "4", "SLURM_NPROCS": "4", "SLURM_TASKS_PER_NODE": "4"}
SBATCH = {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}
BROKEN = {"SLURM_STEP_NODELIST": "gpu[01-", "SLURM_PROCID": "1", "SLURM_LOCALID": "1"}
PROXY = "http://127.0.0.1:9"


def cluster(name: str, refused: str = "", *without: str, **environment: str) -> Case:
    """A run that a launcher of clusters has started."""
    given = {key: value for key, value in environment.items() if key not in without}
    return command_case(f"started by {name}", environment=given, refused=refused)


CASES = [
    variables("nothing special"),
    variables(
        "JAX's variables that would change numbers, and a notebook's backend",
        MPLBACKEND="module://matplotlib_inline.backend_inline",
        JAX_ENABLE_X64="1",
        JAX_DISABLE_JIT="1",
        JAX_TRANSFER_GUARD="disallow",
        JAX_NUMPY_RANK_PROMOTION="raise",
        JAX_NUMPY_DTYPE_PROMOTION="strict",
        JAX_DEFAULT_PRNG_IMPL="rbg",
        JAX_RANDOM_SEED_OFFSET="7",
        JAX_NUM_CPU_DEVICES="1",
        JAX_COMPILATION_CACHE_DIR="/proc/nowhere",
        JAX_PLATFORMS="",
    ),
    variables(
        "JAX's variables that look for mistakes",
        JAX_DEBUG_NANS="1",
        JAX_CHECK_TRACER_LEAKS="1",
        JAX_EXPLAIN_CACHE_MISSES="1",
        JAX_ENABLE_CHECKS="1",
        JAX_LOG_COMPILES="1",
    ),
    variables(
        "folders that are not there",
        HOME="/nonexistent",
        TMPDIR="/nonexistent",
        MPLCONFIGDIR="/proc/nowhere",
        MATPLOTLIBRC="/nonexistent",
        TFDS_DATA_DIR="/proc/nowhere",
        PATH="/nonexistent",
        USER=None,
        XLA_FLAGS="--xla_force_host_platform_device_count=8",
    ),
    variables(
        "words where numbers are expected, and terminals",
        OMP_NUM_THREADS="x",
        NPROC="many",
        COLUMNS="x",
        TZ="nonsense",
        LC_ALL="xx_YY.nonsense",
        TERM="dumb",
        TF_CPP_MIN_LOG_LEVEL="x",
        CUDA_VISIBLE_DEVICES="",
        http_proxy=PROXY,
    ),
    variables(
        "Python's variables",
        PYTHONIOENCODING="ascii:strict",
        PYTHONUTF8="0",
        PYTHONOPTIMIZE="2",
        PYTHONWARNINGS="error",
        LC_ALL="C",
        HOME=None,
    ),
    variables("PYTHONIOENCODING=utf-16", PYTHONIOENCODING="utf-16"),
    variables("JAX_PLATFORMS=cuda", "JAX_PLATFORMS=cuda", JAX_PLATFORMS="cuda"),
    variables("JAX_PLATFORMS=CPU", "JAX_PLATFORMS=CPU", JAX_PLATFORMS="CPU"),
    variables("JAX_PLATFORMS=tpu,cpu", "JAX_PLATFORMS=tpu,cpu", JAX_PLATFORMS="tpu,cpu"),
    variables("JAX_PLATFORM_NAME=gpu", "JAX_PLATFORM_NAME=gpu", JAX_PLATFORM_NAME="gpu"),
    variables("JAX_NUM_CPU_DEVICES=many", "jax_num_cpu_devices", JAX_NUM_CPU_DEVICES="many"),
    variables(
        "JAX_DEFAULT_MATMUL_PRECISION=x",
        "jax_default_matmul_precision",
        JAX_DEFAULT_MATMUL_PRECISION="x",
    ),
    variables(
        "XLA_FLAGS with too few devices",
        "XLA_FLAGS",
        XLA_FLAGS="--xla_force_host_platform_device_count=1",
    ),
    fatal("--xla_no_such_flag=1"),
    fatal("nonsense"),
    launched("proxies", http_proxy=PROXY, https_proxy=PROXY, HTTP_PROXY=PROXY, grpc_proxy=PROXY),
    launched(
        "XLA_FLAGS, JAX_NUM_CPU_DEVICES and SLURM's variables around",
        XLA_FLAGS="--xla_force_host_platform_device_count=4",
        JAX_NUM_CPU_DEVICES="4",
        **SLURM,
        **SALLOC,
    ),
    streams("head -1", '"$@" | head -1'),
    streams("all three closed", '"$@" <&- >&- 2>&-'),
    streams("full disks", '"$@" >/dev/full 2>/dev/full'),
    streams("64 open files, one core", 'ulimit -n 64; taskset -c 0 "$@"'),
    cluster("ssh into an allocation", **SLURM),
    cluster("salloc -n 4, then python", **SLURM, **SALLOC),
    cluster("sbatch -n 4, python without srun", **SLURM, **SBATCH),
    cluster("srun -n 1 --pty", **STEP | ALONE),
    cluster("srun without SLURM_LOCALID", "srun python", "SLURM_LOCALID", **STEP),
    cluster("srun without SLURM_PROCID", "SLURM_PROCID", "SLURM_PROCID", **STEP),
    cluster("srun with words for numbers", "SLURM_", **STEP | {"SLURM_PROCID": "x"}),
    cluster("srun with a rank too large", "SLURM_PROCID", **STEP | {"SLURM_PROCID": "7"}),
    cluster("srun with no node list", "for 2 processes", **STEP | {"SLURM_STEP_NODELIST": ""}),
    cluster("srun with a node list that is broken", "NODELIST", **STEP | BROKEN),
    cluster("Open MPI 5, one process", OMPI_COMM_WORLD_SIZE="1", OMPI_COMM_WORLD_RANK="0"),
    cluster(
        "Open MPI 5 without an address",
        "OMPI|coordinator",
        OMPI_COMM_WORLD_SIZE="2",
        OMPI_COMM_WORLD_RANK="0",
        PRTE_LAUNCHED="1",
    ),
    cluster("MPICH without a rank", "PMI_RANK", PMI_SIZE="2"),
    cluster("torchrun without an address", "address of process 0", WORLD_SIZE="2", RANK="0"),
    cluster("torchrun with a word for the size", "WORLD_SIZE", WORLD_SIZE="two", RANK="0"),
    cluster("a container with WORLD_SIZE alone", "RANK", WORLD_SIZE="2"),
]
