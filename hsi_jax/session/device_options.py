"""The options of a run on its network, and on the devices that train it."""

from dataclasses import dataclass

from hsi_jax.errors import InputError
from hsi_jax.hetero import SCHEMES
from hsi_jax.kernels.choice import KERNELS
from hsi_jax.models import MODELS, Model
from hsi_jax.options import check_options, option


@dataclass(frozen=True)
class ModelOptions:
    """Which network learns.

    Raises:
        InputError: on a value that cannot be used.
    """

    model: Model | None = option(
        None,
        "network, or package.module:factory of your own; default cnn2d for a scene, resnet20 for "
        "images",
        kind=str,
        choices=MODELS,
    )
    patch_size: int | None = option(
        None,
        "side of a patch, odd; default by model",
        kind=int,
        at_least=1,
    )
    model_options: str = option(
        "",
        'such as "features=(32, 32, 64); hidden=64"',
    )

    def __post_init__(self):
        check_options(self)
        if self.patch_size is not None and self.patch_size % 2 == 0:
            raise InputError(f"`patch_size`={self.patch_size}: give an odd number")


@dataclass(frozen=True)
class DeviceOptions:
    """The devices, and how the work is divided over them.

    Raises:
        InputError: on a value that cannot be used.
    """

    profile: str | None = option(
        None,
        "speeds such as 4:2:1:1, a preset, a .json file, or measured; default 4:2:1:1 on a CPU, "
        "like shares on accelerators, measured in a cluster",
        kind=str,
        path=True,
        may_change=True,
    )
    scheme: str = option(
        "balanced",
        "shares and weights",
        choices=SCHEMES,
    )
    retime_every: int = option(
        20,
        "steps between the timed steps of `scheme`=adaptive",
        at_least=1,
        may_change=True,
    )
    dead_band: float = option(
        0.05,
        "error of a measured time, as a fraction, that adaptive shares always take for noise; they "
        "allow for more where the measured times spread more",
        at_least=0,
        below=1,
        may_change=True,
    )
    hysteresis: int = option(
        2,
        "timed steps in a row that must speak for moving adaptive shares",
        at_least=1,
        may_change=True,
    )
    time_devices: bool = option(
        False,
        "time one step in `retime_every` with every scheme, not only adaptive",
        may_change=True,
    )
    measure_even: bool = option(
        False,
        "before training, also time some steps with even shares, on copies of the state",
        may_change=True,
    )
    check_every: int = option(
        100,
        "with several processes: steps between comparisons of the parameters of all devices, "
        "which must stay equal; 0 for none but those before each checkpoint",
        at_least=0,
        may_change=True,
    )
    audit_every: int | None = option(
        None,
        "steps between audits, in which a microbatch of each device is computed by a like one as "
        "well; 0 is never; default 200 with several processes",
        kind=int,
        at_least=0,
        may_change=True,
    )
    engine: str = option(
        "auto",
        "with several processes: jax, which ends all of them when one is lost; or mpi, with which "
        "the others compute what the lost one was to do, and go on; auto takes mpi under "
        "mpirun --with-ft ulfm",
        choices=("auto", "jax", "mpi"),
        may_change=True,
    )
    lost_after: float = option(
        30.0,
        "with `engine`=mpi: seconds without a sign of life after which a process is ended",
        at_least=1,
        may_change=True,
    )
    reduce: str = option(
        "auto",
        "with several processes: who adds their sums: one program over all devices (device), or "
        "the processes themselves (host), whose platforms may then be unlike, such as a GPU here "
        "and a CPU there; auto takes host where they are unlike",
        choices=("auto", "device", "host"),
        may_change=True,
    )
    kernels: str = option(
        "auto",
        "who computes convolutions on a CPU: XLA (xla), or bundled C++ kernels (native) that a "
        "compiler builds for this processor at the first use; they are faster and differ in the "
        "last bits. auto: those that the run began with; at first native where all processes can",
        choices=KERNELS,
    )
    devices_per_process: int = option(
        1,
        "with several processes: devices of this one, such as the GPUs that it sees; a CPU is "
        "divided into this many. Processes may have different numbers; a `profile` lists the "
        "devices of all, process by process",
        at_least=1,
        may_change=True,
    )
    coordinator: str = option(
        "",
        "host:port of process 0; not needed under srun, mpirun or torchrun",
        may_change=True,
    )
    num_processes: int | None = option(
        None,
        "with `coordinator`: number of processes",
        kind=int,
        at_least=1,
        may_change=True,
    )
    process_id: int | None = option(
        None,
        "with `coordinator`: number of this one",
        kind=int,
        at_least=0,
        may_change=True,
    )

    def __post_init__(self):
        check_options(self)
        given = [n for n in ("num_processes", "process_id") if getattr(self, n) is not None]
        if self.coordinator and len(given) < 2:
            raise InputError("`coordinator` needs `num_processes` and `process_id` as well")
        if given and not self.coordinator:
            raise InputError(f"`{given[0]}` goes with `coordinator`=HOST:PORT")
        if self.coordinator and self.process_id >= self.num_processes:  # pyright: ignore
            raise InputError(
                f"`process_id`={self.process_id}: give a number below "
                f"`num_processes`={self.num_processes}"
            )
