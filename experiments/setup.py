"""From the configuration to everything that training starts from."""

import atexit
import dataclasses
import shutil
import tempfile
from dataclasses import dataclass

import jax
import optax

from experiments.config import Config
from experiments.dataset import Dataset
from experiments.images import image_dataset
from experiments.sameness import resumable_folder
from experiments.scene import scene_dataset
from hsi_jax.data import batch_ids, steps_for_epochs
from hsi_jax.errors import InputError
from hsi_jax.hetero import Profile, emulate_devices, make_plan, parse_profile
from hsi_jax.hetero.cluster import check_alike, join_cluster, rank
from hsi_jax.hetero.timing import choose_microbatch_size
from hsi_jax.models import build_model, parse_options
from hsi_jax.train import (
    Replicas,
    RunFolder,
    TrainState,
    create_state,
    make_optimizer,
    make_schedule,
    measure_profile,
    measure_throughputs,
)
from hsi_jax.train.replicas import choose_devices

OWN_TO_A_PROCESS = ("process_id", "workdir")


@dataclass(frozen=True)
class Setup:
    """What a run starts from; its folder is claimed, but nothing in it has been touched yet."""

    config: Config
    folder: RunFolder
    dataset: Dataset
    replicas: Replicas
    state: TrainState
    schedule: optax.Schedule
    num_steps: int


def set_up(config: Config) -> Setup:
    """Joins or emulates the devices, loads the data and makes the first state.

    Raises:
        InputError: on a mistake of the user's.
    """
    profile = _first_profile(config)
    folder = _claim_folder(config)
    devices = choose_devices(len(profile))
    dataset = image_dataset(config, devices) if config.is_image_set else scene_dataset(config)
    plan = make_plan(config.scheme, profile, config.batch_size, config.first_microbatch_size)

    num_steps = config.steps or steps_for_epochs(
        len(dataset.split.train), config.batch_size, config.epochs
    )
    schedule = make_schedule(config.schedule, config.learning_rate, num_steps)
    optimizer = make_optimizer(config.optimizer, schedule, config.momentum, config.weight_decay)
    options = parse_options(config.model_name, config.model_options)
    module = build_model(config.model_name, dataset.num_classes, options)
    state = create_state(module, optimizer, dataset.input_shape, config.seed, dataset.prepare)
    replicas = Replicas(profile, plan, dataset.samples)
    return Setup(config, folder, dataset, replicas, state, schedule, num_steps)


def choose_size(setup: Setup) -> tuple[Setup, dict[int, float]]:
    """Chooses the microbatch size by what is measured, alike in all processes.

    Returns:
        The setup with that size in its configuration, and samples per second of each size.
    """
    config, replicas = setup.config, setup.replicas
    batch = batch_ids(setup.dataset.split.train, config.batch_size, config.seed, 0)
    rates = measure_throughputs(replicas, setup.state, batch, config.microbatch_sizes)
    size = choose_microbatch_size(rates, config.batch_size, len(replicas.profile))
    config = dataclasses.replace(config, microbatch_size=size)
    replicas.plan = make_plan(config.scheme, replicas.profile, config.batch_size, size)
    return dataclasses.replace(setup, config=config), rates


def measure_speeds(setup: Setup) -> None:
    """Replaces the replicas' profile by a measured one, and their plan by one that follows it."""
    config, replicas = setup.config, setup.replicas
    batch = batch_ids(setup.dataset.split.train, config.batch_size, config.seed, 0)
    replicas.profile = measure_profile(replicas, setup.state, batch)
    replicas.plan = make_plan(
        config.scheme, replicas.profile, config.batch_size, config.microbatch_size
    )


def _first_profile(config: Config) -> Profile:
    """The declared profile; in a cluster that is to be measured, like devices to begin with."""
    if not config.in_cluster:
        profile = parse_profile(config.profile_name)
        emulate_devices(len(profile))
        return profile
    join_cluster(config.coordinator or None, config.num_processes, config.process_id)
    check_alike({k: v for k, v in dataclasses.asdict(config).items() if k not in OWN_TO_A_PROCESS})
    processes = jax.process_count()
    if config.profile_name == "measured":
        return parse_profile(":".join("1" * processes))
    profile = parse_profile(config.profile_name)
    if len(profile) != processes:
        raise InputError(
            f"--profile={config.profile_name} has {len(profile)} devices, but {processes} "
            f"processes have joined; give one speed for each process"
        )
    return profile


def _claim_folder(config: Config) -> RunFolder:
    """Process 0 has the run's folder; the others write theirs where nobody looks."""
    if rank() > 0:
        nowhere = tempfile.mkdtemp(prefix="hsi_jax-")
        atexit.register(shutil.rmtree, nowhere, ignore_errors=True)
        return RunFolder(nowhere)
    if config.resume:
        return resumable_folder(config)
    return RunFolder(config.choose_workdir(), config.overwrite)
