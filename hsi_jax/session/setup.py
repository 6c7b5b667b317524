"""From the configuration to everything that training starts from."""

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import optax

from hsi_jax.cluster.devices import choose_devices, emulate_devices, find_devices
from hsi_jax.cluster.exchange import devices_of_processes
from hsi_jax.cluster.launchers import describe_unused_tasks
from hsi_jax.cluster.processes import check_alike, join_cluster, rank
from hsi_jax.data import batch_ids
from hsi_jax.errors import InputError
from hsi_jax.hetero import Device, Plan, Profile, make_plan
from hsi_jax.hetero.timing import choose_microbatch_size
from hsi_jax.run import RunFolder
from hsi_jax.run.folder import check_place
from hsi_jax.run.lock import locked
from hsi_jax.session.config import Config
from hsi_jax.session.loading import load_dataset
from hsi_jax.session.resolve import Resolved
from hsi_jax.session.resume_check import resumable_folder
from hsi_jax.temporary import temporary_folder
from hsi_jax.train import (
    Dataset,
    Recipe,
    Replicas,
    TrainState,
    first_state,
    measure_profile,
    measure_throughputs,
)

OWN_TO_A_PROCESS = ("process_id", "workdir", "devices_per_process")


@dataclass(frozen=True)
class Setup:
    """What a run starts from; nothing in its folder has been touched yet.

    Attributes:
        resolved: the configuration and what it means here.
        folder: of the results.
        dataset: what is learnt from.
        recipe: how.
        profile: of the devices; while they are to be measured, of like ones.
        plan: of each batch.
        replicas: the devices and the samples.
        state: the first one.
        schedule: of the learning rate.
        num_steps: of the training.
    """

    resolved: Resolved
    folder: RunFolder
    dataset: Dataset
    recipe: Recipe
    profile: Profile
    plan: Plan
    replicas: Replicas
    state: TrainState
    schedule: optax.Schedule
    num_steps: int

    @property
    def config(self) -> Config:
        """The options of the run."""
        return self.resolved.config

    @property
    def sets_that_choose(self) -> tuple[str, ...]:
        """The sets of the split that are evaluated while training; the last one chooses the state.

        With --as_published that is the test, beside the validation that should.
        """
        validation = ("validation",) if len(self.dataset.split.validation) else ()
        return (*validation, "test") if self.config.as_published else validation

    @property
    def steps_between_validations(self) -> int:
        """An epoch, or more where there would be too many validations."""
        return self.recipe.steps_between_validations(len(self.dataset.split.train))


def set_up(resolved: Resolved, profile: Profile, folder: RunFolder) -> Setup:
    """Loads the data and makes the first state.

    Args:
        resolved: the configuration and what it means here.
        profile: of the devices; see `join_devices`.
        folder: of the results; see `claimed_folder`.

    Raises:
        InputError: on a mistake of the user's.
    """
    config, recipe = resolved.config, resolved.config.recipe
    dataset = load_dataset(resolved, choose_devices(len(profile)))
    plan = make_plan(config.scheme, profile, recipe.batch_size, recipe.microbatch_size)
    num_steps = recipe.num_steps(len(dataset.split.train))
    return Setup(
        resolved=resolved,
        folder=folder,
        dataset=dataset,
        recipe=recipe,
        profile=profile,
        plan=plan,
        state=first_state(dataset, recipe, config.model_name, config.model_options),
        replicas=Replicas(len(profile), dataset.samples),
        schedule=recipe.make_schedule(num_steps),
        num_steps=num_steps,
    )


def choose_size(setup: Setup) -> tuple[Setup, dict[int, float]]:
    """Chooses the microbatch size by what is measured, alike in all processes.

    Returns:
        The setup with that size, and samples per second of each size.
    """
    config = setup.config
    batch = batch_ids(setup.dataset.split.train, config.batch_size, config.seed, 0)
    rates = measure_throughputs(setup.replicas, setup.state, batch, config.microbatch_sizes)
    size = choose_microbatch_size(rates, config.batch_size, len(setup.profile))
    config = dataclasses.replace(config, microbatch_size=size)
    setup = dataclasses.replace(
        setup,
        resolved=dataclasses.replace(setup.resolved, config=config),
        recipe=config.recipe,
        plan=make_plan(config.scheme, setup.profile, config.batch_size, size),
    )
    return setup, rates


def measure_speeds(setup: Setup) -> Setup:
    """The setup with a measured profile, and a plan that follows it."""
    recipe = setup.recipe
    batch = batch_ids(setup.dataset.split.train, recipe.batch_size, recipe.seed, 0)
    profile = measure_profile(setup.replicas, setup.state, batch, recipe.microbatch_size)
    plan = make_plan(setup.config.scheme, profile, recipe.batch_size, recipe.microbatch_size)
    return dataclasses.replace(setup, profile=profile, plan=plan)


def join_devices(resolved: Resolved) -> Profile:
    """Joins or emulates the devices; their declared profile, or like ones where it is measured.

    Raises:
        InputError: on a mistake of the user's.
    """
    config, profile = resolved.config, resolved.profile
    if not resolved.in_cluster:
        assert profile is not None  # `resolve` has seen to it
        emulate_devices(len(profile))
        find_devices()
        return profile
    join_cluster(
        config.coordinator or None,
        config.num_processes,
        config.process_id,
        devices_per_process=config.devices_per_process,
        reduce=config.reduce,
    )
    check_alike({k: v for k, v in dataclasses.asdict(config).items() if k not in OWN_TO_A_PROCESS})
    counts = devices_of_processes()
    if profile is None:
        return Profile(tuple(Device(f"device {number}", 1.0) for number in range(sum(counts))))
    if len(profile) != sum(counts):
        has = f"{sum(counts)} devices" if max(counts) > 1 else ""
        raise InputError(
            f"--profile={config.profile} has {len(profile)} devices, but {len(counts)} "
            f"processes {f'with {has} ' if has else ''}have joined; give one speed for each "
            f"{'device, process by process' if has else 'process'}"
        )
    return profile


def describe_choice(resolved: Resolved) -> list[str]:
    """Lines that tell what was chosen for the devices, where that may surprise."""
    if resolved.in_cluster:
        return []
    lines = []
    device = find_devices()[0]
    if resolved.config.profile is None and device.platform != "cpu":
        count = len(resolved.profile_name.split(":"))
        lines.append(f"Devices  {count} x {device.device_kind}, a like share for each (--profile)")
    if note := describe_unused_tasks():
        lines.append(f"NOTE     {note}")
    return lines


@contextlib.contextmanager
def claimed_folder(config: Config) -> Iterator[RunFolder]:
    """The run's folder, which no other process can have meanwhile; in process 0 of a cluster.

    The other processes write theirs where nobody looks.

    Raises:
        InputError: if another process has it, or it cannot be used.
    """
    if rank() > 0:
        with temporary_folder() as nowhere:
            yield RunFolder(nowhere)
        return
    if config.resume:
        RunFolder.of_run(config.workdir)
    path = Path(config.choose_workdir())
    check_place(path)
    with locked(path, fresh=not config.workdir):
        config = dataclasses.replace(config, workdir=str(path))
        yield resumable_folder(config) if config.resume else RunFolder(path, config.overwrite)
