"""From the configuration to everything that training starts from."""

import atexit
import dataclasses
import shutil
import tempfile
from dataclasses import dataclass

import jax
import optax

from experiments.config import Config
from experiments.dataset import load_dataset, make_patches, make_split
from hsi_jax.data import Scene, Split, batch_ids, steps_for_epochs
from hsi_jax.errors import InputError
from hsi_jax.hetero import Profile, emulate_devices, make_plan, parse_profile
from hsi_jax.hetero.cluster import check_alike, join_cluster, rank
from hsi_jax.models import find_model, parse_options
from hsi_jax.train import (
    Replicas,
    RunFolder,
    TrainState,
    create_state,
    make_optimizer,
    make_schedule,
    measure_profile,
)

OWN_TO_A_PROCESS = ("process_id", "workdir")


@dataclass(frozen=True)
class Setup:
    """What a run starts from; its folder is claimed, but nothing in it has been touched yet."""

    config: Config
    folder: RunFolder
    scene: Scene
    split: Split
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
    scene = load_dataset(config)
    split = make_split(config, scene)
    patches = make_patches(config, scene, split.train)
    plan = make_plan(config.scheme, profile, config.batch_size, config.microbatch_size)

    num_steps = config.steps or steps_for_epochs(len(split.train), config.batch_size, config.epochs)
    schedule = make_schedule(config.schedule, config.learning_rate, num_steps)
    optimizer = make_optimizer(config.optimizer, schedule, config.momentum, config.weight_decay)
    options = parse_options(config.model, config.model_options)
    module = find_model(config.model)(num_classes=scene.num_classes, **options)
    patch_shape = (patches.patch_size, patches.patch_size, patches.cube.shape[-1])
    state = create_state(module, optimizer, patch_shape, config.seed)
    replicas = Replicas(profile, plan, patches)
    return Setup(config, folder, scene, split, replicas, state, schedule, num_steps)


def measure_speeds(setup: Setup) -> None:
    """Replaces the replicas' profile by a measured one, and their plan by one that follows it."""
    config, replicas = setup.config, setup.replicas
    batch = batch_ids(setup.split.train, config.batch_size, config.seed, 0)
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
    return RunFolder(config.choose_workdir(), config.overwrite)
